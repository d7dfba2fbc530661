package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hooktape/hooktape/store"
)

// The sources and targets of soak. A request's path is that of its source and
// its number in the ledger, so that whoever sees it knows which one it is.
const (
	soakAck  = "ack"  // hooktape answers; to both targets
	soakPass = "pass" // the app answers; to the app only
	soakNone = "none" // a path that no source takes

	soakApp    = 0 // gets the records of a key in order
	soakSecond = 1 // in no order; a reload removes it and adds it again
)

var soakTargets = [...]string{soakApp: "app", soakSecond: "second"}

// soakEntry is what is known of one request outside the agent.
type soakEntry struct {
	sum     [sha256.Size]byte // of its bytes as they were sent
	source  string
	key     int  // of its order; -1: none
	refused bool // the agent must not accept it
	acked   bool // its sender got a 2xx
	id      store.ID
	got     [len(soakTargets)]bool // the target has received it whole
	gone    [len(soakTargets)]bool // the target has answered it 410
	tape    bool                   // it was found on the tape
}

// soakLedger keeps, outside the agent, what was sent, what was acknowledged and
// what the targets received, and the findings: what should not be so.
type soakLedger struct {
	mu       sync.Mutex // guards what follows
	entries  []soakEntry
	behind   int           // requests that were acknowledged and have not come to the app
	less     chan struct{} // closed and made anew when behind becomes less
	last     map[int]int   // the newest request of each key that came to the app
	bytes    int64         // that were sent
	findings []soakFinding
	count    soakCount
}

// soakFinding is a promise that was not kept.
type soakFinding struct {
	What    string `json:"what"` // lost, changed, damaged, ...
	Request string `json:"request,omitempty"`
	Detail  string `json:"detail"`
}

// soakCount is what happened in a soak.
type soakCount struct {
	Sent         int64 `json:"sent"`
	Acknowledged int64 `json:"acknowledged"`
	Refused      int64 `json:"refused"`
	TurnedAway   int64 `json:"turned_away"` // with 503
	Received     int64 `json:"received"`    // by targets; a request that came twice is counted twice
	Deliveries   int64 `json:"deliveries"`
	Failed       int64 `json:"failed"` // deliveries, each rightly
	Kills        int64 `json:"kills"`
	Stops        int64 `json:"stops"`
	Reloads      int64 `json:"reloads"`
	Faults       int64 `json:"faults"` // of the targets
	Tapes        int64 `json:"tapes"`
}

// mostFindings is how many findings are kept: the first ones tell the most.
const mostFindings = 100

func newSoakLedger() *soakLedger {
	return &soakLedger{last: make(map[int]int), less: make(chan struct{})}
}

// newTape forgets the requests: from now on they go onto another tape.
func (l *soakLedger) newTape() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries, l.behind, l.bytes = nil, 0, 0
	clear(l.last)
}

// enter makes an entry for a request before it is sent. build makes its bytes
// from its path.
func (l *soakLedger) enter(source string, key int, refused bool, build func(path string) []byte) (n int, request []byte) {
	l.mu.Lock()
	n = len(l.entries)
	l.entries = append(l.entries, soakEntry{source: source, key: key, refused: refused})
	l.count.Sent++
	l.mu.Unlock()
	path := fmt.Sprintf("/%s/%d", source, n)
	if key >= 0 {
		path += fmt.Sprintf("?key=%d", key)
	}
	request = build(path)
	l.mu.Lock()
	l.entries[n].sum = sha256.Sum256(request)
	l.bytes += int64(len(request))
	l.mu.Unlock()
	return n, request
}

// answered notes what the sender of a request was told.
func (l *soakLedger) answered(n int, answer []byte) {
	status, body := statusOf(answer), answer[cutHead(answer):]
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &l.entries[n]
	switch {
	case e.refused && status/100 == 4:
		l.count.Refused++
	case status == 503 && e.source == soakAck:
		l.count.TurnedAway++
	case e.refused, status/100 != 2 && (e.source == soakAck || status/100 != 5 && status != 410):
		l.find("answered wrongly", n, "%q", clip(answer))
	case status/100 == 2:
		l.count.Acknowledged++
		e.acked = true
		e.id, _ = store.ParseID(string(body)) // the app's own answers name no id
		if !e.got[soakApp] {
			l.behind++
		}
	}
}

// arrived notes that a target received a whole request. It says which one that
// was; -1: none that was sent.
func (l *soakLedger) arrived(target int, request []byte) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count.Received++
	n, ok := l.named(request)
	if !ok {
		l.find("unknown", -1, "target %s received %q, which nobody sent", soakTargets[target], clip(request))
		return -1
	}
	e := &l.entries[n]
	if e.refused {
		l.find("let through", n, "target %s received a request that was to be refused", soakTargets[target])
	}
	if sha256.Sum256(request) != e.sum {
		l.find("changed", n, "target %s received other bytes than were sent: %q", soakTargets[target], clip(request))
		return n
	}
	if target == soakApp && e.key >= 0 {
		if last, ok := l.last[e.key]; ok && n < last {
			l.find("out of order", n, "target app received it after request %d of the same key", last)
		}
		l.last[e.key] = max(n, l.last[e.key])
	}
	if target == soakApp && e.acked && !e.got[target] {
		l.behind--
		close(l.less)
		l.less = make(chan struct{})
	}
	e.got[target] = true
	return n
}

// refusedByTarget notes that a target says it will never want a request.
func (l *soakLedger) refusedByTarget(target, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[n].gone[target] = true
}

// named finds the request that bytes are by their path. Callers hold mu.
func (l *soakLedger) named(request []byte) (n int, ok bool) {
	line, _, _ := strings.Cut(string(clip(request)), "\r\n")
	words := strings.Split(line, " ")
	if len(words) != 3 {
		return 0, false
	}
	return l.byPath(words[1])
}

func (l *soakLedger) byPath(path string) (n int, ok bool) {
	path, _, _ = strings.Cut(strings.TrimPrefix(path, "/"), "?")
	source, number, _ := strings.Cut(path, "/")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= len(l.entries) || l.entries[n].source != source {
		return 0, false
	}
	return n, true
}

// breathe waits while the app is too far behind: a soak must end, and so must the
// deliveries that it causes.
func (l *soakLedger) breathe(ctx context.Context) {
	const most = 2000
	l.mu.Lock()
	behind, less := l.behind, l.less
	l.mu.Unlock()
	if behind < most {
		return
	}
	pause := time.NewTimer(time.Second) // a request that came to the app before its sender got the ack wakes nobody
	defer pause.Stop()
	select {
	case <-ctx.Done():
	case <-less:
	case <-pause.C:
	}
}

// find notes a finding about request n; -1: about none. Callers hold mu.
func (l *soakLedger) find(what string, n int, format string, args ...any) {
	if len(l.findings) >= mostFindings {
		return
	}
	f := soakFinding{What: what, Detail: fmt.Sprintf(format, args...)}
	if n >= 0 {
		f.Request = fmt.Sprintf("/%s/%d", l.entries[n].source, n)
	}
	l.findings = append(l.findings, f)
}

// note is find for those who don't hold mu.
func (l *soakLedger) note(what string, n int, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.find(what, n, format, args...)
}

// add counts.
func (l *soakLedger) add(counter func(*soakCount) *int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*counter(&l.count)++
}

// sum is what was counted and found so far.
func (l *soakLedger) sum() (soakCount, []soakFinding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count, l.findings[:len(l.findings):len(l.findings)]
}

// large says whether a tape has got as much as one is to get.
func (l *soakLedger) large() bool {
	const mostRequests, mostBytes = 100_000, 512 << 20
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries) >= mostRequests || l.bytes >= mostBytes
}
