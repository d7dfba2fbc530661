package tape

import (
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
