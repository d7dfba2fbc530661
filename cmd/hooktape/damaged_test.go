package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/hooktape/hooktape/store"
)

// A delivery that can't be read is named, and hides no other.
func TestListsShowWhatIsNotDamaged(t *testing.T) {
	d := newDeck(t)
	var ids []store.ID
	d.write(func(s *store.Store) {
		for _, reason := range []string{"first refusal", "spoilt refusal", "third refusal"} {
			ids = append(ids, put(t, s, store.Record{Source: "shop"}, "POST /orders HTTP/1.1\nHost: x\n\n{}",
				store.Delivery{Source: "shop", Target: "app", State: store.Failed, Error: reason, Created: noon}))
		}
	})
	content, err := os.ReadFile(d.path)
	if err == nil {
		err = os.WriteFile(d.path, bytes.ReplaceAll(content, []byte("spoilt"), []byte("spoxlt")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line  string
		shown int // lines of the output that are not the table's head
	}{
		{"list", 3}, {"list --json", 3}, {"list -n 0", 3},
		{"deliveries list", 2}, {"deliveries list --json", 2}, {"deliveries list --state failed", 2}, {"deliveries list -n 0", 2},
		{"deliveries list " + ids[0].String() + " " + ids[1].String(), 1},
		{"deliveries retry --state failed --json", 2},
	} {
		out := d.hooktape(strings.Fields(c.line)...)
		shown := strings.Count(out.stdout, "\n") - strings.Count(out.stdout, "SOURCE")
		if out.code != exitCannot || shown != c.shown || !strings.Contains(out.stderr, ids[1].String()) || strings.Contains(out.stderr, ids[0].String()) {
			t.Errorf("%s: exit %d, %d lines, not %d\n%s%s", c.line, out.code, shown, c.shown, out.stdout, out.stderr)
		}
	}
}
