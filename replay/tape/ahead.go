package tape

import (
	"errors"
	"fmt"
	"iter"
)

// spanMost is after how many secrets a span of recordings ends. A secret is looked for in all that comes at least so many
// secrets before it or after it.
const spanMost = 1024

// ahead finds the secrets of recordings before they are masked: an app may quote today the token that it tells tomorrow. It
// keeps one span in front of what is masked, and no recording.
type ahead struct {
	next func() (*Recording, error, bool)
	stop func()

	ends   [2]int // how many recordings there are up to the end of the span that is masked, and of the one that was read last
	read   int
	masked int
}

// LookAhead makes the masker know the secrets of what comes later. The recordings are those that Mask will get, in the same
// order, read a second time; an error of theirs is one of Mask. They are no longer read when the masker is closed.
func (m *Masker) LookAhead(recordings iter.Seq2[*Recording, error]) {
	m.ahead = &ahead{}
	m.ahead.next, m.ahead.stop = iter.Pull2(recordings)
}

// lookAhead reads on before the next recording is masked.
func (m *Masker) lookAhead() error {
	a := m.ahead
	if a == nil {
		return nil
	}
	for a.masked >= a.ends[0] && a.next != nil {
		a.ends[0] = a.ends[1]
		if err := m.readSpan(); err != nil {
			return fmt.Errorf("look for secrets: %w", err)
		}
		a.ends[1] = a.read
	}
	a.masked++
	return nil
}

// readSpan reads recordings until they told so many secrets, or to their end.
func (m *Masker) readSpan() error {
	a := m.ahead
	for until := m.known.entered + spanMost; m.known.entered < until; a.read++ {
		r, err, more := a.next()
		if !more {
			a.next = nil
			return nil
		}
		if err != nil {
			return err
		}
		if err := m.find(r); err != nil && !isTooLarge(err) {
			return err
		}
	}
	return nil
}

// find takes note of the secrets of a recording.
func (m *Masker) find(r *Recording) error {
	defer func(unread int) { m.Unread = unread }(m.Unread)
	clear(m.found)
	m.apart = r.messages() > m.together
	method := methodOf(r)
	_, err := m.open(r.Request, r.HeadSize, "")
	if r.Answer != nil {
		_, lost := m.open(r.Answer.Response, r.Answer.HeadSize, method)
		err = errors.Join(err, lost)
	}
	for _, a := range r.Attempts {
		_, lost := m.openAttempt(&a, method)
		err = errors.Join(err, lost)
	}
	for _, text := range []string{r.URL, r.Target, r.Path, r.Base} {
		m.target(text)
	}
	return err
}
