package relay

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// Of an ack the record has the time up to its commit, and says so; where that is not nearly what the sender waited, it
// is put right.
func TestTheTimeOfAnAnswerIsWhatTheSenderWaitedOrSaysThatItIsNot(t *testing.T) {
	for name, of := range map[string]struct {
		step  time.Duration // that passes between any two looks at the clock
		early bool
	}{
		"quick": {time.Microsecond, true},
		"slow":  {2 * earlyMax, false},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			var looks atomic.Int64
			clock := func() time.Time { return began.Add(time.Duration(looks.Add(1)) * of.step) }
			app := startApp(t, always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
			src := acking(app)
			src.Targets = nil
			r := startWith(t, filepath.Join(t.TempDir(), "tape.db"), Options{Now: clock}, src)
			r.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
			told := r.wait(Answered).Record.Answer
			kept := r.last().Answer
			if told.Early || kept.Early != of.early || kept.Duration > told.Duration || told.Duration-kept.Duration > earlyMax {
				t.Errorf("on the tape %v, early %v; in fact %v", kept.Duration, kept.Early, told.Duration)
			}
		})
	}
}
