package relay

import (
	"sync"
	"time"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/store"
)

// complainEvery is how often a failure that goes on is logged.
const complainEvery = time.Minute

// done tells of a request that is recorded, and answered or refused. In the log it is one line, for those who want it.
func (a *Agent) done(rec *store.Record) { a.doneWith(Event{Kind: Answered, Record: rec}) }

// hidden are the names of what is masked beside the defaults.
func (a *Agent) hidden() mask.Names {
	if names := a.mask.Load(); names != nil {
		return *names
	}
	return nil
}

// doneWith is done where there is more to say about it.
func (a *Agent) doneWith(e Event) {
	if a.log.IsDebug() {
		a.log.Debug("request recorded", requestLine(e.Record, a.hidden())...)
	}
	a.metrics.answered(e.Record)
	a.watch.tell(e)
}

// requestLine is a request in a line of the log: what lists show, with the secrets of these names masked.
func requestLine(rec *store.Record, names mask.Names) []any {
	line := []any{
		"record", rec.ID, "source", rec.Source, "verdict", rec.Verdict, "remote", rec.Remote,
		"method", rec.Method, "path", names.Target(rec.Target), "size", rec.Raw.Size,
	}
	if rec.Reason != "" {
		line = append(line, "reason", rec.Reason)
	}
	if rec.Answer != nil {
		line = append(line, "status", rec.Answer.Status, "duration", rec.Answer.Duration.String())
	}
	return line
}

// complaints remembers what was complained of, so that a failure that goes on does not fill the log. What can fail is
// bounded by the phrases in this package and the targets of the configuration. The zero value has none.
type complaints struct {
	mu   sync.Mutex // guards told, for moments
	told map[complaint]*repeats
}

type complaint struct {
	phrase string
	about  targetKey
}

type repeats struct {
	since time.Time
	times int // since then, beside the first
}

// again says whether to complain now of what happened so many times, and how often it happened since the last time.
func (c *complaints) again(what complaint, count int, now time.Time) (tell bool, times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.told[what]
	if r != nil && now.Sub(r.since) < complainEvery && !now.Before(r.since) {
		r.times += count
		return false, 0
	}
	if r != nil {
		times = r.times
	}
	if c.told == nil {
		c.told = make(map[complaint]*repeats)
	}
	c.told[what] = &repeats{since: now}
	return true, times
}

// complain logs a failure that may go on: at once, and then once a minute with how often it happened between.
func (a *Agent) complain(phrase string, of targetKey, err error, more ...any) {
	tell, times := a.complaints.again(complaint{phrase, of}, 1, a.now())
	if !tell {
		return
	}
	if of.source != "" {
		more = append(more, "source", of.source)
	}
	if of.name != "" {
		more = append(more, "target", of.name)
	}
	more = append(more, sinceThen(times)...)
	a.log.Error(phrase, append(more, "error", err)...)
}

// sinceThen says in a line of the log how often it happened since the last one, if it did.
func sinceThen(times int) []any {
	if times == 0 {
		return nil
	}
	return []any{"times-since", times}
}
