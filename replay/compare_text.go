package replay

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// gap is where two lists differ: then[a:aEnd] has now[b:bEnd] in its place.
type gap struct{ a, aEnd, b, bEnd int }

// gaps are the places where two lists of lines differ, found in O(n log n) by
// those lines that both have once.
func gaps(then, now []string) (found []gap) {
	unified := diff.Diff("", lined(then), "", lined(now))
	i, j, n, inside := 0, 0, 0, false
	for line := range bytes.Lines(unified) {
		if n++; n <= 3 { // the names
			continue
		}
		if changed := line[0] == '-' || line[0] == '+'; changed && !inside {
			found = append(found, gap{i, i, j, j})
			inside = true
		} else if !changed {
			inside = false
		}
		switch line[0] {
		case '@':
			i, j = hunkStart(string(line))
		case ' ':
			i, j = i+1, j+1
		case '-':
			i++
			found[len(found)-1].aEnd = i
		case '+':
			j++
			found[len(found)-1].bEnd = j
		}
	}
	return found
}

// hunkStart reads @@ -7,3 +7,4 @@: where lines count from one, but for none.
func hunkStart(line string) (i, j int) {
	var countA, countB int
	if _, err := fmt.Sscanf(line, "@@ -%d,%d +%d,%d @@", &i, &countA, &j, &countB); err != nil {
		panic(err) // our own library wrote it
	}
	return i - min(1, countA), j - min(1, countB)
}

func lined(lines []string) []byte {
	var b bytes.Buffer
	for _, line := range lines {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// lines compares text by line. shownThen and shownNow are the same with the
// secrets hidden.
func (c *comparison) lines(shownThen, shownNow, then, now []byte) {
	a, b := strings.Split(string(then), "\n"), strings.Split(string(now), "\n")
	showA, showB := linesLike(a, shownThen), linesLike(b, shownNow)
	for _, g := range gaps(a, b) {
		if g.aEnd-g.a != g.bEnd-g.b {
			c.lineGap(showA, showB, g)
			continue
		}
		for n := range g.aEnd - g.a {
			c.lineGap(showA, showB, gap{g.a + n, g.a + n + 1, g.b + n, g.b + n + 1})
		}
	}
}

// linesLike are the lines of a text as they are shown. Where that has another
// number of them nobody knows which is which, and nothing is shown.
func linesLike(lines []string, shown []byte) []string {
	show := strings.Split(string(shown), "\n")
	if len(show) == len(lines) {
		return show
	}
	show = make([]string, len(lines))
	for i := range show {
		show[i] = "****"
	}
	return show
}

// lineGap adds the change in one gap.
func (c *comparison) lineGap(then, now []string, g gap) {
	c.Body = true
	at, before := g.a, then[:g.a]
	if g.a == g.aEnd {
		at, before = g.b, now[:g.b]
	}
	after := text("")
	if len(before) > 0 {
		after = shorten(text(before[len(before)-1]), 0)
	}
	c.changeAfter(*after, words(fmt.Sprintf("line %d", at+1)), block(then[g.a:g.aEnd]), block(now[g.b:g.bEnd]))
}

// block are some lines; nil when there are none.
func block(lines []string) *string {
	if len(lines) == 0 {
		return nil
	}
	return text(strings.Join(lines, "\n"))
}
