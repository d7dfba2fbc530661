package replay

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktape/hooktape/relay/expr"
)

// anyJSON draws a value as encoding/json has it.
func anyJSON(depth int) *rapid.Generator[any] {
	scalar := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.StringN(0, 8, -1), func(s string) any { return s }),
		rapid.Map(rapid.IntRange(-1000, 1000), func(n int) any { return float64(n) / 8 }),
	)
	if depth == 0 {
		return scalar
	}
	return rapid.OneOf(scalar,
		rapid.Map(rapid.SliceOfN(anyJSON(depth-1), 0, 5), func(s []any) any { return s }),
		rapid.Map(rapid.MapOfN(rapid.StringN(0, 5, -1), anyJSON(depth-1), 0, 5), func(m map[string]any) any { return m }),
	)
}

// anyRules draws rules over short paths.
func anyRules(t *rapid.T) *Rules {
	r := new(Rules)
	for _, names := range rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom([]string{"*", "0", "a"}), 0, 3), 0, 3).Draw(t, "rules") {
		if err := r.add(expr.FormatPath(append([]string{"json"}, names...)...), "", rapid.Bool().Draw(t, "unordered")); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func written(t *rapid.T, value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func compared(t *rapid.T, then, now string, rules *Rules) Difference {
	c := newComparison(rules)
	a, b := parseTree([]byte(then)), parseTree([]byte(now))
	if a == nil || b == nil {
		t.Fatalf("%q or %q is no JSON", then, now)
	}
	c.documents(a, b)
	return c.Difference
}

func TestNothingDiffersFromItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := anyJSON(3).Draw(t, "value")
		indented, err := json.MarshalIndent(value, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if d := compared(t, written(t, value), string(indented), anyRules(t)); d.Any() {
			t.Errorf("%v", changes(d))
		}
	})
}

func TestWhatDiffersDoesSoBothWays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := written(t, anyJSON(3).Draw(t, "a")), written(t, anyJSON(3).Draw(t, "b"))
		rules := anyRules(t)
		there, back := compared(t, a, b, rules), compared(t, b, a, rules)
		if there.Any() != back.Any() { // elements that moved may be told in another way
			t.Errorf("%v, and back %v", changes(there), changes(back))
		}
	})
}

func TestAnEditIsFoundAtItsPath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := anyJSON(4).Draw(t, "value")
		before := written(t, value)
		names := []string{"json"}
		edited := editedAt(t, value, &names)
		d := compared(t, before, written(t, edited), nil)
		if len(d.Changes) != 1 || d.Changes[0].Where != expr.FormatPath(names...) {
			t.Errorf("an edit at %q gives %v", names, changes(d))
		}
	})
}

// editedAt gives a value somewhere inside of another one a new value, and says
// where.
func editedAt(t *rapid.T, value any, names *[]string) any {
	switch v := value.(type) {
	case []any:
		if len(v) > 0 && rapid.Bool().Draw(t, "deeper") {
			i := rapid.IntRange(0, len(v)-1).Draw(t, "index")
			*names = append(*names, string(rune('0'+i)))
			v = slices.Clone(v)
			v[i] = editedAt(t, v[i], names)
			return v
		}
	case map[string]any:
		for key := range v {
			*names = append(*names, key)
			v[key] = editedAt(t, v[key], names)
			return v
		}
	}
	return "something that was not there before"
}

func TestShuffledElementsAreTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		elements := rapid.SliceOfN(anyJSON(2), 0, 8).Draw(t, "elements")
		shuffled := rapid.Permutation(elements).Draw(t, "shuffled")
		if len(elements) == 0 {
			return
		}
		rules := new(Rules)
		if err := rules.Unordered("json"); err != nil {
			t.Fatal(err)
		}
		if d := compared(t, written(t, elements), written(t, shuffled), rules); d.Any() {
			t.Errorf("%v", changes(d))
		}
	})
}

// TestHostileBodiesAreComparedInBoundedTime is about what squares would show in:
// minutes, not a second.
func TestHostileBodiesAreComparedInBoundedTime(t *testing.T) {
	numbers := make([]string, 30_000)
	for i := range numbers {
		numbers[i] = `{"i":` + string(rune('0'+i%7)) + `,"j":[1,2]}`
	}
	shuffled := slices.Clone(numbers)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	nested := func(inner string) string {
		return strings.Repeat(`[0,`, 510) + inner + strings.Repeat("]", 510)
	}
	for name, body := range map[string][2]string{
		"an array without an order":    {"[" + strings.Join(numbers, ",") + "]", "[" + strings.Join(shuffled, ",") + "]"},
		"one that was shifted":         {`{"a":[` + strings.Join(numbers, ",") + "]}", `{"a":[9,` + strings.Join(numbers, ",") + "]}"},
		"nested, and large inside":     {nested("[" + strings.Repeat("1,", 1<<15) + "1]"), nested("[" + strings.Repeat("1,", 1<<15) + "2,1]")},
		"nested beyond all bounds":     {strings.Repeat("[", 1<<20), strings.Repeat("[", 1<<20-1)},
		"many lines that are alike":    {strings.Repeat("a\nb\n", 1<<15), strings.Repeat("b\na\n", 1<<15)},
		"a long line":                  {strings.Repeat("a", 1<<20), strings.Repeat("a", 1<<20) + "b"},
		"members of one name":          {"{" + strings.Repeat(`"a":1,`, 1<<17) + `"a":1}`, "{" + strings.Repeat(`"a":1,`, 1<<17) + `"a":2}`},
		"a number of a million digits": {"[" + strings.Repeat("9", 1<<20) + "]", "[" + strings.Repeat("9", 1<<20) + ".0]"},
	} {
		rules := new(Rules)
		if err := rules.Unordered("json"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		Compare(response(t, body[0]), response(t, body[1]), rules)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s: took %s", name, took)
		}
	}
}
