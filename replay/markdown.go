package replay

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"strings"
	"time"
)

// Markdown gathers a report for the step summary of a GitHub job: the sums in a
// table, and the first cases that there are to look at.
type Markdown struct {
	title string
	bad   bytes.Buffer
	shown int
	more  int
}

const (
	// markdownCases and markdownBytes bound the cases that are shown: a step
	// summary may have 1 MiB (docs.github.com), and nobody reads as much.
	markdownCases = 50
	markdownBytes = 256 << 10
)

// NewMarkdown begins a report.
func NewMarkdown(title string) *Markdown { return &Markdown{title: title} }

// Add takes a case in.
func (m *Markdown) Add(c *Case) {
	if c.Outcome.Good() {
		return
	}
	text := fmt.Sprintf("<details><summary><b>%s</b> %s → %s <code>%s</code></summary>\n<pre>%s</pre>\n</details>\n",
		html.EscapeString(string(c.Outcome)), literal(c.Request), literal(c.To), html.EscapeString(c.Record), literal(c.Text))
	if m.shown == markdownCases || m.bad.Len()+len(text) > markdownBytes {
		m.more++
		return
	}
	m.shown++
	m.bad.WriteString(text)
}

// literal is text as it stands in the HTML of a markdown file, where nothing
// but an empty line would end that (CommonMark, section 4.6).
func literal(text string) string {
	lines := strings.Split(html.EscapeString(text), "\n")
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			lines[i] = "&nbsp;"
		}
	}
	return strings.Join(lines, "\n")
}

// WriteTo writes the report, with what s sums up. brokenOff says why not all was
// sent; "": all was.
func (m *Markdown) WriteTo(w io.Writer, s *Summary, took time.Duration, brokenOff string) error {
	var b bytes.Buffer
	verdict := "✅"
	if s.Bad() > 0 || brokenOff != "" {
		verdict = "❌"
	}
	fmt.Fprintf(&b, "### %s %s\n\n", verdict, m.title)
	if brokenOff != "" {
		fmt.Fprintf(&b, "<pre>not all was sent: %s</pre>\n\n", literal(brokenOff))
	}
	fmt.Fprintf(&b, "%d sent in %s\n", s.Sent(), took.Round(time.Millisecond))
	markdownOutcomes(&b, s)
	markdownSpreads(&b, s)
	markdownPlaces(&b, s)
	if m.shown > 0 {
		b.WriteString("\n")
		b.Write(m.bad.Bytes())
	}
	if m.more > 0 {
		fmt.Fprintf(&b, "\nand %d more\n", m.more)
	}
	b.WriteString("\n")
	_, err := w.Write(b.Bytes())
	return err
}

func markdownOutcomes(b *bytes.Buffer, s *Summary) {
	if s.All() == 0 && s.LeftOut == 0 {
		return
	}
	b.WriteString("\n| outcome | |\n|---|--:|\n")
	for _, t := range s.ByOutcome() {
		fmt.Fprintf(b, "| %s | %d |\n", strings.ReplaceAll(string(t.Of), "_", " "), t.N)
	}
	if s.LeftOut > 0 {
		fmt.Fprintf(b, "| left out | %d |\n", s.LeftOut)
	}
	for _, t := range s.ByStatus() {
		fmt.Fprintf(b, "| status %d | %d |\n", t.Of, t.N)
	}
}

func markdownSpreads(b *bytes.Buffer, s *Summary) {
	if s.Took.Count() == 0 {
		return
	}
	b.WriteString("\n| | p50 | p90 | p99 | max |\n|---|--:|--:|--:|--:|\n")
	for _, row := range s.Spreads() {
		fmt.Fprintf(b, "| %s |", row.Name)
		for _, q := range Quantiles {
			fmt.Fprintf(b, " %.1f ms |", milliseconds(row.Of.Quantile(q.Part)))
		}
		b.WriteString("\n")
	}
}

// PlacesShown is how many of the places at which responses differ are worth a reader's time.
const PlacesShown = 10

func markdownPlaces(b *bytes.Buffer, s *Summary) {
	places := s.ByPlace()
	if len(places) == 0 {
		return
	}
	b.WriteString("\n| differs at | |\n|---|--:|\n")
	for _, t := range places[:min(len(places), PlacesShown)] {
		fmt.Fprintf(b, "| <code>%s</code> | %d |\n", strings.ReplaceAll(html.EscapeString(t.Of), "|", "&#124;"), t.N)
	}
	if more := len(places) - PlacesShown; more > 0 {
		fmt.Fprintf(b, "| and %d more places | |\n", more)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
