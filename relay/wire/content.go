package wire

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// ErrContentTooLarge says that a coded body would decode to more bytes than the
// caller allows.
var ErrContentTooLarge = errors.New("the decoded body is too large")

// contentCoding is the one coding that a body was sent in; "" when there is none
// that can be undone (RFC 9110, section 8.4.1).
func contentCoding(fields Fields) string {
	value, _ := fields.Get("Content-Encoding")
	switch coding := strings.ToLower(value); coding {
	case "gzip", "x-gzip", "deflate":
		return coding
	}
	return ""
}

// IsCoded says whether DecodeContent has anything to undo.
func IsCoded(fields Fields) bool { return contentCoding(fields) != "" }

// DecodeContent returns a body without the content coding that fields name, or body
// itself when they name none. A body that is not in that coding is an error, and so
// is one that decodes to more than most bytes: ErrContentTooLarge.
func DecodeContent(fields Fields, body []byte, most int64) ([]byte, error) {
	if !IsCoded(fields) {
		return body, nil
	}
	size, err := ContentSize(fields, body, most) // first, so that no buffer grows beyond what it takes
	if err != nil {
		return nil, err
	}
	r, err := newContentReader(fields, body)
	if err != nil {
		return nil, err
	}
	decoded := make([]byte, size)
	_, err = io.ReadFull(r, decoded)
	return decoded, err
}

// PlainContent is DecodeContent, except that a body which is not in the coding that
// fields name is returned as it is. The error is ErrContentTooLarge, or nil.
func PlainContent(fields Fields, body []byte, most int64) ([]byte, error) {
	plain, err := DecodeContent(fields, body, most)
	if err != nil && !errors.Is(err, ErrContentTooLarge) {
		return body, nil
	}
	return plain, err
}

// ContentSize is how many bytes DecodeContent returns.
func ContentSize(fields Fields, body []byte, most int64) (int64, error) {
	r, err := newContentReader(fields, body)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, most+1))
	switch {
	case err != nil:
		return 0, fmt.Errorf("decode the body: %w", err)
	case n > most:
		return 0, ErrContentTooLarge
	}
	return n, nil
}

func newContentReader(fields Fields, body []byte) (io.Reader, error) {
	b := bufio.NewReader(bytes.NewReader(body))
	switch contentCoding(fields) {
	case "gzip", "x-gzip":
		return gzip.NewReader(b)
	case "deflate": // zlib by the RFC, raw by those who misread it
		if start, err := b.Peek(2); err == nil && isZlib(start[0], start[1]) {
			return zlib.NewReader(b)
		}
		return flate.NewReader(b), nil
	}
	return b, nil
}

// isZlib recognises the header of RFC 1950, section 2.2.
func isZlib(cmf, flg byte) bool { return cmf&0x0f == 8 && (uint(cmf)<<8|uint(flg))%31 == 0 }

// DecodeStart returns the first bytes of a coded body, at most most of them, as
// far as they can be decoded; ok is false when nothing can be.
func DecodeStart(fields Fields, body []byte, most int64) (start []byte, ok bool) {
	if !IsCoded(fields) {
		return nil, false
	}
	r, err := newContentReader(fields, body)
	if err != nil {
		return nil, false
	}
	start, _ = io.ReadAll(io.LimitReader(r, most)) // a body that is cut short is shown as far as it goes
	return start, len(start) > 0
}

// IsText says whether bytes are text: UTF-8, perhaps cut within the last character,
// without control characters other than white space and escape.
func IsText(b []byte) bool {
	for i := 0; i < utf8.UTFMax && len(b) > 0 && !utf8.Valid(b); i++ {
		b = b[:len(b)-1]
	}
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool {
		return r < 0x20 && !strings.ContainsRune("\t\n\v\f\r\x1b", r)
	})
}
