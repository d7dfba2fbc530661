package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

// maxMessage bounds a preface and the messages on the laptop's stream, in bytes: a list of sources with an expression
// each is the largest of them.
const maxMessage = 32 << 10

// lengthSize is how many bytes the length before a message has.
const lengthSize = 4

// MaxHost bounds Preface.Host: a name of the DNS has up to 253 bytes, and a port follows. What is longer is in the request.
const MaxHost = 260

// Preface is what the edge says of a request before it: what the laptop could not find out by itself.
type Preface struct {
	Record  string `cbor:"1,keyasint,omitempty"` // id of the edge's record: the same whenever the request is sent again
	Target  string `cbor:"2,keyasint,omitempty"` // source and target at the edge: one record may go to a laptop by two ways
	Remote  string `cbor:"3,keyasint,omitempty"` // ip:port of the sender, or ip
	Host    string `cbor:"4,keyasint,omitempty"` // that the sender asked for
	Scheme  string `cbor:"5,keyasint,omitempty"` // http or https: how the sender came
	Attempt int    `cbor:"6,keyasint,omitempty"` // from 1; 0: not known
	Base    string `cbor:"7,keyasint,omitempty"` // the beginning of the path that names the tunnel and means nothing to an app; "": none
	Probe   bool   `cbor:"8,keyasint,omitempty"` // no request of a sender's: the laptop asks whether its URL leads to itself
}

// Bytes are the preface as it goes before its request.
func (p *Preface) Bytes() ([]byte, error) { return encode(p) }

// encode is a message behind its length.
func encode(v any) ([]byte, error) {
	body, err := cbor.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(body) > maxMessage {
		return nil, fmt.Errorf("a message has at most %d bytes, this one %d", maxMessage, len(body))
	}
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, lengthSize+len(body)), uint32(len(body))), body...), nil
}

// writeMessage writes a message in one piece.
func writeMessage(w io.Writer, v any) error {
	b, err := encode(v)
	if err == nil {
		_, err = w.Write(b)
	}
	return err
}

// readMessage reads what encode has made. The error is io.ErrUnexpectedEOF when the writer went away.
func readMessage(r io.Reader, v any) error { return unexpected(new(incoming).read(r.Read, v)) }

// errGarbled is what an incoming message is that encode has not made.
var errGarbled = errors.New("it is none")

// incoming is a message that is being read.
type incoming struct {
	b []byte // what has come of it, its length first
}

// read reads the message to its end. The error is io.EOF when the writer has ended before a message, io.ErrUnexpectedEOF
// within one; or it wraps errGarbled.
func (m *incoming) read(read func([]byte) (int, error), v any) error {
	for {
		n, err := m.missing()
		if err != nil {
			return err
		}
		if n == 0 {
			_, err := m.decode(v)
			return err
		}
		m.b = slices.Grow(m.b, n)
		got, err := read(m.b[len(m.b) : len(m.b)+n])
		m.b = m.b[:len(m.b)+got]
		if err != nil && got < n {
			return m.cut(err)
		}
	}
}

// take adds what p begins with, as far as it is of the message, and says how much that is.
func (m *incoming) take(p []byte) (used int, err error) {
	for used < len(p) {
		n, err := m.missing()
		if n == 0 || err != nil {
			return used, err
		}
		n = min(n, len(p)-used)
		m.b = append(m.b, p[used:used+n]...)
		used += n
	}
	return used, nil
}

// missing is how many bytes are still to come, as far as that is known: those of the length come first. The error wraps
// errGarbled.
func (m *incoming) missing() (int, error) {
	if len(m.b) < lengthSize {
		return lengthSize - len(m.b), nil
	}
	n := binary.BigEndian.Uint32(m.b)
	if n > maxMessage {
		return 0, fmt.Errorf("%w: it says that it has %d bytes, of at most %d", errGarbled, n, maxMessage)
	}
	return lengthSize + int(n) - len(m.b), nil
}

// decode is what the message says, once it is whole. Then the next one can come. The error wraps errGarbled.
func (m *incoming) decode(v any) (whole bool, err error) {
	if n, err := m.missing(); n > 0 || err != nil {
		return false, err
	}
	if err := cbor.Unmarshal(m.b[lengthSize:], v); err != nil {
		return true, fmt.Errorf("%w: %w", errGarbled, err)
	}
	m.b = m.b[:0]
	return true, nil
}

// cut is the error of reading, where it came within a message.
func (m *incoming) cut(err error) error {
	if len(m.b) > 0 {
		return unexpected(err)
	}
	return err
}

// unexpected is the error of a read in the midst of a message.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
