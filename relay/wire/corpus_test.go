package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const corpus = "../../testdata/http"

// Every raw request in testdata is cut off its stream to the last byte and forwarded
// as it came, or as the file of the same name in forwarded/ says.
func TestRealRequestsAreCutAndForwardedVerbatim(t *testing.T) {
	for _, file := range requestFiles(t, "*.http") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			stream := read(t, file)
			var forwarded bytes.Buffer
			for rest := stream; len(rest) > 0; {
				rest = rest[SkipBlank(rest):]
				h, body, ok := cutRequest(rest)
				if !ok {
					t.Fatalf("no request: %.100q", rest)
				}
				agreeWithNetHTTP(t, rest)
				head, err := Route{URL: &url.URL{Host: "target"}, KeepHost: true}.Head(h)
				if err != nil {
					t.Fatal(err)
				}
				forwarded.WriteString(head)
				forwarded.Write(body)
				rest = rest[len(h.Raw)+len(body):]
			}
			want := stream
			if b, err := os.ReadFile(filepath.Join(corpus, "forwarded", filepath.Base(file))); err == nil {
				want = b
			}
			if !bytes.Equal(forwarded.Bytes(), want) {
				t.Errorf("forwarded\n%q\nwant\n%q", forwarded.Bytes(), want)
			}
		})
	}
}

// Every file in refused/ gets the status that index.txt names.
func TestRealGarbageIsRefused(t *testing.T) {
	want := make(map[string]string)
	for line := range strings.Lines(string(read(t, filepath.Join(corpus, "refused", "index.txt")))) {
		if words := strings.Fields(line); len(words) == 3 && words[0] != "#" {
			want[words[0]] = words[1] + " " + words[2]
		}
	}
	for _, file := range requestFiles(t, "refused/*.http") {
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		t.Run(name, func(t *testing.T) {
			stream := read(t, file)
			if len(stream) > 64<<10 {
				t.Skip("the size of a head is the server's to limit")
			}
			if got := refusal(stream); got != want[name] {
				t.Errorf("got %q, want %q", got, want[name])
			}
		})
	}
}

// refusal returns the status and verdict of the first request of the stream
// that is refused; "" when none is.
func refusal(stream []byte) string {
	for len(stream) > 0 {
		h, err := ParseRequestHead(stream)
		if err != nil {
			return statusAndVerdict(err)
		}
		framer := NewFramer(h.Framing)
		n, err := framer.Scan(stream[len(h.Raw):])
		if err == nil {
			err = framer.EOF()
		}
		if err != nil {
			return statusAndVerdict(err)
		}
		stream = stream[len(h.Raw)+n:]
	}
	return ""
}

func statusAndVerdict(err error) string {
	if syntax, ok := errors.AsType[*SyntaxError](err); ok {
		return fmt.Sprint(syntax.Status, " malformed")
	}
	if errors.Is(err, ErrShort) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "400 incomplete"
	}
	return err.Error()
}

func requestFiles(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(corpus, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	return files
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
