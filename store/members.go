package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"time"

	bolt "go.etcd.io/bbolt"
)

// The buckets of sessions. They are made with the first session. A session has a number, which is never given again, so
// that what is left of a deleted one belongs to no later one of its name.
var (
	bucketSessions  = []byte("sessions")        // "session." and a number → a session. Sequence: the last number
	bucketMembers   = []byte("session_members") // id, 's', number → nothing but a checksum. Sequence: what all of these records weigh
	bucketBySession = []byte("by_session")      // number, id → nothing
)

const (
	// sessionKey stands before the numbers, so that salvage can tell a session from other rows.
	sessionKey = "session."
	// memberMark stands between id and number. In the key of a delivery it would be the length of a name, which is longer
	// than what follows here: so salvage can tell them apart.
	memberMark = 's'
	memberKeys = len(ID{}) + 1 + 4
)

// sessionFacts are a session as stored, without its number (the key).
type sessionFacts struct {
	Name    string    `cbor:"1,keyasint,omitempty"`
	Created int64     `cbor:"2,keyasint,omitempty"`
	Started int64     `cbor:"3,keyasint,omitempty"`
	Stopped int64     `cbor:"4,keyasint,omitempty"`
	Full    bool      `cbor:"5,keyasint,omitempty"`
	Records int64     `cbor:"6,keyasint,omitempty"`
	Bytes   int64     `cbor:"7,keyasint,omitempty"`
	Signing []Signing `cbor:"8,keyasint,omitempty"`
	Gone    bool      `cbor:"9,keyasint,omitempty"` // it was deleted, and its members are being swept
	Masked  []byte    `cbor:"10,keyasint,omitempty"`
}

func (f *sessionFacts) capturing() bool { return f.Started != 0 && f.Stopped == 0 && !f.Gone }

// session is the session as people see it.
func (f *sessionFacts) session(tx *bolt.Tx, number uint32) Session {
	first, last := sessionEnds(tx, number)
	return Session{
		Name: f.Name, Created: fromNanos(f.Created), Started: fromNanos(f.Started), Stopped: fromNanos(f.Stopped),
		Full: f.Full, Records: f.Records, Bytes: f.Bytes, Masked: f.Masked, Signing: f.Signing,
		First: timeOfRecord(tx, first), Last: timeOfRecord(tx, last),
	}
}

// timeOfRecord is when a record came; zero when it can't be read.
func timeOfRecord(tx *bolt.Tx, id ID) time.Time {
	var facts struct {
		Time int64 `cbor:"1,keyasint"`
	}
	if value := tx.Bucket(bucketRecords).Get(id[:]); value != nil {
		if _, err := unpack(id[:], value, &facts); err != nil {
			return time.Time{}
		}
	}
	return fromNanos(facts.Time)
}

func sessionRowKey(number uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte(sessionKey), number)
}

func appendMemberKey(dst []byte, id ID, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append(append(dst, id[:]...), memberMark), number)
}

// memberOf reads the number in a key of bucketMembers.
func memberOf(k []byte) (number uint32, ok bool) {
	if len(k) != memberKeys || k[len(ID{})] != memberMark {
		return 0, false
	}
	return binary.BigEndian.Uint32(k[len(ID{})+1:]), true
}

func appendBySessionKey(dst []byte, number uint32, id ID) []byte {
	return append(binary.BigEndian.AppendUint32(dst, number), id[:]...)
}

// eachSession reads all sessions, those that are gone too, in the order of their numbers.
func eachSession(tx *bolt.Tx, do func(number uint32, f *sessionFacts, err error)) error {
	b := tx.Bucket(bucketSessions)
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, v []byte) error {
		if len(k) != len(sessionKey)+4 {
			return nil
		}
		var f sessionFacts
		_, err := unpack(k, v, &f)
		do(binary.BigEndian.Uint32(k[len(sessionKey):]), &f, err)
		return nil
	})
}

func readSessionRow(tx *bolt.Tx, number uint32) (*sessionFacts, error) {
	key := sessionRowKey(number)
	var f sessionFacts
	_, err := unpack(key, tx.Bucket(bucketSessions).Get(key), &f)
	return &f, err
}

// sessionEnds are the first and the last record of a session; zero when it has none.
func sessionEnds(tx *bolt.Tx, number uint32) (first, last ID) {
	prefix := binary.BigEndian.AppendUint32(nil, number)
	w := walk{low: prefix, high: after(prefix)}
	c := tx.Bucket(bucketBySession).Cursor()
	if k, _ := w.first(c); w.within(k) {
		first = ID(k[len(prefix):])
	}
	w.newest = true
	if k, _ := w.first(c); w.within(k) {
		last = ID(k[len(prefix):])
	}
	return first, last
}

// sessionsOf are the numbers of the sessions that a record is in, without those that are gone.
func sessionsOf(tx *bolt.Tx, id ID) (numbers []uint32) {
	eachMember(tx, id, func(number uint32) {
		if f, err := readSessionRow(tx, number); err != nil || !f.Gone {
			numbers = append(numbers, number)
		}
	})
	return numbers
}

func eachMember(tx *bolt.Tx, id ID, do func(number uint32)) {
	b := tx.Bucket(bucketMembers)
	if b == nil {
		return
	}
	c := b.Cursor()
	for k, _ := c.Seek(id[:]); bytes.HasPrefix(k, id[:]); k, _ = c.Next() {
		if number, ok := memberOf(k); ok {
			do(number)
		}
	}
}

// pinned says whether a record is in a session.
func pinned(tx *bolt.Tx, id ID) bool {
	b := tx.Bucket(bucketMembers)
	if b == nil {
		return false
	}
	k, _ := b.Cursor().Seek(id[:])
	return bytes.HasPrefix(k, id[:])
}

// sessionIDs goes through the records of a session, a few at a time.
func (s *Store) sessionIDs(name string) iter.Seq2[[]ID, error] {
	return func(yield func([]ID, error) bool) {
		w, err := s.sessionWalk(name)
		if err != nil {
			yield(nil, err)
			return
		}
		var ids []ID
		for err := range s.slices(&w, func(_ *bolt.Tx, k, _ []byte) bool {
			ids = append(ids, ID(k[len(k)-len(ID{}):]))
			return len(ids) == deleteMax
		}) {
			if !yield(ids, err) || err != nil {
				return
			}
			ids = ids[:0]
		}
	}
}

// sessionWalk is the way through the records of a session.
func (s *Store) sessionWalk(name string) (walk, error) {
	s.countMu.Lock()
	row, ok := s.roster.find(name)
	s.countMu.Unlock()
	if !ok {
		return walk{}, fmt.Errorf("session %q: %w", name, ErrNotFound)
	}
	prefix := binary.BigEndian.AppendUint32(nil, row.number)
	return walk{bucket: bucketBySession, low: prefix, high: after(prefix)}, nil
}

// membership tells the sessions of one record after another.
type membership struct {
	rows  rowsOf
	known map[uint32]string // names, by number
}

// names are those of the sessions that a record is in.
func (m *membership) names(tx *bolt.Tx, id ID) (names []string) {
	m.rows.bucket = bucketMembers
	// each returns only errors of the function.
	_ = m.rows.each(tx, id, func(k, _ []byte) error {
		number, ok := memberOf(k)
		if !ok {
			return nil
		}
		if name := m.name(tx, number); name != "" {
			names = append(names, name)
		}
		return nil
	})
	return names
}

// name is that of a session; "" when it is gone, or can't be read.
func (m *membership) name(tx *bolt.Tx, number uint32) string {
	if name, ok := m.known[number]; ok {
		return name
	}
	f, err := readSessionRow(tx, number)
	if err != nil || f.Gone {
		f.Name = ""
	}
	if m.known == nil {
		m.known = map[uint32]string{}
	}
	m.known[number] = f.Name
	return f.Name
}
