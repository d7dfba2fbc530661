package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// roster is what the committer keeps of the sessions in memory, so that they cost a commit nothing while none captures. The
// rows are never changed, only replaced.
type roster struct {
	rows []rosterRow
	// low and high bound the ids of what is in any session.
	low, high ID
}

type rosterRow struct {
	number    uint32
	name      string
	capturing bool
	gone      bool
}

// find looks for a session that is not gone.
func (r *roster) find(name string) (rosterRow, bool) {
	i := slices.IndexFunc(r.rows, func(row rosterRow) bool { return row.name == name && !row.gone })
	if i < 0 {
		return rosterRow{}, false
	}
	return r.rows[i], true
}

// with is the roster with a row in the place of the one that has its number.
func (r roster) with(row rosterRow) roster {
	rows := slices.DeleteFunc(slices.Clone(r.rows), func(old rosterRow) bool { return old.number == row.number })
	r.rows = append(rows, row)
	return r
}

// without is the roster without a row.
func (r roster) without(number uint32) roster {
	r.rows = slices.DeleteFunc(slices.Clone(r.rows), func(old rosterRow) bool { return old.number == number })
	return r
}

func (r *roster) note(id ID) {
	if r.low == (ID{}) || id.Compare(r.low) < 0 {
		r.low = id
	}
	if id.Compare(r.high) > 0 {
		r.high = id
	}
}

// mayHave says whether a record may be in a session.
func (r *roster) mayHave(id ID) bool { return id.Compare(r.low) >= 0 && id.Compare(r.high) <= 0 }

// readRoster reads what can be read. What can't be is an error that Sessions returns.
func readRoster(tx *bolt.Tx) (r roster) {
	// eachSession returns only errors of its func, which has none.
	_ = eachSession(tx, func(number uint32, f *sessionFacts, err error) {
		if err != nil {
			return
		}
		r.rows = append(r.rows, rosterRow{number, f.Name, f.capturing(), f.Gone})
		if first, last := sessionEnds(tx, number); last != (ID{}) {
			r.note(first)
			r.note(last)
		}
	})
	return r
}

// sessionCount is a change of what is in a session.
type sessionCount struct{ records, bytes int64 }

// addSession writes a session that is new.
func (t *txn) addSession(f *sessionFacts) error {
	if err := t.makeSessionBuckets(); err != nil {
		return err
	}
	number, err := t.Bucket(bucketSessions).NextSequence()
	if err != nil {
		return err
	}
	t.roster = t.roster.with(rosterRow{number: uint32(number), name: f.Name, capturing: f.capturing()})
	return t.putSession(uint32(number), f)
}

func (t *txn) makeSessionBuckets() error {
	for _, name := range [][]byte{bucketSessions, bucketMembers, bucketBySession} {
		if _, err := t.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) putSession(number uint32, f *sessionFacts) error {
	value, err := pack(f)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	defer freeBuffer(value)
	key := sessionRowKey(number)
	return t.Bucket(bucketSessions).Put(key, bytes.Clone(seal(key, value)))
}

// forgetSession takes its name from a session and marks it as gone. Its members are swept later: there may be a million.
func (t *txn) forgetSession(row rosterRow) error {
	facts, err := readSessionRow(t.Tx, row.number)
	if err != nil {
		facts = &sessionFacts{} // damaged: nothing is lost with it
	}
	facts.Gone, facts.Signing = true, nil
	t.roster = t.roster.with(rosterRow{number: row.number, name: row.name, gone: true})
	return t.putSession(row.number, facts)
}

// checkSessions refuses a record that is to be put into sessions that are not there, or have no room.
func (t *txn) checkSessions(named []string) error {
	for _, name := range named {
		if _, ok := t.roster.find(name); !ok {
			return refuse("session %q: %w", name, ErrNotFound)
		}
		if t.sessionsFull() {
			return &refusal{ErrSessionsFull}
		}
	}
	return nil
}

// capture puts a new record into the sessions that capture, unless it is imported, and into those that it names.
func (t *txn) capture(c *appendChange, count counts) error {
	if len(t.roster.rows) == 0 {
		return nil
	}
	joined := false
	for _, row := range t.roster.rows {
		captured := row.capturing && !c.imported
		if !captured && (row.gone || !slices.Contains(c.sessions, row.name)) {
			continue
		}
		if captured && t.sessionsFull() {
			if err := t.endFull(row); err != nil {
				return err
			}
			continue
		}
		if err := t.join(row.number, c.id, count); err != nil {
			return err
		}
		joined = true
	}
	if joined {
		t.pins += count.weight()
	}
	return nil
}

// endFull ends the capturing of a session for want of room.
func (t *txn) endFull(row rosterRow) error {
	row.capturing = false
	t.roster = t.roster.with(row)
	t.ended = append(t.ended, row.name)
	facts, err := readSessionRow(t.Tx, row.number)
	if err != nil {
		return nil // damaged: it must not keep records from the tape, and captures nothing after the next start either
	}
	facts.Stopped, facts.Full = nanos(t.now()), true
	return t.putSession(row.number, facts)
}

// join puts a record, which is not in the session yet, into it.
func (t *txn) join(number uint32, id ID, c counts) error {
	t.key = appendMemberKey(t.key[:0], id, number)
	sum := binary.BigEndian.AppendUint32(nil, checksum(t.key, nil))
	if err := t.tail(bucketMembers).Put(t.key, sum); err != nil {
		return err
	}
	t.key = appendBySessionKey(t.key[:0], number, id)
	if err := t.tail(bucketBySession).Put(t.key, nil); err != nil {
		return err
	}
	t.roster.note(id)
	t.countSession(number, sessionCount{1, c.bytes + c.replies})
	return nil
}

// joinAll puts records of the tape into a session.
func (t *txn) joinAll(number uint32, ids []ID) error {
	attempts := &rowsOf{bucket: bucketAttempts}
	for _, id := range ids {
		if t.Bucket(bucketMembers).Get(appendMemberKey(nil, id, number)) != nil {
			continue
		}
		c, ok := weigh(t.Tx, attempts, id)
		if !ok {
			continue
		}
		if !pinned(t.Tx, id) {
			t.pins += c.weight()
		}
		if err := t.join(number, id, c); err != nil {
			return err
		}
	}
	return nil
}

// leaveAll takes a record out of its sessions.
func (t *txn) leaveAll(id ID, members [][]byte, c counts) error {
	for _, k := range members {
		number, ok := memberOf(k)
		if !ok {
			continue
		}
		if err := t.leave(number, id); err != nil {
			return err
		}
		t.countSession(number, sessionCount{-1, -c.bytes - c.replies})
	}
	if len(members) > 0 {
		t.pins -= c.weight()
	}
	return nil
}

func (t *txn) leave(number uint32, id ID) error {
	t.key = appendMemberKey(t.key[:0], id, number)
	if err := t.Bucket(bucketMembers).Delete(t.key); err != nil {
		return err
	}
	t.key = appendBySessionKey(t.key[:0], number, id)
	return t.Bucket(bucketBySession).Delete(t.key)
}

// grow counts, for a record's sessions, raw bytes that came to it after it was appended.
func (t *txn) grow(id ID, replies int64) {
	if replies == 0 || !t.roster.mayHave(id) {
		return
	}
	in := false
	eachMember(t.Tx, id, func(number uint32) {
		t.countSession(number, sessionCount{bytes: replies})
		in = true
	})
	if in {
		t.pins += replies
	}
}

func (t *txn) countSession(number uint32, c sessionCount) {
	if t.sessions == nil {
		t.sessions = map[uint32]sessionCount{}
	}
	was := t.sessions[number]
	t.sessions[number] = sessionCount{was.records + c.records, was.bytes + c.bytes}
}

// writeSessions writes what was counted, once for the whole transaction.
func (t *txn) writeSessions() error {
	for number, c := range t.sessions {
		f, err := readSessionRow(t.Tx, number)
		if err != nil {
			continue // damaged: its count is the least of what is lost
		}
		f.Records, f.Bytes = max(0, f.Records+c.records), max(0, f.Bytes+c.bytes)
		if err := t.putSession(number, f); err != nil {
			return err
		}
	}
	if t.pins == 0 {
		return nil
	}
	b := t.Bucket(bucketMembers)
	return b.SetSequence(uint64(max(0, int64(b.Sequence())+t.pins)))
}

// weight is about how many bytes of the file a record takes.
func (c *counts) weight() int64 { return c.bytes + c.replies + refusedWeight }

// weigh counts a record with its answer and attempts, as far as they can be read; ok is false when there is none.
func weigh(tx *bolt.Tx, attempts *rowsOf, id ID) (c counts, ok bool) {
	var facts removalFacts
	if _, err := unpack(id[:], tx.Bucket(bucketRecords).Get(id[:]), &facts); err != nil {
		return c, false
	}
	c = facts.counts()
	// A damaged attempt ends this: its bytes were not counted, or don't matter any more.
	_ = attempts.each(tx, id, func(k, v []byte) error {
		raws, err := readReplies(k, v)
		c.replies += sizeOfAll(raws)
		return err
	})
	return c, true
}
