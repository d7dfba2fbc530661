package replay

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
)

func loaded(t *testing.T, message string) *Request {
	t.Helper()
	r, err := Load(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(message)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// bytesOf is the whole message.
func bytesOf(t *testing.T, r *Request) string {
	t.Helper()
	body, err := r.open()
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return r.Head.Raw + string(b)
}

func TestSigningAgainChangesWhatIsSignedAndNothingElse(t *testing.T) {
	const head = "POST /in?a=%20&sig=old&b HTTP/1.1\r\nhost:  h\r\nx-SIGNATURE:   old  \r\nX-Odd:  kept\r\n"
	for what, c := range map[string]struct {
		message   string
		signature provider.Signature
		want      string
	}{
		"a field": {
			head + "Content-Length: 5\r\n\r\nhello", provider.Signature{Fields: wire.Fields{{Name: "X-Signature", Value: "new"}}},
			"POST /in?a=%20&sig=old&b HTTP/1.1\r\nhost:  h\r\nx-SIGNATURE:   new  \r\nX-Odd:  kept\r\nContent-Length: 5\r\n\r\nhello",
		},
		"a field that was missing": {
			head + "Transfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\n\r\n", provider.Signature{Fields: wire.Fields{{Name: "X-Time", Value: "1"}}},
			head + "Transfer-Encoding: chunked\r\nX-Time: 1\r\n\r\n5;x\r\nhello\r\n0\r\n\r\n",
		},
		"a parameter": {
			head + "Content-Length: 5\r\n\r\nhello", provider.Signature{Query: wire.Fields{{Name: "sig", Value: "n w"}}},
			strings.Replace(head, "sig=old", "sig=n+w", 1) + "Content-Length: 5\r\n\r\nhello",
		},
		"the body": {
			head + "Content-Length: 5\r\n\r\nhello", provider.Signature{Body: []byte("hello!")},
			head + "Content-Length: 6\r\n\r\nhello!",
		},
	} {
		t.Run(what, func(t *testing.T) {
			signed, err := loaded(t, c.message).Signed(func(h *wire.RequestHead, body []byte) (*provider.Signature, error) {
				if string(body) != "hello" {
					t.Errorf("to be signed: %q", body)
				}
				return &c.signature, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := bytesOf(t, signed); got != c.want {
				t.Errorf("got\n%q, want\n%q", got, c.want)
			}
			if !bytes.Equal(signed.Body, c.signature.Body) {
				t.Errorf("body %q", signed.Body)
			}
		})
	}
}

func TestWhatCannotBeSignedIsNotSent(t *testing.T) {
	no := errors.New("only the provider can sign")
	_, err := loaded(t, "POST / HTTP/1.1\r\nHost: h\r\n\r\n").Signed(func(*wire.RequestHead, []byte) (*provider.Signature, error) { return nil, no })
	if !errors.Is(err, no) {
		t.Error(err)
	}
}
