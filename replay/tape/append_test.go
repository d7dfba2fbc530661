package tape

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatCannotBeAppendedLeavesNothing: half a WARC record would take what comes behind it for its own.
func TestWhatCannotBeAppendedLeavesNothing(t *testing.T) {
	gone := errors.New("the disk is gone")
	half := strings.Repeat("x", 1<<20)
	for _, name := range []string{"a.warc", "a.warc.gz"} {
		path := filepath.Join(t.TempDir(), name)
		good := samples(t)[:2]
		if err := Append(path, Info{}, good[0]); err != nil {
			t.Fatal(err)
		}
		looks, cut := 0, *good[1]
		cut.Request = Opened(2<<20, func() (io.ReadCloser, error) {
			if looks++; looks == 1 { // for the digests
				return io.NopCloser(strings.NewReader(half + half)), nil
			}
			return io.NopCloser(io.MultiReader(strings.NewReader(half), failing{gone})), nil
		})
		if err := Append(path, Info{}, &cut); !errors.Is(err, gone) {
			t.Fatal(err)
		}
		if err := Append(path, Info{}, good[1]); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		_, all, damage, _ := read(t, file)
		if err := file.Close(); err != nil || len(damage) > 0 {
			t.Errorf("%s: %v, %v", name, damage, err)
		}
		compareRecordings(t, all, good)
	}
}

// TestWhatIsAppendedBehindACutRecordIsRead, wherever a process that appended was killed: the cut is told, and takes nothing of
// what comes behind it.
func TestWhatIsAppendedBehindACutRecordIsRead(t *testing.T) {
	all := samples(t)
	first, cut, last := all[1], all[0], all[3]
	for name, begin := range map[string]func(io.Writer, Info) *Writer{"a.warc": NewWriter, "a.warc.gz": NewGzipWriter} {
		whole := written(t, begin, []*Recording{first, cut})
		for end := len(written(t, begin, []*Recording{first})) + 1; end < len(whole)-len(recordEnd); end += 61 { // a prime
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, whole[:end], 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := Append(path, Info{}, last); err != nil {
					t.Fatal(err)
				}
			}
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			_, got, damage, _ := read(t, file)
			file.Close()
			if n := len(got); n < 3 || got[0].ID != first.ID || got[n-1].ID != last.ID || got[n-2].ID != last.ID || len(damage) == 0 {
				t.Errorf("%s cut at %d of %d: %d recordings, %v", name, end, len(whole), n, damage)
			}
		}
	}
}

// TestACutRecordTakesNothingOfTheNext, however it came there: no reader may rely on what is written behind it.
func TestACutRecordTakesNothingOfTheNext(t *testing.T) {
	all := samples(t)
	large := *all[1]
	large.Request = Bytes(bytes.Repeat([]byte("0123456789\r\n"), inlineMax/10))
	next := written(t, NewWriter, []*Recording{all[3], all[4]})
	for name, begun := range map[string][]byte{
		"small": written(t, NewWriter, []*Recording{all[0]}), "large": written(t, NewWriter, []*Recording{&large}), "without digests": written(t, NewStreamWriter, []*Recording{all[0]}),
		"of another tool": []byte(warcText("request", "1", "", "GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
	} {
		for _, left := range []int{20, len(begun) - 40} {
			file := append(bytes.Clone(begun[:len(begun)-left]), "\r\n"...)
			_, got, damage, _ := read(t, bytes.NewReader(append(file, next...)))
			if n := len(got); n < 2 || got[n-2].ID != all[3].ID || got[n-1].ID != all[4].ID || len(damage) == 0 {
				t.Errorf("%s without %d bytes: %d recordings, %v", name, left, n, damage)
			}
		}
	}
}
