package tape

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheNameOfANewFileIsOnTheDisk: who appends the first recording syncs the file, and then its folder, once.
func TestTheNameOfANewFileIsOnTheDisk(t *testing.T) {
	const traced = "HOOKTAPE_TEST_APPEND" // names the file, in the process that is looked at
	if path := os.Getenv(traced); path != "" {
		for _, r := range samples(t)[:2] {
			if err := Append(path, Info{}, r); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	needs(t, "strace")
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path, trace := filepath.Join(dir, "a.warc"), filepath.Join(t.TempDir(), "trace")
	t.Setenv(traced, path)
	output(t, "strace", "-f", "-y", "-e", "trace=fsync", "-o", trace, os.Args[0], "-test.run", "^"+t.Name()+"$")
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	file, folder := strings.Index(string(text), "<"+path+">"), strings.Index(string(text), "<"+dir+">")
	if file < 0 || folder < file || strings.Count(string(text), "<"+dir+">") != 1 {
		t.Errorf("%s", text)
	}
}
