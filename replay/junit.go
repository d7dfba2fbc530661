package replay

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// JUnit writes a report as CI systems read it: a test suite with a test case for
// each shot. There is no standard but what they all read (the schema of the Ant
// task, and of Maven Surefire).
//
// Cases are written as they come, so that any number of them takes no memory.
// How many there are stands in front, in room that is kept for it.
type JUnit struct {
	to    io.WriteSeeker
	w     *bufio.Writer
	name  string
	began time.Time
	n     junitCounts
}

type junitCounts struct{ tests, failures, errors int }

// NewJUnit begins a report in an empty file. name is that of the suite.
func NewJUnit(to io.WriteSeeker, name string, began time.Time) (*JUnit, error) {
	j := &JUnit{to: to, w: bufio.NewWriter(to), name: name, began: began}
	_, err := j.w.WriteString(j.head(0))
	return j, err
}

// head is the beginning of the file. It is as long whatever the counts are.
func (j *JUnit) head(took time.Duration) string {
	const width = 128 // room for numbers of any size
	counts := fmt.Sprintf(`tests="%d" failures="%d" errors="%d" skipped="0" time="%.3f"`, j.n.tests, j.n.failures, j.n.errors, took.Seconds())
	counts += fmt.Sprintf("%*s", max(0, width-len(counts)), "")
	return fmt.Sprintf("%s<testsuites>\n<testsuite name=%s timestamp=%q %s>\n",
		xml.Header, quoted(j.name), j.began.UTC().Format("2006-01-02T15:04:05"), counts)
}

// Add writes a case.
func (j *JUnit) Add(c *Case) error {
	j.n.tests++
	fmt.Fprintf(j.w, `<testcase classname=%s name=%s time="%.6f"`, quoted(c.To), quoted(c.Record+" "+c.Request), c.Took.Seconds())
	if c.Outcome.Good() {
		_, err := j.w.WriteString("/>\n")
		return err
	}
	kind := "failure"
	if c.Outcome == Failed || c.Outcome == NotSent {
		kind = "error"
		j.n.errors++
	} else {
		j.n.failures++
	}
	first, _, _ := strings.Cut(c.Text, "\n")
	_, err := fmt.Fprintf(j.w, "><%s type=%s message=%s>%s</%s></testcase>\n", kind, quoted(string(c.Outcome)), quoted(cmp.Or(c.Brief, first)), escaped(c.Text), kind)
	return err
}

// Close writes the end, and the counts. The file stays open. brokenOff says why not all was sent, which is a case of its
// own with an error, since viewers show cases; "": all was.
func (j *JUnit) Close(now time.Time, brokenOff string) error {
	if brokenOff != "" {
		j.n.tests++
		j.n.errors++
		fmt.Fprintf(j.w, "<testcase classname=%s name=\"everything is sent\" time=\"0\"><error type=\"broken_off\" message=%s></error></testcase>\n",
			quoted(j.name), quoted("not all was sent: "+brokenOff))
	}
	j.w.WriteString("</testsuite>\n</testsuites>\n")
	if err := j.w.Flush(); err != nil {
		return err
	}
	if _, err := j.to.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.WriteString(j.to, j.head(now.Sub(j.began))); err != nil {
		return err
	}
	_, err := j.to.Seek(0, io.SeekEnd)
	return err
}

func quoted(text string) string { return `"` + escaped(text) + `"` }

// escaped is text in XML. What XML 1.0 has no characters for becomes U+FFFD.
func escaped(text string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(text)); err != nil {
		panic(err) // a buffer takes all
	}
	return b.String()
}
