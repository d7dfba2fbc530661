package store

import (
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	bolt "go.etcd.io/bbolt"
)

// Session is a named set of records: those that came while it captured, and those that were added to it. A record may be
// in several. As long as it is in one, retention leaves it on the tape with its answer and attempts, within the bounds
// that Retention tells.
type Session struct {
	Name    string
	Created time.Time
	Started time.Time // when it last began to capture; zero: it never did
	Stopped time.Time // when it last stopped capturing; zero: it captures, or never did
	Full    bool      // it was stopped because the sessions had all the room that they may take
	Records int64     // that are in it
	Bytes   int64     // of their requests, answers and responses, as they were on the wire
	// First and Last are when its first and last record came; zero where it has none.
	First, Last time.Time
	// Masked says how its secrets were replaced before it was imported, in the form that the importer chose; nil: they
	// were not. Signing is what its requests were signed with then.
	Masked  []byte
	Signing []Signing
}

// Capturing says whether the session takes what comes.
func (s *Session) Capturing() bool { return !s.Started.IsZero() && s.Stopped.IsZero() }

// Signing is what the requests of a source are signed with in a session whose secrets were replaced.
type Signing struct {
	Source   string            `cbor:"1,keyasint,omitempty"`
	Provider string            `cbor:"2,keyasint,omitempty"`
	Params   map[string]string `cbor:"3,keyasint,omitempty"` // of the source, as far as its signature needs them
	Secret   string            `cbor:"4,keyasint,omitempty"`
}

// sessionNameMax bounds the names of sessions: they stand in file names and tables.
const sessionNameMax = 100

// CheckSessionName says what is wrong with the name of a session; the error wraps ErrName. Letters, digits and ._- are
// allowed, and the first must be a letter or a digit: so a name works as a file name everywhere, and is never a flag.
func CheckSessionName(name string) error {
	if name == "" {
		return fmt.Errorf("%w: a session needs one", ErrName)
	}
	if len(name) > sessionNameMax {
		return fmt.Errorf("%w: a session's has at most %d bytes", ErrName, sessionNameMax)
	}
	for i, r := range name {
		plain := unicode.IsLetter(r) || unicode.IsDigit(r)
		if r == utf8.RuneError || !plain && (i == 0 || r != '.' && r != '_' && r != '-') {
			return fmt.Errorf("session %q: %w: letters, digits and ._- make one, and a letter or digit begins it", name, ErrName)
		}
	}
	return nil
}

// StartSession makes a session that captures every record from now on, except imported ones. The error wraps ErrExists
// when there is one of this name; with force, that one is forgotten first, while its records stay. The session is on the
// disk when StartSession returns, and captures until StopSession, even across restarts.
func (s *Store) StartSession(name string, force bool) error { return s.makeSession(name, force, true) }

// CreateSession is StartSession for a session that does not capture.
func (s *Store) CreateSession(name string, force bool) error {
	return s.makeSession(name, force, false)
}

func (s *Store) makeSession(name string, force, capture bool) error {
	if err := CheckSessionName(name); err != nil {
		return err
	}
	facts := sessionFacts{Name: name, Created: nanos(s.options.Now())}
	if capture {
		facts.Started = facts.Created
	}
	err := s.changeSessions(func(t *txn) error {
		row, exists := t.roster.find(name)
		switch {
		case exists && !force:
			return refuse("session %q: %w", name, ErrExists)
		case t.sessionsFull() && capture:
			return &refusal{ErrSessionsFull}
		case t.short:
			return &refusal{ErrDiskFull}
		}
		if exists {
			if err := t.forgetSession(row); err != nil {
				return err
			}
		}
		return t.addSession(&facts)
	})
	if err == nil && force {
		err = s.sweepSessions()
	}
	return err
}

// ResumeSession lets a session capture again, or makes one when there is none of this name. One that captures goes on.
func (s *Store) ResumeSession(name string) error {
	if err := s.makeSession(name, false, true); !errors.Is(err, ErrExists) {
		return err
	}
	now := nanos(s.options.Now())
	return s.changeSession(name, func(t *txn, f *sessionFacts) error {
		switch {
		case f.capturing():
			return nil
		case t.sessionsFull():
			return &refusal{ErrSessionsFull}
		}
		f.Started, f.Stopped, f.Full = now, 0, false
		return nil
	})
}

// StopSession ends the capturing of a session. The error wraps ErrNotFound when there is none of this name, and
// ErrNotCapturing when it does not capture.
func (s *Store) StopSession(name string) error {
	now := nanos(s.options.Now())
	return s.changeSession(name, func(_ *txn, f *sessionFacts) error {
		if !f.capturing() {
			return refuse("session %q: %w", name, ErrNotCapturing)
		}
		f.Stopped = now
		return nil
	})
}

// SetMasked keeps how the secrets of a session were replaced, and what its requests are signed with since then, in the place
// of what was kept before.
func (s *Store) SetMasked(name string, masked []byte, signing []Signing) error {
	return s.changeSession(name, func(_ *txn, f *sessionFacts) error {
		f.Masked, f.Signing = masked, signing
		return nil
	})
}

// changeSession changes the row of a session.
func (s *Store) changeSession(name string, change func(*txn, *sessionFacts) error) error {
	return s.changeSessions(func(t *txn) error {
		row, ok := t.roster.find(name)
		if !ok {
			return refuse("session %q: %w", name, ErrNotFound)
		}
		facts, err := readSessionRow(t.Tx, row.number)
		if err != nil {
			return refuse("session %q: %w: %w", name, ErrDamaged, err)
		}
		if err := change(t, facts); err != nil {
			return err
		}
		t.roster = t.roster.with(rosterRow{number: row.number, name: name, capturing: facts.capturing()})
		return t.putSession(row.number, facts)
	})
}

// addMax is how many records are put into a session in one transaction: what is committed beside them should not wait
// long.
const addMax = 1024

// AddToSession puts records into a session, which is made when there is none of this name, and returns when that is on
// the disk. Ids of records that are in it already, or not on the tape, are passed over. The error wraps ErrSessionsFull
// when the sessions have all the room that they may take; some of the records may be in the session then.
func (s *Store) AddToSession(name string, ids ...ID) error {
	if err := s.makeSession(name, false, false); err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	for len(ids) > 0 {
		n := min(len(ids), addMax)
		if err := s.addToSession(name, ids[:n]); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

func (s *Store) addToSession(name string, ids []ID) error {
	return s.changeSessions(func(t *txn) error {
		row, ok := t.roster.find(name)
		switch {
		case !ok:
			return refuse("session %q: %w", name, ErrNotFound)
		case t.sessionsFull():
			return &refusal{ErrSessionsFull}
		case t.short:
			return &refusal{ErrDiskFull}
		}
		return t.joinAll(row.number, ids)
	})
}

// Sessions returns all sessions, in the order in which they were made. When some can't be read, the others are returned
// with an error that wraps ErrDamaged.
func (s *Store) Sessions() (all []Session, err error) {
	var damaged []error
	err = s.view(func(tx *bolt.Tx) error {
		all, damaged = nil, nil
		return eachSession(tx, func(number uint32, f *sessionFacts, err error) {
			switch {
			case err != nil:
				damaged = append(damaged, fmt.Errorf("session %d: %w: %w", number, ErrDamaged, err))
			case !f.Gone:
				all = append(all, f.session(tx, number))
			}
		})
	})
	return all, errors.Join(append(damaged, err)...)
}

// Session returns the session of a name. The error wraps ErrNotFound or ErrDamaged.
func (s *Store) Session(name string) (Session, error) {
	all, err := s.Sessions()
	for _, one := range all {
		if one.Name == name {
			return one, nil
		}
	}
	if err != nil {
		return Session{}, err
	}
	return Session{}, fmt.Errorf("session %q: %w", name, ErrNotFound)
}

// DeleteSession forgets a session. Its records stay, but are no longer pinned by it. The error wraps ErrNotFound.
func (s *Store) DeleteSession(name string) error {
	err := s.changeSessions(func(t *txn) error {
		row, ok := t.roster.find(name)
		if !ok {
			return refuse("session %q: %w", name, ErrNotFound)
		}
		return t.forgetSession(row)
	})
	if err != nil {
		return err
	}
	return s.sweepSessions()
}

// DeleteSessionRecords deletes a session with those of its records that are in no other one, as Delete does.
func (s *Store) DeleteSessionRecords(name string) (all Deleted, err error) {
	var damaged []error
	alone := func(tx *bolt.Tx, id ID, _ *removalFacts) bool { return len(sessionsOf(tx, id)) > 1 }
	for ids, err := range s.sessionIDs(name) {
		if err != nil {
			return all, err
		}
		done, failed, err := s.deleteAll(ids, alone)
		all.add(done)
		damaged = append(damaged, failed...)
		if err != nil {
			return all, err
		}
	}
	return all, errors.Join(append(damaged, s.DeleteSession(name))...)
}

// changeSessions has the committer do something to the sessions. As change.apply, do must refuse before it writes, and may
// be called again.
func (s *Store) changeSessions(do func(*txn) error) error {
	c, err := s.queue.enter(sessionChangeSize)
	if err != nil {
		return err
	}
	s.queue.fill(c, sessionChange(do), c.size, nil)
	return c.Wait()
}

// sessionChangeSize is about what a change of the sessions keeps in memory.
const sessionChangeSize = 16 << 10

type sessionChange func(*txn) error

func (c sessionChange) apply(t *txn) error { return c(t) }
func (c sessionChange) release(error)      {}
