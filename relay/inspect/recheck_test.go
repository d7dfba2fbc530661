package inspect

import (
	"strings"
	"testing"

	"github.com/hooktape/hooktape/store"
)

func TestARecheckGoesOnPastWhatIsDamaged(t *testing.T) {
	d := tailDeck(t)
	var ids []store.ID
	for _, path := range []string{"/first", "/spoilt", "/third"} {
		ids = append(ids, d.put(store.Record{Method: "GET", Target: path, Verdict: store.Unauthorized}, "GET "+path+" HTTP/1.1\nHost: x\n\n"))
	}
	d.spoil("/spoilt")
	judged, err := collect(d.Recheck(t.Context(), nil, Filter{}, true))
	if len(judged) != 2 || judged[0].Record != ids[0] || judged[1].Record != ids[2] {
		t.Errorf("judged %+v", judged)
	}
	if err == nil || !strings.Contains(err.Error(), ids[1].String()) {
		t.Errorf("what is damaged is not named: %v", err)
	}
}
