package relay

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/store"
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
	o.begin(time.Now(), store.ErrFull)
	if o.calm() {
		t.Error("calm at once")
	}
	o.begin(time.Now(), store.ErrFull)
	if o.calm() {
		t.Error("calm, though one more has failed")
	}
	if !o.calm() {
		t.Error("not calm, though none has failed since")
	}
}

// Whoever asks for that has no token: paths and the like are for the log.
func TestWhoIsNotReadySaysWhatItWantsAndNoMore(t *testing.T) {
	for _, c := range []struct {
		why  error
		want string
	}{
		{fmt.Errorf("commit: %w", store.ErrDiskFull), "records can't be written: the disk is full"},
		{store.ErrFull, "records can't be written: the tape is full of pending deliveries and requests under way"},
		{errors.New("write /srv/secret/tape.db: input/output error"), "records can't be written, the log says why"},
	} {
		var a Agent
		a.outage.begin(time.Now(), c.why)
		if got := a.Ready(); got == nil || got.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.why, got, c.want)
		}
		a.outage.end()
		if got := a.Ready(); got != nil {
			t.Errorf("ready again, but: %v", got)
		}
	}
}
