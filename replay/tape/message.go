package tape

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strconv"
	"strings"

	"github.com/hooktape/hooktape/relay/wire"
)

const (
	// openMax is the size of the largest message that is taken apart, in bytes: it has to be in memory.
	openMax = 128 << 20
	// decodedMax bounds a body without its content coding.
	decodedMax = 256 << 20
)

// inMemory is ReadAll for what is taken apart then.
func (b Block) inMemory() ([]byte, error) {
	if b.Size > openMax {
		return nil, &TooLarge{Size: b.Size, Most: openMax}
	}
	return b.ReadAll()
}

// message is a message taken apart, so that its text can be changed: its parts are put together again with lengths that
// fit. What is not changed stays byte for byte.
type message struct {
	head    string
	fields  wire.Fields
	framing wire.Framing
	raw     []byte // the body as it is on the wire
	body    []byte // without chunks and content coding, where these can be undone
	coded   string // the content coding that was undone
	chunked bool   // the chunks were undone
	opaque  bool   // the body is nothing that can be read: binary, or in a coding that can't be undone
	sealed  bool   // it is in such a coding: nobody knows what is in it

	newBody []byte // nil: as it is
}

// openMessage takes a message apart whose head has headSize bytes. method is that of the request of a response; "" says
// that it is a request.
func openMessage(all []byte, headSize int, method string) *message {
	m := &message{head: string(all[:headSize]), raw: all[headSize:]}
	if method == "" {
		if h, err := wire.ParseRequestHead(all[:headSize]); err == nil {
			m.fields, m.framing = h.Fields, h.Framing
		}
	} else {
		begin, _, _ := finalHead(all[:headSize])
		if h, err := wire.ParseResponseHead(all[begin:headSize], method); err == nil {
			m.fields, m.framing = h.Fields, h.Framing
		}
	}
	m.body = m.raw
	if m.framing.Chunked {
		m.body, m.chunked = dechunked(m.raw), true
	}
	m.undoCoding()
	return m
}

// undoCoding undoes the content coding.
func (m *message) undoCoding() {
	coding, coded := m.fields.Get("Content-Encoding")
	if coded && len(m.body) > 0 {
		plain, err := wire.DecodeContent(m.fields, m.body, decodedMax)
		if m.opaque = err != nil || !wire.IsCoded(m.fields); !m.opaque {
			m.body, m.coded = plain, strings.ToLower(coding)
		}
	}
	if kind, _ := m.fields.Get("Content-Type"); !strings.HasPrefix(kind, "multipart/") {
		m.opaque = m.opaque || !wire.IsText(m.body)
	}
	m.sealed = coded && m.coded == "" && !strings.EqualFold(coding, "identity") && !wire.IsText(m.body)
}

// set gives the message another body.
func (m *message) set(body []byte) {
	if !bytes.Equal(body, m.body) {
		m.newBody = body
	}
}

// bytes puts the message together.
func (m *message) bytes() ([]byte, error) {
	if m.newBody == nil {
		return append([]byte(m.head), m.raw...), nil
	}
	body, err := recoded(m.coded, m.newBody)
	if err != nil {
		return nil, err
	}
	raw := body
	if m.chunked {
		raw = rechunked(m.raw, body)
	} else {
		m.head = withLength(m.head, len(m.raw), len(raw))
	}
	return append([]byte(m.head), raw...), nil
}

// recoded is a body in a content coding.
func recoded(coding string, body []byte) ([]byte, error) {
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "":
		return body, nil
	case "deflate":
		w = zlib.NewWriter(&b)
	default:
		w = gzip.NewWriter(&b)
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// withLength is a head whose Content-Length, if it was that of the body, is that of another one.
func withLength(head string, was, is int) string {
	if was == is {
		return head
	}
	var b strings.Builder
	for line := range strings.Lines(head) {
		name, value, _ := strings.Cut(line, ":")
		bare := strings.TrimSpace(value)
		if n, err := strconv.Atoi(bare); strings.EqualFold(strings.TrimSpace(name), "Content-Length") && err == nil && n == was {
			line = name + ":" + strings.Replace(value, bare, strconv.Itoa(is), 1)
		}
		b.WriteString(line)
	}
	return b.String()
}
