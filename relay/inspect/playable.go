package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/store"
)

// Playable is a record with all that a replay needs of it, so that one question is enough for all records.
type Playable struct {
	Record
	Key     string         `json:"key"`     // its key, whose deliveries keep their order; "": none
	Raw     []byte         `json:"raw"`     // its bytes; null: too many, use Client.Raw
	Targets []RecordTarget `json:"targets"` // where it goes
	Past    []Past         `json:"past"`    // what to compare a replay with: the last attempts at each target that got a response
}

// Past is an attempt that was no replay, or an accepted one, and its response.
type Past struct {
	Attempt
	Response []byte `json:"response"` // its bytes; null: too many, use Client.Response
}

// PlayQuery asks for records to be played back, in the order of their arrival, or as they are named.
type PlayQuery struct {
	Filter
	Names   []string // of records, instead of the Filter
	Newest  int      // only so many, the newest; 0: all
	OrderBy string   // an expression of relay/expr for Playable.Key; "": no keys
	Reveal  bool     // do not mask secrets in paths
}

func (q PlayQuery) values() url.Values {
	v := Query{Filter: q.Filter, Limit: q.Newest, Reveal: q.Reveal}.values()
	v["record"] = q.Names
	if q.OrderBy != "" {
		v.Set("order_by", q.OrderBy)
	}
	return v
}

// Playable returns records with all that a replay needs of them. What is wrong with the question, even a name that no
// record has, comes before the first record.
func (c *Client) Playable(ctx context.Context, q PlayQuery) iter.Seq2[Playable, error] {
	if c.local == nil {
		return lines[Playable](func() (*http.Response, error) { return c.get(ctx, "/v1/playable", q.values()) })
	}
	return func(yield func(Playable, error) bool) {
		records, err := c.local.loaded(ctx, q)
		if err != nil {
			yield(Playable{}, problemOf(err))
			return
		}
		for p, err := range records {
			if err != nil {
				yield(Playable{}, problemOf(err))
				return
			}
			if !yield(*p, nil) {
				return
			}
		}
	}
}

// playable answers a PlayQuery, one record a line.
func (s *Server) playable(w http.ResponseWriter, r *http.Request) error {
	p := parser{Values: r.URL.Query()}
	q := PlayQuery{Filter: p.filter(), Names: p.Values["record"], Newest: p.number("limit", 0), OrderBy: p.Get("order_by"), Reveal: p.bool("reveal")}
	if p.err != nil {
		return p.err
	}
	records, err := s.loaded(r.Context(), q)
	if err != nil {
		return err
	}
	return sendLines(w, func(line func(any) error) error {
		for loaded, err := range records {
			if err == nil {
				err = line(loaded)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// loaded are the records that a PlayQuery asks for, with all that belongs to them. What is damaged is skipped, and is the
// error at the end.
func (s *Server) loaded(ctx context.Context, q PlayQuery) (iter.Seq2[*Playable, error], error) {
	loading, err := s.newLoading(q.OrderBy, q.Reveal)
	if err != nil {
		return nil, err
	}
	if err := s.upToNow(ctx); err != nil {
		return nil, err
	}
	records, err := s.toPlay(ctx, q)
	if err != nil {
		return nil, err
	}
	return func(yield func(*Playable, error) bool) {
		var lost damage
		for rec, err := range records {
			var loaded *Playable
			if err == nil {
				loaded, err = loading.load(rec)
			}
			if err := lost.passOver(err); err != nil {
				yield(nil, err)
				return
			}
			if loaded != nil && !yield(loaded, nil) {
				return
			}
		}
		if err := lost.err(); err != nil {
			yield(nil, err)
		}
	}, nil
}

// toPlay are the records that a PlayQuery is about.
func (s *Server) toPlay(ctx context.Context, q PlayQuery) (iter.Seq2[*store.Record, error], error) {
	if len(q.Names) > 0 {
		return s.byName(q.Names)
	}
	chosen, err := s.choose(q.Filter)
	if err != nil {
		return nil, err
	}
	last, err := s.Store.Find("last")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	scan := chosen.scan()
	if q.Newest > 0 {
		if scan.After, err = s.beforeNewest(ctx, chosen, q.Newest); err != nil {
			return nil, err
		}
	}
	return upTo(last, s.chosen(ctx, chosen, scan)), nil
}

// upTo ends the records after the last: a replay through the agent itself makes new ones, which must not be replayed.
func upTo(last store.ID, records iter.Seq2[*store.Record, error]) iter.Seq2[*store.Record, error] {
	return func(yield func(*store.Record, error) bool) {
		for rec, err := range records {
			if err == nil && rec.ID.Compare(last) > 0 || !yield(rec, err) {
				return
			}
		}
	}
}

// byName are records by their names, all of which are looked up at once.
func (s *Server) byName(names []string) (iter.Seq2[*store.Record, error], error) {
	ids := make([]store.ID, len(names))
	for i, name := range names {
		var err error
		if ids[i], err = s.Store.Find(name); err != nil {
			return nil, notFound(name, err)
		}
	}
	return func(yield func(*store.Record, error) bool) {
		for i, id := range ids {
			rec, err := s.Store.Get(id)
			if err != nil {
				err = notFound(names[i], err)
			}
			if !yield(rec, err) {
				return
			}
		}
	}, nil
}

// chosen are the records of a scan that are chosen. The agent's own calls are not for playing back.
func (s *Server) chosen(ctx context.Context, by *choice, scan store.Query) iter.Seq2[*store.Record, error] {
	return func(yield func(*store.Record, error) bool) {
		for rec, err := range s.taken(ctx, by, scan) {
			if (err != nil || rec.Via != store.ViaAgent) && !yield(rec, err) {
				return
			}
		}
	}
}

// taken are the records of a scan that a choice takes.
func (s *Server) taken(ctx context.Context, by *choice, scan store.Query) iter.Seq2[*store.Record, error] {
	return func(yield func(*store.Record, error) bool) {
		for rec, err := range s.Store.Records(scan) {
			if ctx.Err() != nil {
				return
			}
			if (err != nil || by.takes(rec)) && !yield(rec, err) {
				return
			}
		}
	}
}

// beforeNewest is the id after which the newest n of the chosen records come. It counts back rather than gathering them,
// since there may be many.
func (s *Server) beforeNewest(ctx context.Context, by *choice, n int) (store.ID, error) {
	scan := by.scan()
	scan.Newest = true
	var first store.ID
	for rec, err := range s.chosen(ctx, by, scan) {
		if err != nil {
			if errors.Is(err, store.ErrDamaged) {
				continue // reported on the way forth
			}
			return store.ID{}, err
		}
		if first = rec.ID; n == 1 {
			break
		}
		n--
	}
	return before(first), nil
}

// before is the id just before another one; for zero, it is zero.
func before(id store.ID) store.ID {
	for i := len(id) - 1; i >= 0 && !id.IsZero(); i-- {
		if id[i]--; id[i] != 0xff {
			break
		}
	}
	return id
}

// loading is what must be known to load records.
type loading struct {
	server  *Server
	sources []Source
	names   mask.Names
	reveal  bool
	orderBy *expr.Expr            // nil: there are no keys
	whens   map[string]*expr.Expr // the conditions of targets, by how they are written
}

func (s *Server) newLoading(orderBy string, reveal bool) (*loading, error) {
	l := &loading{server: s, reveal: reveal, whens: make(map[string]*expr.Expr)}
	var err error
	if orderBy != "" {
		if l.orderBy, err = expr.ParseText(orderBy); err != nil {
			return nil, refuse(Misused, "order by: %s", err)
		}
	}
	if l.names, err = s.names(); err != nil {
		return nil, err
	}
	l.sources, err = s.sources()
	return l, err
}

// load makes the JSON of a record. With an error that wraps store.ErrDamaged, it has everything else.
func (l *loading) load(rec *store.Record) (*Playable, error) {
	p := &Playable{Record: *newRecord(rec), Raw: rec.Raw.Inline, Targets: []RecordTarget{}, Past: []Past{}}
	if !l.reveal {
		p.Path = l.names.Target(rec.Target)
	}
	v := view(l.server.Store, rec)
	for _, source := range l.sources {
		if source.Name != rec.Source || rec.Source == "" || rec.Via == store.ViaAgent {
			continue
		}
		v.Params = source.Params
		for _, target := range source.Targets {
			wanted, err := l.wanted(target, v)
			if err != nil {
				return nil, err
			}
			if wanted {
				p.Targets = append(p.Targets, RecordTarget{target, rec.Base + cmp.Or(rec.Path, source.Path), added(target, rec)})
			}
		}
	}
	if l.orderBy != nil {
		// A record whose key can't be computed has no order, as in the agent.
		p.Key, _ = l.orderBy.String(v)
	}
	var err error
	p.Past, err = l.server.past(rec.ID)
	return p, err
}

// wanted evaluates a target's condition. One that fails does not hold, as when
// the agent delivers.
func (l *loading) wanted(t Target, v *expr.View) (bool, error) {
	if t.When == "" {
		return true, nil
	}
	when := l.whens[t.When]
	if when == nil {
		var err error
		if when, err = expr.Parse(t.When); err != nil {
			return false, fmt.Errorf("target %q: when: %w", t.Name, err)
		}
		l.whens[t.When] = when
	}
	holds, err := when.Bool(v)
	return holds && err == nil, nil
}

// past are, for each target, the last attempts of a record that got a response and were no replays, or accepted ones. A
// target may have got the record as it was first and rewritten later: so the last attempt is given of both kinds (see
// Rewritten).
func (s *Server) past(id store.ID) ([]Past, error) {
	attempts, err := s.Store.Attempts(id)
	last := []Past{}
	for i := range attempts {
		a := &attempts[i]
		if a.Status == 0 || a.Replay && !a.Accepted {
			continue
		}
		p := Past{showAttempt(a), a.Response.Inline}
		last = append(without(last, &p), p)
	}
	return last, err
}

func without(all []Past, latest *Past) []Past {
	return slices.DeleteFunc(all, func(p Past) bool {
		return p.Source == latest.Source && p.Target == latest.Target && p.Rewritten() == latest.Rewritten()
	})
}

// Rewritten says whether the agent sent something other than what was recorded: the request as the target's rewrite has
// it, or a question about progress. Only replays to a target with a rewrite can be compared with it.
func (p *Past) Rewritten() bool { return p.Edited && !p.Accepted }
