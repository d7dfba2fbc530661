package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tapefile "github.com/hooktape/hooktape/replay/tape"
)

// zeros is a block of a body that takes no memory.
func zeros(size int64) tapefile.Block {
	return tapefile.Opened(size, func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(zeroReader{}, size)), nil
	})
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestExportLeavesOutWhatIsTooLargeToMask, names it, and exports the rest.
func TestExportLeavesOutWhatIsTooLargeToMask(t *testing.T) {
	from, to := io.Pipe()
	go func() {
		w := tapefile.NewStreamWriter(to, tapefile.Info{})
		for _, id := range []string{"A", "B", "C"} {
			r := &tapefile.Recording{ID: id, Known: true, Verdict: "malformed", Request: tapefile.Bytes([]byte("token: S3cretTok3n0fTheShop"))}
			if id == "B" {
				r.Request = zeros(129 << 20)
			}
			if err := w.Write(r); err != nil {
				to.CloseWithError(err)
				return
			}
		}
		to.CloseWithError(w.Close())
	}()
	var told bytes.Buffer
	path := filepath.Join(t.TempDir(), "tape.warc")
	x := &export{env: &env{stderr: &told, now: time.Now}, path: path, form: formWARC, mask: true}
	x.masker = tapefile.NewMasker([]byte("key"), nil, nil, nil)
	defer x.masker.Close()
	if err := x.write(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(told.String(), "hooktape: left out: mask record B: ") || strings.Count(told.String(), "\n") != 1 || x.left != 1 || x.records != 2 {
		t.Errorf("%d left, %d written: %s", x.left, x.records, &told)
	}
	file, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(file), "S3cret") || strings.Count(string(file), `"id":"`) != 2 {
		t.Errorf("%v, %.500q", err, file)
	}
}
