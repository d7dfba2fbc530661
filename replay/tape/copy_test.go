package tape

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// copied is what a file becomes that is copied recording by recording, and the size of them.
func copied(file io.Reader, begin func(io.Writer, Info) *Writer) (out []byte, sizes []int64, err error) {
	r, err := NewReader(file)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	var b bytes.Buffer
	var w *Writer
	for c, err := range r.Copies() {
		if err != nil {
			return b.Bytes(), sizes, err
		}
		if w == nil {
			info := r.Info()
			info.Created = testInfo.Created // what a file is made of does not say it
			w = begin(&b, info)
		}
		if err := w.Copy(c); err != nil {
			return b.Bytes(), sizes, err
		}
		sizes = append(sizes, c.Size())
	}
	err = w.Close()
	return b.Bytes(), sizes, err
}

// TestACopyIsWhatWritingGives: byte for byte, from and to every form.
func TestACopyIsWhatWritingGives(t *testing.T) {
	for from, begin := range forms {
		for to, write := range map[string]func(io.Writer, Info) *Writer{"plain": NewWriter, "gzip": NewGzipWriter} {
			got, sizes, err := copied(bytes.NewReader(written(t, begin, samples(t))), write)
			if err != nil {
				t.Fatal(from, to, err)
			}
			if want := written(t, write, samples(t)); !bytes.Equal(got, want) {
				t.Errorf("%s to %s: %d bytes, which are not the %d of what is written", from, to, len(got), len(want))
			}
			for i, r := range samples(t) {
				if sizes[i] != r.Size() {
					t.Errorf("recording %d has %d bytes, not %d", i, r.Size(), sizes[i])
				}
			}
		}
	}
}

// TestACutOrDamagedFileIsCopiedToThere, and what is wrong with it is told: nothing of a recording that is not whole comes out.
func TestACutOrDamagedFileIsCopiedToThere(t *testing.T) {
	all := samples(t)[:5]
	file := written(t, NewWriter, all)
	var ends []int
	for i := range all {
		ends = append(ends, len(written(t, NewWriter, all[:i+1]))-len(written(t, NewWriter, nil)))
	}
	about := len(written(t, NewWriter, nil))
	for at := about + 8; at < len(file)-8; at += 41 { // a prime, so that it falls everywhere
		whole := 0
		for at >= about+ends[whole] {
			whole++
		}
		bad := bytes.Clone(file)
		bad[at] ^= 0x55
		for name, file := range map[string][]byte{"cut": file[:at], "damaged": bad} {
			_, sizes, err := copied(bytes.NewReader(file), NewWriter)
			if _, ok := errors.AsType[*Damage](err); ok && len(sizes) == whole {
				continue
			}
			if len(sizes) < whole || err == nil && name == "cut" && at > about+ends[whole]+4 {
				t.Errorf("%s at %d: %d copies, want %d: %v", name, at, len(sizes), whole, err)
			}
		}
	}
}

func TestOnlyWARCIsCopied(t *testing.T) {
	if _, sizes, err := copied(strings.NewReader(`{"log": {}}`), NewWriter); !errors.Is(err, errNoWARC) || len(sizes) > 0 {
		t.Error(sizes, err)
	}
}
