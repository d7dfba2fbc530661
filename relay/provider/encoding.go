package provider

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// encoding is how the bytes of a signature are written.
type encoding int

const (
	hexLower encoding = iota // read in either case
	hexUpper                 // written in upper case, read in either
	base64Padded
	base64URL // without padding
)

func (e encoding) String() string {
	if e == hexLower || e == hexUpper {
		return "hex"
	}
	return "base64"
}

func (e encoding) encode(b []byte) string {
	switch e {
	case hexUpper:
		return strings.ToUpper(hex.EncodeToString(b))
	case base64Padded:
		return base64.StdEncoding.EncodeToString(b)
	case base64URL:
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return hex.EncodeToString(b)
}

// decode accepts only one spelling of each signature, apart from the case of hex.
func (e encoding) decode(text string) ([]byte, error) {
	var b []byte
	var err error
	switch e {
	case base64Padded:
		b, err = base64.StdEncoding.Strict().DecodeString(text)
	case base64URL:
		b, err = base64.RawURLEncoding.Strict().DecodeString(text)
	default:
		b, err = hex.DecodeString(text)
	}
	if err != nil || strings.ContainsAny(text, "\r\n") { // base64 would skip line ends
		return nil, fmt.Errorf("is not %s", e)
	}
	return b, nil
}

// shown is how many letters of a signature or secret may be seen: the last ones.
const shown = 4

// masked hides all but the end of a signature.
func masked(text string) string {
	if len(text) < 4*shown {
		return "…"
	}
	return "…" + text[len(text)-shown:]
}
