package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hooktape/hooktape/store"
)

// A delivery that can't be read is named, and does not hide any other.
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

// The parts of a record that can be read are shown, and the others are named.
func TestShowShowsWhatIsNotDamaged(t *testing.T) {
	d := newDeck(t)
	var id store.ID
	d.write(func(s *store.Store) {
		id = put(t, s, store.Record{Source: "shop"}, "POST /orders HTTP/1.1\nHost: x\n\n{}",
			store.Delivery{Source: "shop", Target: "app", State: store.Failed, Error: "spoilt delivery", Created: noon},
			store.Delivery{Source: "shop", Target: "archive", State: store.Failed, Error: "whole delivery", Created: noon})
		answer := &store.Answer{Status: 200, Error: "spoilt answer", Raw: store.InlineRaw([]byte("HTTP/1.1 200 OK\r\n\r\n"))}
		for _, err := range []error{
			s.Settle(id, store.Outcome{Attempt: &store.Attempt{Target: "app", Error: "spoilt attempt"}, Answer: answer}).Wait(),
			s.Settle(id, store.Outcome{Attempt: &store.Attempt{Target: "app", Error: "whole attempt"}}).Wait(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	content, err := os.ReadFile(d.path)
	if err == nil {
		err = os.WriteFile(d.path, bytes.ReplaceAll(content, []byte("spoilt"), []byte("spoxlt")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"show last", "show last --json"} {
		out := d.hooktape(strings.Fields(line)...)
		for _, whole := range []string{"/orders", "whole attempt", "whole delivery"} {
			if !strings.Contains(out.stdout, whole) {
				t.Errorf("%s: no %s\n%s", line, whole, out.stdout)
			}
		}
		for _, lost := range []string{"answer of record", "attempt 1 of record", "delivery of "} {
			if out.code != exitCannot || !strings.Contains(out.stderr, lost) || strings.Contains(out.stdout, "spoxlt") {
				t.Errorf("%s: exit %d, %s is not named\n%s", line, out.code, lost, out.stderr)
			}
		}
	}
	if out := d.hooktape("show", "last", "--raw"); out.code != exitDone || !strings.HasPrefix(out.stdout, "POST /orders") {
		t.Errorf("--raw: exit %d\n%s%s", out.code, out.stdout, out.stderr)
	}
}

// What can be read of a damaged tape is exported in every format, and the record that can't be read is named.
func TestExportLeavesOutWhatIsDamaged(t *testing.T) {
	d := newDeck(t)
	var ids []store.ID
	large := strings.Repeat("0123456789abcdef", 10_000)
	d.write(func(s *store.Store) {
		for _, body := range []string{"first", large + "spoilt", large, "last"} {
			ids = append(ids, put(t, s, store.Record{Source: "shop"}, fmt.Sprintf("POST /orders HTTP/1.1\nHost: x\nContent-Length: %d\n\n%s", len(body), body)))
		}
	})
	content, err := os.ReadFile(d.path)
	if err == nil {
		err = os.WriteFile(d.path, bytes.ReplaceAll(content, []byte("spoilt"), []byte("spoxlt")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"--verbatim -o a.warc", "--mask -o a.warc.gz", "-o a.har"} {
		file := filepath.Join(t.TempDir(), how[strings.LastIndex(how, " ")+1:])
		how = strings.Replace(how, filepath.Base(file), file, 1)
		out := d.hooktape(append([]string{"export", "--where", "true"}, strings.Fields(how)...)...)
		if out.code != exitCannot || !strings.Contains(out.stdout, ": 3 records, ") || strings.Count(out.stderr, ids[1].String()) != 1 || strings.Contains(out.stderr, ids[2].String()) {
			t.Errorf("%s: exit %d\n%s%s", how, out.code, out.stdout, out.stderr)
		}
		if other := newDeck(t); !strings.Contains(other.ok("import", file), ": 3 records, ") {
			t.Errorf("%s: not all of it is there", how)
		}
	}
}
