package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// page is what show prints about a record for people. Everything that came
// from outside goes through clean.
type page struct {
	now    time.Time
	ink    ink
	names  mask.Names // what to mask besides the defaults
	reveal bool

	record   inspect.Record
	request  *message
	answer   *message // nil: not answered
	attempts []inspect.Attempt

	b strings.Builder
}

// labelWidth is the column in which values begin.
const labelWidth = 11

func (p *page) String() string {
	p.b.Reset()
	p.facts()
	p.message(p.request, p.record.Truncated)
	p.answered()
	p.tried()
	p.deliveries()
	return p.b.String()
}

// facts is the first part: the request line, and what was found out.
func (p *page) facts() {
	r := &p.record
	title := clean(strings.Join(strings.Fields(r.Method+" "+r.Path+" "+r.Proto), " "))
	if title == "" {
		title = "no request: " + string(r.Verdict)
	}
	fmt.Fprintln(&p.b, p.ink.bold(title))
	p.fact("id", r.ID.String())
	p.fact("time", fmt.Sprintf("%s (%s)", r.Time.Local().Format("2006-01-02 15:04:05.000 -07:00"), ago(p.now.Sub(r.Time.Time))))
	p.rollUp()
	p.fact("was", r.Origin)
	from := orMany(r.Remote) + ", " + r.Via
	if r.Edge != "" {
		from += " (the edge's record " + r.Edge + ")"
	}
	if r.Proxy != "" {
		from += ", through " + r.Proxy
	}
	if r.Via == store.ViaAgent {
		from = "hooktape itself"
	}
	p.fact("from", from)
	p.fact("host", r.Host)
	p.fact("source", r.Source)
	p.fact("event", cmp.Or(strings.Join(r.Events, ", "), r.Event))
	p.fact("trace", r.Trace)
	if r.Cause != nil {
		p.fact("caused by", ending(*r.Cause)+", by "+string(r.CauseBy))
	}
	p.fact("session", strings.Join(r.Session, ", "))
	p.paintedFact("verdict", p.verdict())
	p.fact("auth", p.auth())
	p.fact("size", p.size())
}

// rollUp says what a roll-up stands for.
func (p *page) rollUp() {
	r := &p.record
	if r.Count == 0 {
		return
	}
	p.fact("roll-up", fmt.Sprintf("stands for %d requests that came too fast to record one by one, until %s; what follows describes the first",
		r.Count, r.Until.Local().Format("15:04:05.000")))
}

// orMany is who a request came from; a roll-up may stand for more senders than it distinguishes.
func orMany(remote string) string {
	if remote == "" {
		return "many hosts"
	}
	return remote
}

// fact prints a value unless it is "".
func (p *page) fact(label, value string) { p.paintedFact(label, clean(value)) }

func (p *page) paintedFact(label, value string) {
	if value != "" {
		fmt.Fprintf(&p.b, "%s%s\n", p.ink.dim(pad(label, labelWidth)), value)
	}
}

func (p *page) verdict() string {
	r := &p.record
	text, paint := string(r.Verdict), ink.green
	if r.Verdict.Refused() {
		paint = ink.yellow
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	if r.Verified {
		text += ", verified"
	}
	return paint(p.ink, clean(text))
}

func (p *page) auth() string {
	a := &p.record.Auth
	if !a.Present {
		return ""
	}
	text := a.Masked
	switch {
	case a.Expires.IsZero():
	case a.Expires.Before(p.record.Time.Time):
		text += ", had expired " + a.Expires.Local().Format(listTime)
	default:
		text += ", expires " + a.Expires.Local().Format(listTime)
	}
	return text
}

func (p *page) size() string {
	r := &p.record
	text := size(r.Size)
	if r.BodySize > 0 {
		text += ", body " + size(r.BodySize)
	}
	if r.Truncated {
		text += ", only the beginning was kept"
	}
	return text
}

func (p *page) section(title, about string) {
	fmt.Fprintf(&p.b, "\n%s", p.ink.bold(title))
	if about != "" {
		fmt.Fprintf(&p.b, "  %s", about)
	}
	p.b.WriteByte('\n')
}

// message prints headers, body and trailers.
func (p *page) message(m *message, truncated bool) {
	if m.start == "" {
		p.section("bytes", "these never became a request")
		p.lines(renderJunk(m.junk, p.names, p.reveal))
		return
	}
	if len(m.fields) > 0 {
		p.section("headers", "")
		p.fields(m.fields)
	}
	p.body(m, truncated)
	if len(m.trailers) > 0 {
		p.section("trailers", "")
		p.fields(m.trailers)
	}
}

// fields prints header pairs in the order they were sent.
func (p *page) fields(fields wire.Fields) {
	for _, f := range fields {
		value := f.Value
		if !p.reveal {
			value = p.names.Field(f.Name, value)
		}
		fmt.Fprintf(&p.b, "  %s %s\n", p.ink.dim(clean(f.Name)+":"), clean(value))
	}
}

func (p *page) body(m *message, truncated bool) {
	if len(m.body) == 0 {
		return
	}
	shown := renderBody(m, p.names, p.reveal)
	about := shown.kind
	switch {
	case truncated:
		about += ", only its beginning was kept"
	case m.bodyCut:
		about += ", cut short by the sender"
	case !m.bodyWhole:
		about += ", its beginning; --body gives all of it"
	}
	p.section("body", p.ink.dim(clean(about)))
	p.lines(shown.text)
}

// longestLine is how many characters of a line are shown: enough for any that
// a person reads, too few for an encoded image to flood the screen.
const longestLine = 2000

// lines prints text of several lines, indented.
func (p *page) lines(text string) {
	for line := range strings.Lines(cleanLines(text)) {
		line = strings.TrimSuffix(line, "\n")
		if more := width(line) - longestLine; more > 0 {
			line = fmt.Sprintf("%s %s", cut(line, longestLine), p.ink.dim(fmt.Sprintf("(%d characters more)", more)))
		}
		if line != "" {
			line = "  " + line
		}
		p.b.WriteString(line + "\n")
	}
}

// answered is what the sender got.
func (p *page) answered() {
	a := p.record.Answer
	if a == nil {
		p.section("answer", "none")
		return
	}
	after := milliseconds(a.Duration.Duration())
	if a.Early {
		after += " and its commit"
	}
	p.section("answer", fmt.Sprintf("%s after %s", p.ink.status(a.Status, statusText(a.Status)), after))
	if a.Error != "" {
		fmt.Fprintf(&p.b, "  %s\n", p.ink.red("the sender may not have got all of it: "+clean(a.Error)))
	}
	if p.answer == nil || p.answer.start == "" {
		return
	}
	fmt.Fprintf(&p.b, "  %s\n", clean(p.answer.start))
	p.fields(p.answer.fields)
	if len(p.answer.body) > 0 {
		p.b.WriteByte('\n')
		p.lines(renderBody(p.answer, p.names, p.reveal).text)
		if !p.answer.bodyWhole {
			fmt.Fprintf(&p.b, "  %s\n", p.ink.dim("(only its beginning; --answer gives all of it)"))
		}
	}
}

// tried lists the attempts.
func (p *page) tried() {
	if len(p.attempts) == 0 {
		return
	}
	p.section("attempts", "")
	t := p.table(6)
	t.right = []int{4}
	for _, a := range p.attempts {
		kind := a.Target
		if a.Replay {
			kind = strings.TrimSpace("replay " + kind)
		}
		if a.Accepted {
			kind += ", accepted"
		}
		if a.Edited {
			kind += ", edited"
		}
		result := cell{text: a.Error, paint: ink.red}
		switch {
		case a.Error != "" && a.Status != 0:
			result.text = statusText(a.Status) + "  " + a.Error
		case a.Error == "":
			result.text = statusText(a.Status) + "  " + size(max(0, a.Size-int64(a.HeadSize)))
			result.paint = func(i ink, s string) string { return i.status(a.Status, s) }
		}
		if a.Finding != "" {
			result.text += "  unexpected: not " + a.Finding
			result.paint = ink.yellow
		}
		p.row(t, cell{text: "  " + strconv.Itoa(a.Number)}, cell{text: a.Time.Local().Format("01-02 15:04:05.000"), paint: ink.dim},
			cell{text: kind}, cell{text: a.URL}, cell{text: milliseconds(a.Duration.Duration())}, result)
	}
	p.end(t)
}

// deliveries lists the deliveries.
func (p *page) deliveries() {
	if len(p.record.Deliveries) == 0 {
		return
	}
	p.section("deliveries", "")
	t := p.table(3)
	for _, d := range p.record.Deliveries {
		var about []string
		if d.Attempts > 0 {
			about = append(about, count(d.Attempts, "attempt", "attempts"))
		}
		if last := lastOutcome(d); last != "" && d.State != store.Delivered {
			about = append(about, "last: "+last)
		}
		if next := nextAttempt(&d, p.now); next != "" {
			about = append(about, "next "+next)
		}
		state := string(stateOfDelivery(&d))
		p.row(t, cell{text: "  " + d.Target}, cell{text: state, paint: paintState(state)},
			cell{text: strings.Join(about, ", ")})
	}
	p.end(t)
}

// table is a part of the page in columns. Writes to a Builder do not fail, so row
// and end have no error to pass on.
func (p *page) table(columns int) *table {
	return &table{out: &p.b, ink: p.ink, long: -1, widths: make([]int, columns)}
}

func (p *page) row(t *table, row ...cell) { _ = t.add(row) }

func (p *page) end(t *table) { _ = t.flush() }

func lastOutcome(d inspect.Delivery) string {
	if d.Error != "" {
		return d.Error
	}
	if d.Status != 0 {
		return statusText(d.Status)
	}
	return ""
}

// ago says how long ago something was.
func ago(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 2*day:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d/day))
}
