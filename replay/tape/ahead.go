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

	ends   [2]place // where the span ends that is masked, and the one that was read last
	read   place
	masked int
	mixed  bool // they are not in the order of their ids, or have none
}

// place is where a recording stands among those that are read ahead. The zero value is before the first.
type place struct {
	count int // of the recordings up to it
	id    string
}

// isPast says whether r, which is masked next, is behind a place. Ids tell that even if some recordings were deleted from the
// tape after one of the two readings had come past them.
func (a *ahead) isPast(p place, r *Recording) bool {
	if a.mixed || p.count == 0 {
		return p.count <= a.masked
	}
	return p.id < r.ID
}

// LookAhead makes the masker know the secrets of what comes later. The recordings are those that Mask will get, in the same
// order, read a second time; an error of theirs is one of Mask. They are no longer read when the masker is closed.
func (m *Masker) LookAhead(recordings iter.Seq2[*Recording, error]) {
	m.ahead = &ahead{}
	m.ahead.next, m.ahead.stop = iter.Pull2(recordings)
}

// lookAhead reads on before r is masked.
func (m *Masker) lookAhead(r *Recording) error {
	a := m.ahead
	if a == nil {
		return nil
	}
	for a.isPast(a.ends[0], r) && a.next != nil {
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
	for until := m.known.entered + spanMost; m.known.entered < until; {
		r, err, more := a.next()
		if !more {
			a.next = nil
			return nil
		}
		if err != nil {
			return err
		}
		a.mixed = a.mixed || r.ID <= a.read.id
		a.read = place{a.read.count + 1, r.ID}
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
