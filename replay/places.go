package replay

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Places are where a difference is, each once, as paths that Rules.Ignore takes: the elements of an array are one place,
// and so are all lines of a text.
func (d Difference) Places() []string {
	var all []string
	for _, c := range d.Changes {
		place := arrayElement.ReplaceAllString(c.Where, "[*]")
		if strings.HasPrefix(place, "line ") {
			place = "body"
		}
		all = append(all, place)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var arrayElement = regexp.MustCompile(`\[[0-9]+\]`)

// placesMost is how many places a Summary counts: of more, which have names that never come again, nobody learns.
const placesMost = 1000

// differsAt counts the places of a difference.
func (s *Summary) differsAt(places []string) {
	if s.Places == nil {
		s.Places = make(map[string]int)
	}
	for _, place := range places {
		if _, known := s.Places[place]; known || len(s.Places) < placesMost {
			s.Places[place]++
		}
	}
}

// ByPlace are the places at which responses differ, the most frequent first.
func (s *Summary) ByPlace() []Tally[string] {
	all := tally(s.Places, slices.Sorted(maps.Keys(s.Places)))
	slices.SortStableFunc(all, func(a, b Tally[string]) int { return cmp.Compare(b.N, a.N) })
	return all
}
