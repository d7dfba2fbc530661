package wire

import (
	"bytes"
	"io"
)

const (
	// maxChunkLine bounds a chunk-size line with its extensions and CR LF.
	maxChunkLine = 4096
	// maxTrailers bounds the bytes of all trailer fields. Both are as large as
	// net/http's buffer, beyond which it refuses.
	maxTrailers = 4096
	// maxChunk keeps the arithmetic below from overflowing: no chunk is that large.
	maxChunk = 1 << 60
	// maxExcess is how many bytes of framing may pile up beyond freeExcess a
	// chunk and two per byte of data: nobody needs a sender of endless extensions,
	// or of single bytes in long lines.
	maxExcess  = 16 << 10
	freeExcess = 16
)

// A Framer finds the end of a body in the bytes that stream by, checks its
// framing, and decodes it. It does no I/O, and keeps no bytes but those of
// trailers. The zero Framer is done: no body.
type Framer struct {
	// Decoded, if not nil, gets the decoded body in pieces, each valid during
	// the call only.
	Decoded func(p []byte)

	state    framerState
	length   bool  // left counts the whole body, not a chunk
	left     int64 // bytes of data or of the chunk
	size     int64
	line     int // bytes of the chunk-size line so far
	digits   int
	excess   int64
	raw      []byte // of the trailers
	trailers Fields
	err      error
}

type framerState uint8

const (
	framerDone framerState = iota
	framerData
	framerUntilClose
	framerChunkSize
	framerChunkPad // blanks after the size
	framerChunkExtension
	framerChunkSizeLF
	framerChunkDataCR
	framerChunkDataLF
	framerTrailers
)

// NewFramer returns a Framer for a body of that framing.
func NewFramer(framing Framing) *Framer {
	f := new(Framer)
	f.Reset(framing)
	return f
}

// Reset begins a new body. Decoded is kept.
func (f *Framer) Reset(framing Framing) {
	*f = Framer{Decoded: f.Decoded, raw: f.raw[:0]}
	switch {
	case framing.Chunked:
		f.state = framerChunkSize
	case framing.Length < 0:
		f.state = framerUntilClose
	case framing.Length > 0:
		f.state, f.left, f.length = framerData, framing.Length, true
	}
}

// Scan looks at the next bytes of the stream and returns how many of them belong
// to the body, framing and trailers included. They are fewer than len(p) only when
// the body is done or wrong: the error is a *SyntaxError, and stays.
func (f *Framer) Scan(p []byte) (n int, err error) {
	for n < len(p) && f.state != framerDone && f.err == nil {
		switch f.state {
		case framerData, framerUntilClose:
			n += f.data(p[n:])
		case framerTrailers:
			n += f.trailer(p[n:])
		default:
			f.chunkByte(p[n])
			if f.err == nil {
				n++
			}
		}
	}
	return n, f.err
}

// EOF tells the Framer that the stream has ended. The error is
// io.ErrUnexpectedEOF when the body is cut short.
func (f *Framer) EOF() error {
	switch {
	case f.err != nil:
		return f.err
	case f.state == framerUntilClose:
		f.state = framerDone
	case f.state != framerDone:
		return io.ErrUnexpectedEOF
	}
	return nil
}

// Done says whether the whole body has been seen.
func (f *Framer) Done() bool { return f.state == framerDone && f.err == nil }

// Size returns how many bytes of decoded body have been seen.
func (f *Framer) Size() int64 { return f.size }

// Trailers returns the trailer fields, once Done.
func (f *Framer) Trailers() Fields { return f.trailers }

func (f *Framer) fail(status int, reason string) {
	f.err = refuse(status, "%s", reason)
}

// data takes what p has of the body, or of the chunk.
func (f *Framer) data(p []byte) int {
	if f.state == framerData {
		p = p[:min(int64(len(p)), f.left)]
		f.left -= int64(len(p))
	}
	f.size += int64(len(p))
	if f.Decoded != nil {
		f.Decoded(p)
	}
	switch {
	case f.state == framerUntilClose || f.left > 0:
	case f.length:
		f.state = framerDone
	default:
		f.state = framerChunkDataCR
	}
	return len(p)
}

// chunkByte takes one byte of chunk framing. It is as strict as net/http: only
// CR LF ends a line here (RFC 9112, erratum 7633), and blanks are allowed only
// after the size, where some servers pad it.
func (f *Framer) chunkByte(c byte) {
	switch f.state {
	case framerChunkDataCR:
		f.expect(c, '\r', framerChunkDataLF)
		return
	case framerChunkDataLF:
		f.expect(c, '\n', framerChunkSize)
		return
	case framerChunkSizeLF:
		if f.expect(c, '\n', framerData); f.err == nil {
			f.beginChunk()
		}
		return
	}
	if f.line++; f.line > maxChunkLine-len("\n") {
		f.fail(400, "chunk-size line too long")
		return
	}
	switch {
	case c == '\r' && f.digits > 0:
		f.state = framerChunkSizeLF
	case f.state == framerChunkExtension:
		if c < ' ' && c != '\t' || c == 0x7f {
			f.fail(400, "control character in a chunk extension")
		}
	case f.digits > 0 && isBlank(c):
		f.state = framerChunkPad
	case f.state == framerChunkSize && f.digits > 0 && c == ';':
		f.state = framerChunkExtension
	case f.state == framerChunkSize:
		f.sizeDigit(c)
	default:
		f.fail(400, "malformed chunk size")
	}
}

func (f *Framer) expect(c, want byte, next framerState) {
	if c != want {
		f.fail(400, "malformed line end in the chunk framing")
		return
	}
	f.state = next
}

func (f *Framer) sizeDigit(c byte) {
	digit := hexValue(c)
	f.digits++
	switch {
	case digit < 0:
		f.fail(400, "malformed chunk size")
	case f.digits > 16 || f.left > maxChunk>>4:
		f.fail(400, "chunk too large")
	default:
		f.left = f.left<<4 | int64(digit)
	}
}

// beginChunk is called after a chunk-size line. Excess is counted to the byte as
// net/http does: the line and both line ends, less what is free.
func (f *Framer) beginChunk() {
	lineAndEnd := int64(f.line-len("\r")) + int64(len("\r\n"))
	f.excess = max(0, f.excess+lineAndEnd-freeExcess-2*f.left)
	if f.excess > maxExcess {
		f.fail(400, "chunked body has more framing than data")
	}
	if f.left == 0 {
		f.state = framerTrailers
	}
	f.line, f.digits = 0, 0
}

// trailer gathers the bytes of the trailers up to their empty line.
func (f *Framer) trailer(p []byte) int {
	for i, c := range p {
		if len(f.raw) == maxTrailers {
			f.fail(431, "trailer fields too large")
			return i
		}
		f.raw = append(f.raw, c)
		if c == '\n' {
			f.trailerLine()
		}
		if f.state == framerDone || f.err != nil {
			return i + 1
		}
	}
	return len(p)
}

// trailerLine is called at the end of each line. The empty line, and the end of the
// line before it, must be CR LF: otherwise net/http looks for one further on, even
// in the next request.
func (f *Framer) trailerLine() {
	switch {
	case string(f.raw) == "\r\n": // none, as nearly always
		f.state = framerDone
	case bytes.HasSuffix(f.raw, []byte("\r\n\r\n")):
		f.parseTrailers()
	case string(f.raw) == "\n" || bytes.HasSuffix(f.raw, []byte("\n\n")) || bytes.HasSuffix(f.raw, []byte("\n\r\n")):
		f.fail(400, "trailers end without CR LF")
	}
}

func (f *Framer) parseTrailers() {
	f.trailers, f.err = parseTrailers(string(f.raw))
	if f.err == nil {
		f.state = framerDone
	}
}

func parseTrailers(s string) (Fields, error) {
	trailers, err := parseFields(s, new(semantics))
	for _, t := range trailers {
		if framesMessage(t.Name) {
			return nil, refuse(400, "%s in the trailers", t.Name)
		}
	}
	return trailers, err
}
