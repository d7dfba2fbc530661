package inspect

import (
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/store"
)

// What was promised may come days later: from there, too, the lineage leads back to the beginning.
func TestWhatCameMuchLaterIsShownWithItsCause(t *testing.T) {
	d := newDeck(t, nil)
	call := d.put(store.Record{Time: t0, Source: "api", Trace: "t-1"}, "GET / HTTP/1.1\nHost: h\n\n")
	d.put(store.Record{Time: t0.Add(time.Hour), Source: "other", Trace: "t-2"}, "GET / HTTP/1.1\nHost: h\n\n")
	told := d.put(store.Record{Time: t0.Add(3 * familyAfter), Source: "asna", Cause: call, CauseBy: store.ByKey}, "GET / HTTP/1.1\nHost: h\n\n")
	var tree []store.ID
	for m, err := range d.Family(t.Context(), told.String(), false) {
		if err != nil {
			t.Fatal(err)
		}
		if tree = append(tree, m.ID); m.Depth != len(tree)-1 {
			t.Errorf("%s is at depth %d", m.ID, m.Depth)
		}
	}
	if len(tree) != 2 || tree[0] != call || tree[1] != told {
		t.Errorf("%v, want %s and %s", tree, call, told)
	}
}

func TestAFamilyIsShownWithoutWhatIsDamaged(t *testing.T) {
	d := newDeck(t, nil)
	call := d.put(store.Record{Time: t0, Source: "api", Trace: "t-1"}, "GET /call HTTP/1.1\nHost: h\n\n")
	spoilt := d.put(store.Record{Time: t0, Source: "api", Trace: "t-1"}, "GET /spoilt HTTP/1.1\nHost: h\n\n")
	told := d.put(store.Record{Time: t0, Source: "asna", Trace: "t-1"}, "GET /told HTTP/1.1\nHost: h\n\n")
	d.spoil("/spoilt")
	all, err := collect(d.Family(t.Context(), call.String(), false))
	if len(all) != 2 || all[0].ID != call || all[1].ID != told {
		t.Errorf("shown are %+v", all)
	}
	if err == nil || !strings.Contains(err.Error(), spoilt.String()) {
		t.Errorf("what is damaged is not named: %v", err)
	}
}
