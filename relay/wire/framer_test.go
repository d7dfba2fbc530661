package wire

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

var chunkedFraming = Framing{Chunked: true}

func TestBodiesEndWhereTheirFramingSays(t *testing.T) {
	tests := []struct {
		name     string
		framing  Framing
		wire     string
		body     string
		trailers Fields
	}{
		{"no body", Framing{}, "", "", nil},
		{"length", Framing{Length: 5}, "hello", "hello", nil},
		{"until the connection closes", Framing{Length: -1}, "hello\r\n", "hello\r\n", nil},
		{"empty until the connection closes", Framing{Length: -1}, "", "", nil},
		{"chunked", chunkedFraming, "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", nil},
		{"chunked and empty", chunkedFraming, "0\r\n\r\n", "", nil},
		{"line ends and zeros as data", chunkedFraming, "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n", nil},
		{"hex in both cases, zeros, blanks", chunkedFraming, "0a \t\r\n0123456789\r\n0A\r\n0123456789\r\n000\r\n\r\n", "01234567890123456789", nil},
		{"extensions", chunkedFraming, "5;a;b=\"c ; \xff\"\r\nhello\r\n0 \r\n\r\n", "hello", nil},
		{"empty extension", chunkedFraming, "5;\r\nhello\r\n0;\r\n\r\n", "hello", nil},
		{"trailers", chunkedFraming, "5\r\nhello\r\n0\r\nx-B:1\r\nX-A: \t2\t\nx-b:\r\n\r\n", "hello", Fields{{"x-B", "1"}, {"X-A", "2"}, {"x-b", ""}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			framer := NewFramer(test.framing)
			var decoded strings.Builder
			framer.Decoded = func(p []byte) { decoded.Write(p) }
			stream := test.wire
			if test.framing.Length >= 0 {
				stream += "GET / HTTP/1.1\r\n\r\n" // belongs to the next request
			}
			n, err := framer.Scan([]byte(stream))
			if n != len(test.wire) || err != nil {
				t.Fatalf("Scan: got %d, %v; want %d", n, err, len(test.wire))
			}
			if err := framer.EOF(); err != nil || !framer.Done() {
				t.Errorf("EOF: got %v, done %v", err, framer.Done())
			}
			if framer.Size() != int64(len(test.body)) || decoded.String() != test.body {
				t.Errorf("body: got %d bytes %q, want %q", framer.Size(), decoded.String(), test.body)
			}
			if !reflect.DeepEqual(framer.Trailers(), test.trailers) {
				t.Errorf("trailers: got %q, want %q", framer.Trailers(), test.trailers)
			}
			checkDecoded(t, test.framing, test.wire, test.body, test.trailers)
		})
	}
}

// checkDecoded checks that DecodeBody and BodyReader give that body.
func checkDecoded(t *testing.T, framing Framing, wire, body string, trailers Fields) {
	t.Helper()
	got, gotTrailers, err := DecodeBody(framing, []byte(wire))
	if string(got) != body || err != nil || !reflect.DeepEqual(gotTrailers, trailers) {
		t.Errorf("DecodeBody: got %q, %q, %v", got, gotTrailers, err)
	}
	readers := map[string]io.Reader{
		"whole":          strings.NewReader(wire),
		"one byte":       iotest.OneByteReader(strings.NewReader(wire)),
		"error and data": iotest.DataErrReader(strings.NewReader(wire)),
	}
	for name, reader := range readers {
		r := NewBodyReader(framing, reader)
		if err := iotest.TestReader(r, []byte(body)); err != nil {
			t.Errorf("BodyReader, %s: %v", name, err)
		}
		if !reflect.DeepEqual(r.Trailers(), trailers) {
			t.Errorf("BodyReader, %s: got trailers %q", name, r.Trailers())
		}
	}
}

func TestChunkFramingThatCouldBeReadDifferentlyIsRefused(t *testing.T) {
	tests := []struct {
		name, wire string
		at         int // the offset of the first byte that does not belong
		status     int
		reason     string
	}{
		{"no size", "\r\nhello", 0, 400, "malformed chunk size"},
		{"extension without a size", ";a\r\n", 0, 400, "malformed chunk size"},
		{"space before the size", " 5\r\n", 0, 400, "malformed chunk size"},
		{"space before the extension", "5 ;a\r\n", 2, 400, "malformed chunk size"},
		{"prefix", "0x5\r\n", 1, 400, "malformed chunk size"},
		{"sign", "-5\r\n", 0, 400, "malformed chunk size"},
		{"bare LF behind the size", "5\nhello", 1, 400, "malformed chunk size"},
		{"bare LF behind an extension", "5;a\nhello", 3, 400, "control character in a chunk extension"},
		{"CR in an extension", "5;a\rb\r\nhello", 4, 400, "malformed line end in the chunk framing"},
		{"NUL in an extension", "5;\x00\r\nhello", 2, 400, "control character in a chunk extension"},
		{"17 digits", "00000000000000005\r\n", 16, 400, "chunk too large"},
		{"beyond 60 bits", "ffffffffffffffff\r\n", 15, 400, "chunk too large"},
		{"bare LF behind the data", "5\r\nhello\n0\r\n\r\n", 8, 400, "malformed line end in the chunk framing"},
		{"more data than said", "4\r\nhello\r\n0\r\n\r\n", 7, 400, "malformed line end in the chunk framing"},
		{"line of size too long", "5;" + strings.Repeat("a", 4096) + "\r\n", 4095, 400, "chunk-size line too long"},
		{"bare LF for the end", "0\r\n\n", 4, 400, "trailers end without CR LF"},
		{"bare LF before the end", "0\r\nA: b\n\r\n", 10, 400, "trailers end without CR LF"},
		{"bare LF as the end", "0\r\nA: b\r\n\nB: c\r\n\r\n", 10, 400, "trailers end without CR LF"},
		{"obs-fold in a trailer", "0\r\nA: b\r\n c\r\n\r\n", 15, 400, "folded header field"},
		{"trailer without a colon", "0\r\nA\r\n\r\n", 8, 400, "header field without a colon"},
		{"bare CR in a trailer", "0\r\nA: b\rc\r\n\r\n", 13, 400, "control character in the value of A"},
		{"framing in the trailers", "0\r\ncontent-length: 5\r\n\r\n", 24, 400, "content-length in the trailers"},
		{"trailers too large", "0\r\nA: " + strings.Repeat("a", 4096), 4099, 431, "trailer fields too large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			framer := NewFramer(chunkedFraming)
			n, err := framer.Scan([]byte(test.wire))
			syntax, ok := errors.AsType[*SyntaxError](err)
			if !ok {
				t.Fatalf("got %d, %v; want a SyntaxError", n, err)
			}
			if n != test.at || syntax.Status != test.status || syntax.Reason != test.reason {
				t.Errorf("got %d at %d: %s, want %d at %d: %s", syntax.Status, n, syntax.Reason, test.status, test.at, test.reason)
			}
			if n, again := framer.Scan([]byte("0\r\n\r\n")); n != 0 || again != err || framer.EOF() != err || framer.Done() {
				t.Error("the error does not stay")
			}
			if _, _, err := DecodeBody(chunkedFraming, []byte(test.wire)); !isSyntax(err) {
				t.Errorf("DecodeBody: got %v", err)
			}
			if _, err := io.ReadAll(NewBodyReader(chunkedFraming, strings.NewReader(test.wire))); !isSyntax(err) {
				t.Errorf("BodyReader: got %v", err)
			}
		})
	}
}

// Long extensions and one-byte chunks are fine until there is hardly anything but framing.
func TestChunkFramingMustCarryData(t *testing.T) {
	bytewise := strings.Repeat("1\r\na\r\n", 100_000) + "0\r\n\r\n"
	if n, err := NewFramer(chunkedFraming).Scan([]byte(bytewise)); n != len(bytewise) || err != nil {
		t.Errorf("byte by byte: got %d, %v", n, err)
	}
	padded := strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\na\r\n", 100)
	if _, err := NewFramer(chunkedFraming).Scan([]byte(padded)); !isSyntax(err) {
		t.Errorf("1000 bytes of extension a byte: got %v, want a SyntaxError", err)
	}
}

func TestACutBodyIsNotDone(t *testing.T) {
	tests := []struct {
		framing Framing
		wire    string
	}{
		{Framing{Length: 5}, "hello"},
		{chunkedFraming, "5;a\r\nhello\r\n0\r\nA: b\r\n\r\n"},
	}
	for _, test := range tests {
		for n := range len(test.wire) {
			cut := test.wire[:n]
			framer := NewFramer(test.framing)
			if _, err := framer.Scan([]byte(cut)); err != nil || framer.Done() || framer.EOF() != io.ErrUnexpectedEOF {
				t.Errorf("Framer after %q: got %v, %v, %v", cut, err, framer.Done(), framer.EOF())
			}
			if _, _, err := DecodeBody(test.framing, []byte(cut)); err != io.ErrUnexpectedEOF {
				t.Errorf("DecodeBody of %q: got %v", cut, err)
			}
			if _, err := io.ReadAll(NewBodyReader(test.framing, strings.NewReader(cut))); err != io.ErrUnexpectedEOF {
				t.Errorf("BodyReader of %q: got %v", cut, err)
			}
		}
	}
}

func TestACutBodyGivesWhatCame(t *testing.T) {
	body, _, _ := DecodeBody(chunkedFraming, []byte("5\r\nhel"))
	if string(body) != "hel" {
		t.Errorf("DecodeBody: got %q", body)
	}
	body, _ = io.ReadAll(NewBodyReader(chunkedFraming, strings.NewReader("5\r\nhel")))
	if string(body) != "hel" {
		t.Errorf("BodyReader: got %q", body)
	}
}

// A reader's own error is not mistaken for the end of the body.
func TestBodyReaderPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	for _, framing := range []Framing{{Length: 10}, {Length: -1}, chunkedFraming} {
		wire := io.MultiReader(strings.NewReader("5\r\nhe"), iotest.ErrReader(broken))
		if _, err := io.ReadAll(NewBodyReader(framing, wire)); err != broken {
			t.Errorf("%+v: got %v", framing, err)
		}
	}
}

func TestBytesBehindABodyAreNoPartOfIt(t *testing.T) {
	tests := []struct {
		framing Framing
		wire    string
	}{
		{Framing{}, "x"}, {Framing{Length: 5}, "hellox"}, {chunkedFraming, "0\r\n\r\nx"},
	}
	for _, test := range tests {
		if _, _, err := DecodeBody(test.framing, []byte(test.wire)); !isSyntax(err) {
			t.Errorf("%q: got %v, want a SyntaxError", test.wire, err)
		}
	}
	_, err := io.ReadAll(NewBodyReader(chunkedFraming, strings.NewReader("0\r\n\r\nx")))
	if !isSyntax(err) {
		t.Errorf("BodyReader: got %v, want a SyntaxError", err)
	}
}

func TestABodyWithALengthIsNotCopied(t *testing.T) {
	wire := []byte("hello")
	if body, _, _ := DecodeBody(Framing{Length: 5}, wire); &body[0] != &wire[0] {
		t.Error("it was")
	}
}

func TestAFramerCanBeUsedAgain(t *testing.T) {
	var framer Framer
	if !framer.Done() {
		t.Error("the zero Framer is not done")
	}
	for range 2 {
		framer.Reset(chunkedFraming)
		if n, err := framer.Scan([]byte("1\r\na\r\n0\r\nA: b\r\n\r\n")); n != 17 || err != nil || framer.Size() != 1 || len(framer.Trailers()) != 1 {
			t.Errorf("got %d, %v, size %d, trailers %q", n, err, framer.Size(), framer.Trailers())
		}
	}
}
