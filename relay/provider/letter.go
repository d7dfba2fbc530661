package provider

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A letter is what a request says about its own signature.
type letter struct {
	signatures [][]byte
	stamp      string // as sent
	at         time.Time
	id         string
}

// read reads the letter of r. The errors are Failures that say which part is missing or malformed.
func (c *signed) read(r *Request) (l letter, err error) {
	parts := c.parts(r)
	if len(parts) == 0 {
		return l, missing(c.At)
	}
	if l.signatures, err = c.signatures(parts); err != nil {
		return l, err
	}
	if l.stamp, l.at, err = c.readStamp(r, parts); err != nil {
		return l, err
	}
	if c.ID != "" {
		var ok bool
		if l.id, ok = c.ID.get(r); !ok || l.id == "" {
			return l, missing(c.ID)
		}
	}
	return l, nil
}

// parts are what stands in the signature's place, cut at the separator. Some senders repeat the field, once for each
// secret, while they rotate it.
func (c *signed) parts(r *Request) (parts []string) {
	for _, value := range c.At.all(r) {
		switch {
		case value == "":
		case c.Separator != "":
			parts = append(parts, strings.Split(value, c.Separator)...)
		default:
			parts = append(parts, value)
		}
	}
	return parts
}

// signatures decodes the parts that are signatures of this scheme. A malformed one is a failure only if no other one is
// right: a sender may add forms that we do not know yet.
func (c *signed) signatures(parts []string) (signatures [][]byte, err error) {
	for _, part := range parts {
		text, ok := strings.CutPrefix(strings.TrimSpace(part), c.Prefix)
		if !ok {
			continue
		}
		b, problem := c.signature(text)
		if problem != nil {
			err = problem
			continue
		}
		if signatures = append(signatures, b); len(signatures) > maxSignatures {
			return nil, misshapen("%s has more than %d signatures", c.At, maxSignatures)
		}
	}
	switch {
	case signatures != nil:
		return signatures, nil
	case err != nil:
		return nil, err
	}
	return nil, misshapen("%s has nothing that begins with %q", c.At, c.Prefix)
}

func (c *signed) signature(text string) ([]byte, error) {
	b, err := c.Encoding.decode(text)
	if err != nil {
		return nil, misshapen("%s %w, %d characters", c.At, err, len(text))
	}
	if want := c.algorithm().size(); want != 0 && len(b) != want {
		return nil, misshapen("a signature has %d bytes, %s has %d (%d characters of %s)", want, c.At, len(b), len(text), c.Encoding)
	}
	return b, nil
}

func (c *signed) readStamp(r *Request, parts []string) (text string, at time.Time, err error) {
	if c.Stamp.none() {
		return "", at, nil
	}
	where, ok := c.Stamp.At.String(), false
	if c.Stamp.At != "" {
		text, ok = c.Stamp.At.get(r)
	} else {
		where = fmt.Sprintf("%s in %s", c.Stamp.Prefix, c.At)
		i := slices.IndexFunc(parts, func(part string) bool {
			return strings.HasPrefix(strings.TrimSpace(part), c.Stamp.Prefix)
		})
		if i >= 0 {
			text, ok = strings.TrimSpace(parts[i])[len(c.Stamp.Prefix):], true
		}
	}
	if !ok || text == "" {
		return "", at, &Failure{Kind: Missing, Reason: where + " is missing"}
	}
	if at, err = c.Stamp.parse(text); err != nil {
		return "", at, misshapen("%s is no time", where)
	}
	return text, at, nil
}

func misshapen(format string, args ...any) *Failure {
	return &Failure{Kind: Form, Reason: fmt.Errorf(format, args...).Error()}
}
