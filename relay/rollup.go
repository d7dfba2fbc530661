package relay

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hooktape/hooktape/store"
)

// Refused requests and handshakes of one kind are recorded one by one in bursts and at a steady rate that any test of a
// provider or an app stays within; what comes faster is garbage, and is counted. All kinds together have a rate too, for floods that
// come from everywhere.
const (
	recordBurst, recordRate       = 1000, 10  // of one kind; requests, and requests a second
	recordBurstAll, recordRateAll = 5000, 100 // of all kinds
)

const (
	// rollUpEvery is how often roll-ups are written: a kill loses the counts since the last time.
	rollUpEvery = 10 * time.Second
	// kindsMax bounds the kinds that are told apart, and so what is written each time.
	kindsMax = 256
	// sampleMax bounds what a roll-up keeps of the first request's bytes: the head of nearly every one.
	sampleMax = 8 << 10
	// skimMax is how much is read of the body of a request that is only counted, so that its connection can live on.
	skimMax = 64 << 10
)

// kind is what a roll-up counts: requests that got one verdict, of one source, from one host.
type kind struct {
	verdict store.Verdict
	source  string
	host    string // "": there are too many hosts to tell them apart
}

func kindOf(f finding, source, remote string) kind { return kind{f.verdict, source, hostname(remote)} }

// rollups counts requests that come too fast for a record each.
type rollups struct {
	mu    sync.Mutex // guards what follows; held for moments only
	kinds map[kind]*rollup
	all   *rate.Limiter
	since time.Time // when requests began to be counted only; zero: they are not
	total int       // requests counted only since then
}

// rollup is one kind of them.
type rollup struct {
	pace *rate.Limiter
	open *store.Record // what is counted and not written yet; nil: nothing
}

func newRollups() *rollups {
	return &rollups{kinds: make(map[kind]*rollup), all: rate.NewLimiter(recordRateAll, recordBurstAll)}
}

// over says whether a request of a kind is to be counted only. It must be asked once for each.
func (u *rollups) over(k kind, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	r, _ := u.find(k)
	return !r.pace.AllowN(now, 1) || !u.all.AllowN(now, 1)
}

// find is the roll-up of a kind, or when there are too many, that of all hosts together. The caller holds mu.
func (u *rollups) find(k kind) (*rollup, kind) {
	if u.kinds[k] == nil && len(u.kinds) >= kindsMax {
		k.host = ""
	}
	if u.kinds[k] == nil {
		u.kinds[k] = &rollup{pace: rate.NewLimiter(recordRate, recordBurst)}
	}
	return u.kinds[k], k
}

// count adds a request to the roll-up of its kind. Raw are its first bytes, of which the first headSize are its head.
// first says that this begins a flood.
func (u *rollups) count(k kind, rec *store.Record, raw string, now time.Time) (first bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	r, k := u.find(k)
	if r.open == nil {
		r.open = sample(rec, raw)
		r.open.Remote, r.open.Proxy = k.host, ""
	}
	r.open.Count++
	r.open.Until = rec.Time
	u.total++
	if first = u.since.IsZero(); first {
		u.since = now
	}
	return first
}

// sample is what a roll-up says of its first request.
func sample(rec *store.Record, raw string) *store.Record {
	s := *rec
	kept := raw[:min(len(raw), sampleMax)]
	s.Raw = store.InlineRaw([]byte(kept))
	if s.Truncated = rec.Truncated || len(kept) < len(raw) || rec.BodySize > 0; len(kept) < s.HeadSize {
		s.HeadSize = 0
	}
	return &s
}

// take gives what is to be written, and forgets the kinds of which nothing has come for a while. With nothing to write
// the flood is over: flood says so, with how long it was and how many requests were counted.
func (u *rollups) take(now time.Time) (open map[kind]*store.Record, over bool, since time.Time, total int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, r := range u.kinds {
		switch {
		case r.open != nil:
			if open == nil {
				open = make(map[kind]*store.Record)
			}
			open[k], r.open = r.open, nil
		case r.pace.TokensAt(now) >= recordBurst:
			delete(u.kinds, k)
		}
	}
	if over = open == nil && !u.since.IsZero(); over {
		since, total = u.since, u.total
		u.since, u.total = time.Time{}, 0
	}
	return open, over, since, total
}

// putBack takes back what could not be written.
func (u *rollups) putBack(k kind, rec *store.Record) {
	u.mu.Lock()
	defer u.mu.Unlock()
	r, _ := u.find(k)
	if r.open != nil {
		rec.Count += r.open.Count
		rec.Until = r.open.Until
	}
	r.open = rec
}

// rollUp writes the roll-ups from time to time, until ctx ends.
func (a *Agent) rollUp(ctx context.Context) {
	tick := time.NewTicker(rollUpEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.writeRollups()
		}
	}
}

// writeRollups brings what was counted onto the tape.
func (a *Agent) writeRollups() {
	open, over, since, total := a.rollups.take(a.now())
	for k, rec := range open {
		if err := a.store.Append(rec, nil, nil, nil).Wait(); err != nil {
			a.rollups.putBack(k, rec)
			a.complain("can't write a roll-up, will try again", targetKey{}, err)
			continue
		}
		a.watch.tell(Event{Kind: Answered, Record: rec})
	}
	if over {
		a.log.Info("requests are recorded one by one again", "lasted", a.now().Sub(since).String(), "rolled-up", total)
	}
}

// counted notes a request that gets no record of its own.
func (a *Agent) counted(k kind, rec *store.Record, raw string) {
	a.metrics.answered(rec)
	a.metrics.rolledUp.Add(1)
	if a.rollups.count(k, rec, raw, a.now()) {
		a.log.Warn("requests come too fast to record one by one and are rolled up (logged once)",
			"verdict", k.verdict, "source", k.source, "remote", k.host, "reason", rec.Reason)
	}
}

// isOver says whether the request gets no record of its own. It must be asked once for each that is countable.
func (r *reception) isOver() bool {
	return r.found.countable() && r.rollups.over(r.kind(), r.now())
}

func (r *reception) kind() kind { return kindOf(r.found, r.sourceName(), r.from.remote) }

// skim reads the beginning of the body of a request that is only counted.
func (r *reception) skim() {
	if r.leaveUnread() {
		return
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for n := 0; n < skimMax; {
		got, err := r.x.Read(buf[:])
		if err != nil {
			return // its end, or the connection's: the server knows which
		}
		n += got
	}
	r.cut = true
}

// countOnly answers a request that gets no record of its own, once it is counted.
func (r *reception) countOnly() {
	r.rec = r.newRecord()
	r.render(verdictAnswer(r.found))(r.rec)
	r.counted(r.kind(), r.rec, r.x.Head.Raw)
	_, _ = r.x.Write(r.rec.Answer.Raw.Inline)
}
