package replay

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"mime"

	"golang.org/x/text/encoding/htmlindex"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/wire"
)

// lookedInto is the size of the largest body that is looked into, in bytes: it
// has to be in memory, and so does what it is compared with.
const lookedInto = 16 << 20

// content is a body as it is compared.
type content struct {
	fields wire.Fields
	size   int64 // without chunk framing
	digest [sha256.Size]byte
	whole  func() ([]byte, error) // the same bytes
}

// plain is the body without its content coding. What can't be decoded is taken
// as it is.
func (b content) plain() ([]byte, error) {
	if b.size > lookedInto {
		return nil, fmt.Errorf("look into the body: %w", wire.ErrContentTooLarge)
	}
	whole, err := b.whole()
	if err != nil {
		return nil, err
	}
	return wire.PlainContent(b.fields, whole, lookedInto)
}

// contentType is what a body says that it is, in its words.
func (b content) contentType() string {
	value, _ := b.fields.Get("Content-Type")
	return value
}

// mediaType is what a body says that it is; "" when that can't be made out.
func (b content) mediaType() (kind string, params map[string]string) {
	kind, params, err := mime.ParseMediaType(b.contentType())
	if err != nil {
		return "", nil
	}
	return kind, params
}

// inUTF8 is text that came in another charset.
func (b content) inUTF8(body []byte) []byte {
	_, params := b.mediaType()
	if params["charset"] == "" {
		return body
	}
	charset, err := htmlindex.Get(params["charset"])
	if err != nil {
		return body
	}
	decoded, err := charset.NewDecoder().Bytes(body)
	if err != nil {
		return body
	}
	return decoded
}

// bodies compares two bodies.
func (c *comparison) bodies(then, now content) {
	if then.size == now.size && then.digest == now.digest {
		return
	}
	if c.rules.at("body").ignored() {
		return
	}
	a, errA := then.plain()
	b, errB := now.plain()
	switch {
	case errA != nil || errB != nil:
		c.unlike(words("body"), text(hashed(then.size, then.digest)), text(hashed(now.size, now.digest)))
	default:
		a, b = c.rules.blanked(then, a), c.rules.blanked(now, b)
		if !bytes.Equal(a, b) {
			c.contents(then, now, a, b)
		}
	}
}

// contents compares what two bodies say.
func (c *comparison) contents(then, now content, a, b []byte) {
	x, y := parseTree(a), parseTree(b)
	f, isForm := then.form(a)
	g, areForms := now.form(b)
	switch {
	case x != nil && y != nil:
		c.documents(x, y)
	case isForm && areForms:
		c.forms(f, g, c.unlike)
	case !wire.IsText(a) || !wire.IsText(b):
		c.unlike(words("body"), binary(a), binary(b))
	case x != nil || y != nil || len(a) == 0 || len(b) == 0:
		c.unlike(words("body"), c.shown(then, a), c.shown(now, b))
	default:
		c.lines(c.masked(then, a), c.masked(now, b), a, b)
	}
}

// form is a body as a form, if it is one, and one of no more fields than are looked into.
func (b content) form(body []byte) (f formValues, ok bool) {
	switch kind, params := b.mediaType(); kind {
	case formType:
		if hasFewFields(body) {
			return readForm("form", string(body)), true
		}
	case "multipart/form-data":
		return readMultipart(body, params["boundary"])
	}
	return f, false
}

const formType = "application/x-www-form-urlencoded"

// unlike is change for bodies.
func (c *comparison) unlike(at place, then, now *string) {
	c.Body = true
	c.change(at, then, now)
}

// binary stands for bytes that are no text; nil when there are none.
func binary(body []byte) *string {
	if len(body) == 0 {
		return nil
	}
	return text(hashed(int64(len(body)), sha256.Sum256(body)))
}

// hashed is a body by its size and the beginning of its hash.
func hashed(size int64, digest [sha256.Size]byte) string {
	return fmt.Sprintf("%d bytes, SHA-256 %x", size, digest[:8])
}

// shown is a body that is text, for people; nil when there is none.
func (c *comparison) shown(of content, body []byte) *string {
	if len(body) == 0 {
		return nil
	}
	return text(string(c.masked(of, body)))
}

// masked is text of a body with its secrets hidden.
func (c *comparison) masked(of content, body []byte) []byte {
	names, reveal := c.rules.masking()
	if reveal {
		return body
	}
	return names.Body(of.contentType(), body)
}

// masking is what rules say about secrets.
func (r *Rules) masking() (names mask.Names, reveal bool) {
	if r == nil {
		return nil, false
	}
	return r.Names, r.Reveal
}
