package replay

import (
	"fmt"
	"slices"
	"testing"
)

// What a difference says of its places is what has it left out.
func TestPlacesAreThoseToIgnore(t *testing.T) {
	for name, c := range map[string]struct {
		then, now *Response
		want      []string
	}{
		"nothing": {response(t, "same"), response(t, "same"), nil},
		"a field": {response(t, "", "X-Id: 1"), response(t, "", "X-Id: 2"), []string{"header.x-id"}},
		"lines":   {response(t, "a\nb\nc\n"), response(t, "a\nx\ny\n"), []string{"body"}},
		"elements of an array": {
			response(t, `{"items":[{"id":1,"x y":1},{"id":2}],"n":1}`), response(t, `{"items":[{"id":3,"x y":2},{"id":4}],"n":1}`),
			[]string{"json.items[*].id", `json.items[*]["x y"]`},
		},
		"a key that is there no more": {response(t, `{"a":1,"b":2}`), response(t, `{"a":1}`), []string{"json.b"}},
		"all of it":                   {response(t, "{}"), response(t, "text"), []string{"body"}},
	} {
		t.Run(name, func(t *testing.T) {
			places := Compare(c.then, c.now, nil).Places()
			slices.Sort(c.want)
			if !slices.Equal(places, c.want) {
				t.Errorf("%q, want %q", places, c.want)
			}
			rules := new(Rules)
			for _, place := range places {
				if err := rules.Ignore(place); err != nil {
					t.Fatal(err)
				}
			}
			if left := Compare(c.then, c.now, rules); left.Any() {
				t.Errorf("still there: %+v", left)
			}
		})
	}
}

func TestASummaryCountsPlaces(t *testing.T) {
	var s Summary
	for i := range 2 * placesMost {
		s.Add(&Case{Outcome: Differs, Status: 200, Places: []string{"json.at", fmt.Sprintf("json.by.k%d", i)}})
	}
	if all := s.ByPlace(); len(all) != placesMost || all[0] != (Tally[string]{"json.at", 2 * placesMost}) {
		t.Errorf("%d places, the first %+v", len(all), all[0])
	}
}
