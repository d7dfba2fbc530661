package tape

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"

	"github.com/hooktape/hooktape/relay/mask"
)

// Hidden are the rules by which a masked file was masked, so that what is added to it later is masked by them too.
type Hidden struct {
	Names []string `json:"names,omitempty"` // what is secret beside the defaults: see mask.Names
	Paths []string `json:"paths,omitempty"` // as ParseMaskPath reads them
}

// rules are those of h, nil ones too, and names beside them.
func (h *Hidden) rules(beside mask.Names) (names mask.Names, paths []MaskPath, err error) {
	if h == nil {
		return beside, nil, nil
	}
	for _, text := range h.Paths {
		p, err := ParseMaskPath(text)
		if err != nil {
			return nil, nil, err
		}
		paths = append(paths, p)
	}
	return slices.Concat(beside, h.Names), paths, nil
}

// Blanks take what rules hide out of messages, so that those of a masked file can be compared with others: what is secret
// is the same in all of them. They may be used by several goroutines.
type Blanks struct {
	hiding
}

// NewBlanks makes Blanks of the rules of a masked file, which may be nil, and of names beside them.
func NewBlanks(h *Hidden, beside mask.Names) (*Blanks, error) {
	names, paths, err := h.rules(beside)
	return &Blanks{newHiding(mask.NewBlanks(names), paths)}, err
}

// Field is the value of a header field.
func (b *Blanks) Field(name, value string) string {
	for _, p := range b.paths {
		if p.where == "header" && fits(strings.ToLower(p.names[0]), strings.ToLower(name)) {
			return ""
		}
	}
	return b.fakes.Field(name, value)
}

// Body is a body without its codings.
func (b *Blanks) Body(contentType string, body []byte) []byte { return b.body(contentType, body) }

// Target is the target of a request.
func (b *Blanks) Target(target string) string { return b.target(target) }

// Accepted says what came of Accept.
type Accepted struct {
	Responses int // that are new
	Masked    int // of these, where the file is masked: those that had secrets, which are fakes in the file
}

// NewResponse is a response that is right from now on.
type NewResponse struct {
	Of  int // the index of the attempt whose response it takes the place of; -1: it is an attempt of its own, and in a recording of another tool the answer
	Now *Attempt
}

// Accept writes the tape file at path anew, as Rewrite does, with the responses that are right from now on: next gives
// those of the n-th recording.
//
// In a masked file secrets of the responses become fakes, by the rules that the file tells, and by names beside them.
func Accept(path string, names mask.Names, next func(n int, r *Recording) ([]NewResponse, error)) (did Accepted, err error) {
	var masker *Masker
	err = rewriteFile(path, func(info Info, n int, r *Recording) error {
		if info.Masked && masker == nil {
			if masker, err = info.masker(names); err != nil {
				return err
			}
		}
		if masker != nil {
			if err := masker.learn(r); err != nil {
				return err
			}
		}
		fresh, err := next(n, r)
		if err != nil {
			return err
		}
		for _, one := range fresh {
			did.Responses++
			if masker != nil {
				masked, err := masker.maskLater(r, one.Now)
				if err != nil {
					return err
				}
				if masked {
					did.Masked++
				}
			}
			r.accept(one)
		}
		return nil
	})
	return did, err
}

// accept puts a response into its place.
func (r *Recording) accept(fresh NewResponse) {
	of, now := fresh.Of, fresh.Now
	switch {
	case of < 0 && !r.Known && r.Answer != nil:
		r.Answer = &Answer{Status: now.Status, Time: now.Time, Duration: now.Duration, HeadSize: now.HeadSize, Response: now.Response}
		return
	case of < 0:
		of = len(r.Attempts)
		r.Attempts = append(r.Attempts, Attempt{
			Number: r.nextNumber(), Source: now.Source, Target: now.Target, Replay: true, Edited: now.Edited, Accepted: true, URL: now.URL, Head: now.Head,
		})
	case r.Answer != nil && r.Answer.FromAttempt == r.Attempts[of].Number:
		r.Answer.FromAttempt = 0 // the sender got the one before
	}
	then := &r.Attempts[of]
	then.Status, then.Error, then.Finding, then.HeadSize, then.Response = now.Status, now.Error, "", now.HeadSize, now.Response
	then.Time, then.FirstByte, then.Duration = now.Time, now.FirstByte, now.Duration
}

// nextNumber is that of an attempt behind the others, of which some may be lost.
func (r *Recording) nextNumber() int {
	next := 1
	for i := range r.Attempts {
		next = max(next, r.Attempts[i].Number+1)
	}
	return next
}

// masker masks what is added to a file by the rules that it was masked by. Its key is another one: nothing leads back to
// secrets, in the file neither.
func (i *Info) masker(names mask.Names) (*Masker, error) {
	names, paths, err := i.Hidden.rules(names)
	if err != nil {
		return nil, err
	}
	var key [32]byte
	rand.Read(key[:])
	return NewMasker(key[:], names, paths, nil), nil
}

// learn takes note of the fakes that a masked recording has: where they come again, they stay.
func (m *Masker) learn(r *Recording) error {
	if err := m.find(r); err != nil {
		return err
	}
	for old, fake := range m.found {
		m.stay.add(fake, old)
	}
	return nil
}

// maskLater masks an attempt that was made with a masked recording, and says whether its response had secrets.
func (m *Masker) maskLater(r *Recording, a *Attempt) (bool, error) {
	clear(m.found)
	before, err := a.Response.ReadAll()
	if err != nil {
		return false, err
	}
	all, err := m.openAttempt(a, methodOf(r))
	if err != nil {
		return false, err
	}
	for _, o := range all {
		if err := o.finish(); err != nil {
			return false, err
		}
	}
	a.Error = m.fact(a.Error)
	after, _ := a.Response.Inline()
	return !bytes.Equal(before, after), nil
}
