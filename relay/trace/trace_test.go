package trace

import (
	"testing"

	"github.com/hooktape/hooktape/relay/wire"
)

func TestTheIDOfARequest(t *testing.T) {
	const w3c = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for want, fields := range map[string]wire.Fields{
		"":                                 {{Name: "Accept", Value: "x"}},
		"0af7651916cd43dd8448eb211c80319c": {{Name: "X-Request-Id", Value: "r"}, {Name: "Traceparent", Value: w3c}},
		"r":                                {{Name: "traceparent", Value: "00-odd"}, {Name: "X-REQUEST-ID", Value: "r"}},
		"c":                                {{Name: "X-Request-Id", Value: ""}, {Name: "X-Correlation-Id", Value: "c"}},
	} {
		if got := Of(fields); got != want {
			t.Errorf("%v: %q, want %q", fields, got, want)
		}
	}
}

func TestASuffixTellsCallsOfOneRequestApart(t *testing.T) {
	for _, c := range []struct {
		id, of string
		want   bool
	}{
		{"abc", "abc", true},
		{"abc-u1", "abc", true},
		{"abc.12", "abc", true},
		{"abc", "abc-u1", false},
		{"abcd", "abc", false},
		{"req-8", "req-7", false},
		{"", "", false},
		{"-1", "", false},
		{"9ebec167-ddf5-4de0-b4df-c4c1749afb1a-u2", "9ebec167-ddf5-4de0-b4df-c4c1749afb1a", true},
		{"9ebec167-ddf5-4de0-b4df-c4c1749afb1a", "9ebec167-ddf5-4de0-b4df", false},
	} {
		if got := Belongs(c.id, c.of); got != c.want {
			t.Errorf("%q of %q: %v", c.id, c.of, got)
		}
	}
}
