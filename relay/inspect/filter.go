package inspect

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// Filter chooses records. Its zero value chooses all.
type Filter struct {
	Where        string          // an expression of relay/expr
	Source       string          // exactly this source
	Session      string          // records of this session, which must exist
	Verdicts     []store.Verdict // any of these
	Since, Until time.Time       // Time is not before Since, and before Until
}

// Query asks for a list of records.
type Query struct {
	Filter
	Limit  int      // 0: all
	Newest bool     // newest first; else in the order of arrival
	After  store.ID // goes on after this record, in the order asked for
	Reveal bool     // do not mask secrets
}

func (f Filter) values() url.Values {
	v := url.Values{}
	set := func(key, value string) {
		if value != "" {
			v.Set(key, value)
		}
	}
	set("where", f.Where)
	set("source", f.Source)
	set("session", f.Session)
	for _, verdict := range f.Verdicts {
		v.Add("verdict", string(verdict))
	}
	set("since", moment(f.Since))
	set("until", moment(f.Until))
	return v
}

func (q Query) values() url.Values {
	v := q.Filter.values()
	v.Set("limit", strconv.Itoa(q.Limit))
	if q.Newest {
		v.Set("order", "newest")
	}
	if !q.After.IsZero() {
		v.Set("after", q.After.String())
	}
	reveal(v, q.Reveal)
	return v
}

func reveal(v url.Values, yes bool) {
	if yes {
		v.Set("reveal", "true")
	}
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// parser takes values out of a URL's query, and keeps the first thing that is
// wrong with them.
type parser struct {
	url.Values
	err error
}

func (p *parser) wrong(key, want string) {
	if p.err == nil {
		p.err = refuse(Misused, "%s=%q is not %s", key, p.Get(key), want)
	}
}

func (p *parser) time(key string) time.Time {
	text := p.Get(key)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		p.wrong(key, "a time as in RFC 3339")
	}
	return t
}

func (p *parser) number(key string, otherwise int) int {
	if !p.Has(key) {
		return otherwise
	}
	n, err := strconv.Atoi(p.Get(key))
	if err != nil || n < 0 {
		p.wrong(key, "a number from 0 up")
	}
	return n
}

func (p *parser) id(key string) (id store.ID) {
	text := p.Get(key)
	if text == "" {
		return id
	}
	id, err := store.ParseID(text)
	if err != nil {
		p.wrong(key, "the id of a record")
	}
	return id
}

func (p *parser) bool(key string) bool { return p.Get(key) == "true" }

func (p *parser) filter() Filter {
	f := Filter{Where: p.Get("where"), Source: p.Get("source"), Session: p.Get("session"), Since: p.time("since"), Until: p.time("until")}
	for _, verdict := range p.Values["verdict"] {
		f.Verdicts = append(f.Verdicts, store.Verdict(verdict))
	}
	return f
}

func (p *parser) query() Query {
	q := Query{Filter: p.filter(), Limit: p.number("limit", 50), After: p.id("after"), Reveal: p.bool("reveal")}
	switch p.Get("order") {
	case "newest":
		q.Newest = true
	case "", "oldest":
	default:
		p.wrong("order", "newest or oldest")
	}
	return q
}

// choice is a Filter, prepared: its expression is compiled.
type choice struct {
	Filter
	where *expr.Expr // nil: all
	store *store.Store
}

func (s *Server) choose(f Filter) (*choice, error) {
	c := &choice{Filter: f, store: s.Store}
	if f.Session != "" {
		if _, err := s.Store.Session(f.Session); err != nil {
			return nil, sessionProblem(f.Session, err)
		}
	}
	if strings.TrimSpace(f.Where) == "" {
		return c, nil
	}
	where, err := expr.ParseWhere(f.Where)
	if err != nil {
		return nil, refuse(Misused, "%s", err)
	}
	c.where = where
	return c, nil
}

// scan is the part of the choice that the store can make with its indexes.
func (c *choice) scan() store.Query {
	q := store.Query{Source: c.Source, Session: c.Session, Since: c.Since, Until: c.Until}
	if len(c.Verdicts) == 1 {
		q.Verdict = c.Verdicts[0]
	}
	return q
}

// takes applies the whole choice. If its expression fails on a record, the record is not taken.
func (c *choice) takes(rec *store.Record) bool {
	switch {
	case c.Source != "" && rec.Source != c.Source,
		c.Session != "" && !slices.Contains(rec.Session, c.Session),
		len(c.Verdicts) > 0 && !slices.Contains(c.Verdicts, rec.Verdict),
		!c.Since.IsZero() && rec.Time.Before(c.Since),
		!c.Until.IsZero() && !rec.Time.Before(c.Until):
		return false
	case c.where == nil:
		return true
	}
	ok, err := c.where.Bool(view(c.store, rec))
	return ok && err == nil
}

// view gives expressions a record to look at. The body is read when an
// expression asks for it.
func view(s *store.Store, rec *store.Record) *expr.View {
	head, err := readHead(s, rec)
	if err != nil {
		head = nil // a record that never became a request has no head
	}
	return &expr.View{Record: rec, Head: head, Body: func() ([]byte, error) {
		body, err := openBody(s, rec, head)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		coded, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		return wire.PlainContent(head.Fields, coded, decodedMost)
	}}
}

// decodedMost is the most bytes that a gzip or deflate body may decode to. The
// agent itself uses the source's bound.
const decodedMost = 64 << 20

// readHead parses the head of a record.
func readHead(s *store.Store, rec *store.Record) (*wire.RequestHead, error) {
	if rec.HeadSize == 0 {
		return nil, fmt.Errorf("record %s has no request head: %s", rec.ID, rec.Verdict)
	}
	bytes, err := readStart(s, rec.Raw, rec.HeadSize)
	if err != nil {
		return nil, err
	}
	return wire.ParseRequestHead(bytes)
}

// readStart reads the first n bytes of raw.
func readStart(s *store.Store, raw store.Raw, n int) ([]byte, error) {
	if n <= len(raw.Inline) {
		return raw.Inline[:n], nil
	}
	r := s.Open(raw)
	defer r.Close()
	start := make([]byte, n)
	_, err := io.ReadFull(r, start)
	return start, err
}
