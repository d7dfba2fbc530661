package tape

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
)

// allOf gives recordings, and then an error unless it is nil.
func allOf(recordings []*Recording, err error) iter.Seq2[*Recording, error] {
	return func(yield func(*Recording, error) bool) {
		for _, r := range recordings {
			if !yield(r, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// tokenOf is one of the tokens of which a few begin alike: would all of them, it took seconds to find one among thousands.
func tokenOf(n int) string { return fmt.Sprintf("%03dS3cretTok3nNo%08d", (n+spanMost)%256, n) }

// quoting is a recording that names one token and quotes others.
func quoting(names string, quotes ...string) *Recording {
	r := request("POST / HTTP/1.1\r\nHost: a\r\nX-Token: "+names+"\r\n", "seen: "+strings.Join(quotes, ", "))
	r.Source, r.ID = "", ""
	return r
}

// maskedAhead is all that stands in each of the masked recordings, with a look ahead at those that are there.
func maskedAhead(t *testing.T, m *Masker, there, masking []*Recording) iter.Seq2[int, string] {
	m.LookAhead(allOf(there, nil))
	return func(yield func(int, string) bool) {
		for i, r := range masking {
			masked, err := m.Mask(r)
			if err != nil {
				t.Fatal(err)
			}
			if !yield(i, everywhereIn(t, masked)) {
				return
			}
		}
	}
}

// TestASecretIsReplacedWhereItIsQuotedBeforeItIsNamed, in all that is up to a span away, however much comes.
func TestASecretIsReplacedWhereItIsQuotedBeforeItIsNamed(t *testing.T) {
	const n = 4 * spanMost
	var all []*Recording
	for i := range n {
		all = append(all, quoting(tokenOf(i), tokenOf(i-spanMost), tokenOf(i), tokenOf(i+1), tokenOf(i+spanMost-1)))
	}
	m := newTestMasker(t)
	for i, text := range maskedAhead(t, m, all, all) {
		for _, near := range []int{i - spanMost, i, i + 1, i + spanMost - 1} {
			if 0 <= near && near < n && strings.Contains(text, tokenOf(near)) {
				t.Fatalf("recording %d shows the secret of %d: %s", i, near, text)
			}
		}
	}
	if len(m.known.order) > knownMax {
		t.Errorf("%d secrets are kept", len(m.known.order))
	}
}

// TestFewSecretsAreLookedForFromTheFirstRecordingToTheLast, however far they are apart, and nothing is counted twice.
func TestFewSecretsAreLookedForFromTheFirstRecordingToTheLast(t *testing.T) {
	all := []*Recording{quoting("-", theSecret)}
	for range 3 * spanMost {
		all = append(all, quoting("-"))
	}
	binary := request("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n", "\x00\xff\xfe")
	all = append(all, binary, quoting(theSecret))
	m := newTestMasker(t)
	for i, text := range maskedAhead(t, m, all, all) {
		if strings.Contains(text, theSecret) {
			t.Errorf("recording %d shows it", i)
		}
	}
	if m.Unread != 1 {
		t.Errorf("%d bodies could not be looked into", m.Unread)
	}
}

// TestNothingIsMaskedWhereTheSecretsCanNotBeFound in what comes: half of them would be shown.
func TestNothingIsMaskedWhereTheSecretsCanNotBeFound(t *testing.T) {
	lost := errors.New("lost")
	m := newTestMasker(t)
	m.LookAhead(allOf([]*Recording{quoting("-")}, lost))
	if _, err := m.Mask(quoting("-", theSecret)); !errors.Is(err, lost) {
		t.Errorf("%v", err)
	}
}

// TestALookAheadStaysInFrontOfWhatIsMasked even if recordings are deleted between the two readings, and whatever their order.
func TestALookAheadStaysInFrontOfWhatIsMasked(t *testing.T) {
	const n, apart = 6 * spanMost, spanMost / 2
	var all []*Recording
	for i := range n {
		r := quoting(tokenOf(i), tokenOf(i-apart), tokenOf(i+apart))
		r.ID, r.Trace = fmt.Sprintf("%026d", i), tokenOf(i)
		all = append(all, r)
	}
	fewer := append(all[:1:1], all[n/2:]...)
	backwards := slices.Clone(all)
	slices.Reverse(backwards)
	for _, c := range []struct {
		name           string
		ahead, masking []*Recording
	}{
		{"whoever masks lost some", all, fewer},
		{"both lost some", fewer, fewer},
		{"the last comes first", backwards, backwards},
	} {
		for i, text := range maskedAhead(t, newTestMasker(t), c.ahead, c.masking) {
			for _, near := range []int{i - apart, i + apart} {
				if 1 <= near && near < len(c.masking) && strings.Contains(text, c.masking[near].Trace) {
					t.Fatalf("%s: recording %d shows the secret of %d: %s", c.name, i, near, text)
				}
			}
		}
	}
}
