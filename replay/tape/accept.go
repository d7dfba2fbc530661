package tape

import (
	"bytes"
	"crypto/rand"

	"github.com/hooktape/hooktape/relay/mask"
)

// Hidden are the rules by which a masked file was masked, so that what is added to it later is masked by them too.
type Hidden struct {
	Names []string `json:"names,omitempty"` // what is secret beside the defaults: see mask.Names
	Paths []string `json:"paths,omitempty"` // as ParseMaskPath reads them
}

// Accepted says what came of Accept.
type Accepted struct {
	Responses int // that are new
	Masked    int // of these, where the file is masked: those that had secrets, which are fakes in the file
}

// Accept writes the tape file at path anew, as Rewrite does, with the responses that are right from now on. next gives
// that of the n-th recording, as an attempt, and the attempt of the recording whose response it takes the place of; where
// that is nil it is an attempt of its own, and in a recording of another tool the answer. A nil now leaves the recording
// as it is.
//
// In a masked file secrets of the responses become fakes, by the rules that the file tells, and by names beside them.
func Accept(path string, names mask.Names, next func(n int, r *Recording) (then, now *Attempt, err error)) (did Accepted, err error) {
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
		then, now, err := next(n, r)
		if err != nil || now == nil {
			return err
		}
		did.Responses++
		if masker != nil {
			masked, err := masker.maskLater(r, now)
			if err != nil {
				return err
			}
			if masked {
				did.Masked++
			}
		}
		r.accept(then, now)
		return nil
	})
	return did, err
}

// accept puts a response into the place of that of then.
func (r *Recording) accept(then, now *Attempt) {
	switch {
	case then == nil && !r.Known && r.Answer != nil:
		r.Answer = &Answer{Status: now.Status, Time: now.Time, Duration: now.Duration, HeadSize: now.HeadSize, Response: now.Response}
		return
	case then == nil:
		r.Attempts = append(r.Attempts, Attempt{
			Number: len(r.Attempts) + 1, Source: now.Source, Target: now.Target, Replay: true, Edited: now.Edited, Accepted: true, URL: now.URL, Head: now.Head,
		})
		then = &r.Attempts[len(r.Attempts)-1]
	case r.Answer != nil && r.Answer.FromAttempt == then.Number:
		r.Answer.FromAttempt = 0 // the sender got the one before
	}
	then.Status, then.Error, then.Finding, then.HeadSize, then.Response = now.Status, now.Error, "", now.HeadSize, now.Response
	then.Time, then.FirstByte, then.Duration = now.Time, now.FirstByte, now.Duration
}

// masker masks what is added to a file by the rules that it was masked by. Its key is another one: nothing leads back to
// secrets, in the file neither.
func (i *Info) masker(names mask.Names) (*Masker, error) {
	var paths []MaskPath
	if i.Hidden != nil {
		names = append(names[:len(names):len(names)], i.Hidden.Names...)
		for _, text := range i.Hidden.Paths {
			p, err := ParseMaskPath(text)
			if err != nil {
				return nil, err
			}
			paths = append(paths, p)
		}
	}
	var key [32]byte
	rand.Read(key[:])
	return NewMasker(key[:], names, paths, nil), nil
}

// learn takes note of the fakes that a masked recording has: where they come again, they stay.
func (m *Masker) learn(r *Recording) error {
	clear(m.found)
	method := methodOf(r)
	if _, err := m.open(r.Request, r.HeadSize, ""); err != nil {
		return err
	}
	if r.Answer != nil {
		if _, err := m.open(r.Answer.Response, r.Answer.HeadSize, method); err != nil {
			return err
		}
	}
	for _, a := range r.Attempts {
		if _, err := m.openAttempt(&a, method); err != nil {
			return err
		}
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
