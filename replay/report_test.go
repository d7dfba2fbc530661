package replay

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	goodCase = Case{Record: "01A", Request: "POST /a", To: "app http://h/a", Outcome: Same, Status: 200, Took: 2 * time.Millisecond}
	badCase  = Case{
		Record: "01B", Request: `POST /a?b="<|`, To: "app http://h/a", Outcome: Differs, Status: 500, Took: 3 * time.Millisecond,
		Paced: true, Late: time.Millisecond, Text: "then  200\n\nnow <b>*500*</b> ]]> \x00\x1b[31m\xff\u2028 &amp;\n```",
	}
	lostCase   = Case{Record: "01C", Request: "POST /c", To: "app http://h/a", Outcome: Failed, Text: "connect: refused"}
	unsentCase = Case{Record: "01D", Request: "POST /d", Outcome: NotSent, Text: "not sent: cut"}
)

func TestASummaryCountsWaitingForThoseInFront(t *testing.T) {
	var s Summary
	for i := range 10 { // due every 10 ms, sent one behind the other, each takes 100 ms
		s.Add(&Case{Outcome: Same, Status: 200, Took: 100 * time.Millisecond, Paced: true, Late: time.Duration(i) * 90 * time.Millisecond})
	}
	if got := s.Took.Quantile(1); got != 100*time.Millisecond {
		t.Errorf("a response took %v", got)
	}
	if got := s.Waited.Quantile(1); got != 910*time.Millisecond {
		t.Errorf("the last was waited for %v", got)
	}
	if got := s.Late.Quantile(0.5); got < 360*time.Millisecond || got > 368*time.Millisecond {
		t.Errorf("half were sent %v late", got)
	}
}

func TestASummaryCountsOutcomes(t *testing.T) {
	var s Summary
	for _, c := range []Case{goodCase, goodCase, badCase, lostCase, unsentCase, {Outcome: Answered, Status: 204}} {
		s.Add(&c)
	}
	if s.All() != 6 || s.Sent() != 5 || s.Bad() != 3 || s.Took.Count() != 4 || s.Late.Count() != 1 {
		t.Errorf("%+v", s)
	}
	if got, want := fmt.Sprint(s.ByOutcome(), s.ByStatus()), "[{same 2} {answered 1} {differs 1} {failed 1} {not_sent 1}] [{200 2} {204 1} {500 1}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// suite is a JUnit report as a reader sees it.
type suite struct {
	XMLName xml.Name `xml:"testsuites"`
	Suite   struct {
		Tests    int     `xml:"tests,attr"`
		Failures int     `xml:"failures,attr"`
		Errors   int     `xml:"errors,attr"`
		Time     float64 `xml:"time,attr"`
		Cases    []struct {
			Class   string  `xml:"classname,attr"`
			Name    string  `xml:"name,attr"`
			Time    float64 `xml:"time,attr"`
			Failure *found  `xml:"failure"`
			Error   *found  `xml:"error"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

type found struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func TestAJUnitReportIsWellFormedWhateverIsInIt(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "report.xml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	began := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	j, err := NewJUnit(file, `a "name" & <more>`, began)
	for _, c := range []Case{goodCase, badCase, lostCase, unsentCase} {
		if err == nil {
			err = j.Add(&c)
		}
	}
	if err == nil {
		err = j.Close(began.Add(90*time.Minute), "interrupted <by> a person")
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	var got suite
	decoder := xml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&got); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if rest := text[decoder.InputOffset():]; strings.TrimSpace(string(rest)) != "" {
		t.Errorf("something is behind the end: %q", rest)
	}
	s := got.Suite
	if s.Tests != 5 || s.Failures != 1 || s.Errors != 3 || s.Time != 5400 || len(s.Cases) != 5 {
		t.Fatalf("%+v", s)
	}
	if c := s.Cases[0]; c.Failure != nil || c.Error != nil || c.Name != "01A POST /a" || c.Time != 0.002 {
		t.Errorf("%+v", c)
	}
	if f := s.Cases[1].Failure; f == nil || f.Type != "differs" || f.Message != "then  200" || !strings.Contains(f.Text, "<b>*500*</b> ]]> \ufffd\ufffd[31m") {
		t.Errorf("%+v", f)
	}
	if e := s.Cases[2].Error; e == nil || e.Text != "connect: refused" {
		t.Errorf("%+v", e)
	}
	if e := s.Cases[4].Error; e == nil || e.Message != "not all was sent: interrupted <by> a person" {
		t.Errorf("%+v", e)
	}
}

func TestAStepSummarySaysThatNotAllWasSent(t *testing.T) {
	m, s := NewMarkdown("hooktape replay"), new(Summary)
	m.Add(&goodCase)
	s.Add(&goodCase)
	var b strings.Builder
	if err := m.WriteTo(&b, s, time.Second, "interrupted <by> a person"); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); !strings.Contains(text, "### ❌ hooktape replay\n\n<pre>not all was sent: interrupted &lt;by&gt; a person</pre>") {
		t.Errorf("%s", text)
	}
}

func TestAStepSummaryIsBoundedAndSaysNothingOfItsOwn(t *testing.T) {
	m, s := NewMarkdown("hooktape replay"), new(Summary)
	for i := range 3 * markdownCases {
		for _, c := range []Case{goodCase, badCase} {
			c.Text += strings.Repeat("x", 100*i)
			m.Add(&c)
			s.Add(&c)
		}
	}
	var b strings.Builder
	if err := m.WriteTo(&b, s, time.Second, ""); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"### ❌ hooktape replay", "| same | 150 |", "| differs | 150 |", "| status 500 | 150 |", "\nand 100 more\n",
		"<b>differs</b> POST /a?b=&#34;&lt;|", "then  200\n&nbsp;\nnow &lt;b&gt;*500*",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%.3000s", want, text)
		}
	}
	if strings.Contains(text, "<b>*500") || len(text) > markdownBytes+10_000 {
		t.Errorf("%d bytes", len(text))
	}
}
