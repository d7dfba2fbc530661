package wire

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"
)

func coded(t *testing.T, open func(io.Writer) io.WriteCloser, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := open(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestContentCodingsAreUndone(t *testing.T) {
	text := strings.Repeat("hello ", 10_000)
	zip := coded(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, text)
	zlibbed := coded(t, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, text)
	raw := coded(t, func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f }, text)
	for what, c := range map[string]struct {
		coding string
		body   []byte
	}{
		"gzip": {"GZIP", zip}, "old gzip": {"x-gzip", zip}, "zlib": {"deflate", zlibbed}, "raw deflate": {"deflate", raw},
		"none": {"identity", []byte(text)}, "unknown": {"br", []byte(text)},
	} {
		fields := Fields{{"content-encoding", c.coding}}
		if got, err := DecodeContent(fields, c.body, int64(len(text))); err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, %v", what, len(got), err)
		}
		if _, err := DecodeContent(fields, c.body, int64(len(text))-1); IsCoded(fields) && !errors.Is(err, ErrContentTooLarge) {
			t.Errorf("%s, too large: %v", what, err)
		}
		if got, ok := DecodeStart(fields, c.body[:len(c.body)-9], 5); ok != IsCoded(fields) || ok && string(got) != "hello" {
			t.Errorf("%s, cut short: %q, %v", what, got, ok)
		}
	}
	for what, body := range map[string][]byte{"no gzip": []byte("hello"), "empty": nil, "cut short": zip[:len(zip)-1]} {
		if got, err := DecodeContent(Fields{{"Content-Encoding", "gzip"}}, body, 1<<20); err == nil {
			t.Errorf("%s: %q", what, got)
		}
	}
}
