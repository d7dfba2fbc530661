package relay

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hooktape/hooktape/relay/config"
)

// Who asks whether an agent is ready before sending anything to it would never send again.
func TestAnAgentIsReadyAgainWithoutARequest(t *testing.T) {
	var log syncBuilder
	r := startWith(t, tapeIn(t), Options{Log: hclog.New(&hclog.LoggerOptions{Output: &log})}, config.Source{Name: "a", Path: "/"})
	for range 2 {
		for range 3 {
			r.cantRecord(errors.New("no space"))
		}
		until(t, "ready", func() bool { return r.Ready() == nil })
	}
	r.end()
	text := log.String()
	if begun, ended := strings.Count(text, "can't record"), strings.Count(text, "recording again"); begun != ended || begun < 2 {
		t.Errorf("%d outages begin, %d end:\n%s", begun, ended, text)
	}
}

func TestAnOutageGoesOnWhileRecordsFailBesideOthers(t *testing.T) {
	o := outage{begun: make(chan struct{}, 1)}
	o.begin(time.Now())
	if o.calm() {
		t.Error("calm at once")
	}
	o.begin(time.Now())
	if o.calm() {
		t.Error("calm, though one more has failed")
	}
	if !o.calm() {
		t.Error("not calm, though none has failed since")
	}
}
