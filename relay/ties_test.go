package relay

import (
	"fmt"
	"testing"

	"github.com/hooktape/hooktape/store"
)

func TestACallBelongsToTheRecordOfItsTraceOrToTheOnlyOneUnderWay(t *testing.T) {
	var known ties
	one, two := store.ID{1}, store.ID{2}
	known.note("t-one", one)
	expect := func(what, trace string, want store.ID, by store.CauseBy) {
		t.Helper()
		if got, how := known.cause(trace); got != want || how != by {
			t.Errorf("%s: %v by %q", what, got, how)
		}
	}
	expect("the same trace", "t-one", one, store.ByTrace)
	expect("with a suffix", "t-one-u1", one, store.ByTrace)
	expect("another trace, nothing under way", "t-two", store.ID{}, "")
	known.begin(two)
	expect("no trace, one under way", "", two, store.ByTime)
	expect("the trace wins", "t-one", one, store.ByTrace)
	known.begin(two)
	known.begin(one)
	expect("two under way", "", store.ID{}, "")
	known.end(one)
	known.end(two)
	expect("twice under way", "", two, store.ByTime)
	known.end(two)
	expect("nothing under way any more", "", store.ID{}, "")
}

func TestTheTracesThatAreRememberedAreBounded(t *testing.T) {
	var known ties
	for i := range tracesMax + 10 {
		known.note(fmt.Sprint("t", i), store.ID{byte(i), byte(i >> 8)})
		known.note("always", store.ID{1})
	}
	if len(known.byTrace) > tracesMax || len(known.oldest) > tracesMax {
		t.Errorf("%d traces, %d in order", len(known.byTrace), len(known.oldest))
	}
	if id, _ := known.cause(fmt.Sprint("t", tracesMax+9)); id == (store.ID{}) {
		t.Error("the newest is forgotten")
	}
}
