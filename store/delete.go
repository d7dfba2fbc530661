package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Deleted says what a call of Delete has taken off the tape.
type Deleted struct {
	Records int
	Bytes   int64 // raw bytes of the records, their answers and responses
	Pending int   // deliveries that were pending and will never be made
}

// deleteMax is how many records are deleted in one transaction: what is committed beside them should not wait long. Small ones
// take about a microsecond each.
const deleteMax = 512

// deleteRows is the number of attempts, deliveries and places in sessions after which a transaction deletes no more records.
// Each takes about two microseconds, and a record whose target was away for days has hundreds of attempts.
const deleteRows = 4096

// Delete takes records off the tape, with their pieces, attempts, deliveries and places in every index, and returns
// when that is on the disk. Ids that are not there are passed over. The space is used again; the bytes themselves stay in
// the file's free pages until they are written over, or the file is compacted. A damaged record is left, and the error
// wraps ErrDamaged.
func (s *Store) Delete(ids ...ID) (Deleted, error) {
	all, damaged, err := s.deleteAll(ids, nil)
	return all, errors.Join(append(damaged, err)...)
}

// deleteAll deletes in as many transactions as it takes.
func (s *Store) deleteAll(ids []ID, keep keeper) (all Deleted, damaged []error, err error) {
	for len(ids) > 0 {
		n := min(len(ids), deleteMax)
		ch := &deleteChange{ids: ids[:n], keep: keep}
		if err := s.delete(ch); err != nil {
			return all, damaged, err
		}
		all.add(ch.done)
		damaged = append(damaged, ch.damaged...)
		ids = ids[n-len(ch.left):]
	}
	return all, damaged, nil
}

func (d *Deleted) add(e Deleted) {
	d.Records += e.Records
	d.Bytes += e.Bytes
	d.Pending += e.Pending
}

// delete deletes in one transaction, but for the pieces of big bodies, which follow.
func (s *Store) delete(ch *deleteChange) error {
	c, err := s.queue.enter(len(ch.ids) * 256)
	if err != nil {
		return err
	}
	s.queue.fill(c, ch, c.size, nil)
	if err := c.Wait(); err != nil {
		ch.reset()
		return err
	}
	for _, rest := range ch.rest {
		if err := s.drop(rest.id, rest.from, rest.to, true); err != nil {
			break // marked as nobody's: the next Open sweeps
		}
	}
	return nil
}

// keeper decides whether a record stays. It may read what hangs on the record in tx.
type keeper func(tx *bolt.Tx, id ID, facts *removalFacts) bool

type deleteChange struct {
	ids    []ID
	keep   keeper // has the last word on each record, inside the transaction; nil: none stays
	enough int64  // once the records that go weigh so many bytes, others only go if they are before old; 0: all of ids may go
	old    ID

	done    Deleted
	damaged []error
	left    []ID         // those of ids that were not looked at: enough was reached, or deleteRows
	rest    []dropChange // pieces that are still to be deleted
	pieces  uint32       // deleted in this transaction

	records *bolt.Cursor // one for all: finding the next record allocates nothing then
	rows    rowsOfRecord
	facts   removalFacts // of the record that is read
}

// apply reads all before it changes anything, and then deletes from the last to the first: when bbolt deletes a row, it
// moves those behind it on the page, and in this order only rows that stay are moved.
func (c *deleteChange) apply(t *txn) error {
	c.reset()
	c.rows = rowsOfRecord{rowsOf{bucket: bucketAttempts}, rowsOf{bucket: bucketDeliveries}, rowsOf{bucket: bucketMembers}}
	c.records = t.Bucket(bucketRecords).Cursor()
	all := make([]removal, 0, len(c.ids))
	var weight int64
	rows := 0
	for i, id := range c.ids {
		if rows >= deleteRows || c.enough > 0 && weight >= c.enough && id.Compare(c.old) >= 0 {
			c.left = c.ids[i:]
			break
		}
		n := len(all)
		if all = c.read(t, all, id); len(all) > n {
			weight += all[n].counts.weight()
			rows += all[n].rows()
		}
	}
	for i := len(all) - 1; i >= 0; i-- {
		if err := c.delete(t, &all[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *deleteChange) release(error) {}

// reset forgets what was done in a transaction that failed.
func (c *deleteChange) reset() {
	c.done, c.damaged, c.left, c.rest, c.pieces = Deleted{}, nil, nil, nil, 0
}

// read appends a record to all, those that are to be deleted, unless it is not there, or stays.
func (c *deleteChange) read(t *txn, all []removal, id ID) []removal {
	value := c.valueOf(id)
	if value == nil {
		return all
	}
	_, err := unpack(id[:], value, &c.facts)
	if err == nil && c.keep != nil && c.keep(t.Tx, id, &c.facts) {
		return all
	}
	r := removal{id: id, source: c.facts.Source, verdict: c.facts.Verdict, counts: c.facts.counts()}
	if err == nil {
		err = r.read(t.Tx, &c.facts, &c.rows)
	}
	if err != nil {
		c.damaged = append(c.damaged, fmt.Errorf("record %s: %w: %w", id, ErrDamaged, err))
		return all
	}
	return append(all, r)
}

// valueOf is the value of a record; nil: it is not there. Mostly it is the next one after the record before.
func (c *deleteChange) valueOf(id ID) []byte {
	if k, value := c.records.Next(); bytes.Equal(k, id[:]) {
		return value
	}
	if k, value := c.records.Seek(id[:]); bytes.Equal(k, id[:]) {
		return value
	}
	return nil
}

// delete takes one record off, unless that was done: ids may name it twice.
func (c *deleteChange) delete(t *txn, r *removal) error {
	if k, _ := c.records.Seek(r.id[:]); !bytes.Equal(k, r.id[:]) {
		return nil
	}
	for _, raw := range r.pieces {
		if err := c.deletePieces(t, raw); err != nil {
			return err
		}
	}
	if err := errors.Join(r.delete(t), c.records.Delete()); err != nil {
		return err
	}
	c.done.Records++
	c.done.Bytes += r.counts.bytes + r.counts.replies
	c.done.Pending += r.pending
	t.counts.subtract(r.counts)
	return nil
}

// deletePieces deletes as many pieces as a transaction should, and marks the rest as nobody's.
func (c *deleteChange) deletePieces(t *txn, raw Raw) error {
	n := uint32((raw.Size + pieceSize - 1) / pieceSize)
	now := min(n, dropMax-min(c.pieces, dropMax))
	c.pieces += now
	drop := dropChange{id: raw.Pieces, to: now}
	if err := drop.delete(t.Tx); err != nil || now == n {
		return err
	}
	c.rest = append(c.rest, dropChange{id: raw.Pieces, from: now, to: n})
	return t.Bucket(bucketUploads).Put(bytes.Clone(raw.Pieces[:]), nil)
}

// removalFacts are the facts of a record that its removal needs: the others are not decoded.
type removalFacts struct {
	Source  string         `cbor:"2,keyasint"`
	Verdict Verdict        `cbor:"12,keyasint"`
	Pieces  []byte         `cbor:"19,keyasint"`
	Size    int64          `cbor:"20,keyasint"`
	Answer  *removalAnswer `cbor:"21,keyasint"`
}

type removalAnswer struct {
	Pieces []byte `cbor:"7,keyasint"`
	Size   int64  `cbor:"8,keyasint"`
}

// readFields reuses what it can of the facts that were read before: from one record to the next, most is the same.
func (f *removalFacts) readFields(b []byte) bool {
	before := *f
	*f = removalFacts{}
	r := fieldReader{b: b}
	r.each(func(key uint64) {
		switch key {
		case 2:
			f.Source = sameOr(before.Source, r.bytes(cborText))
		case 12:
			f.Verdict = sameOr(before.Verdict, r.bytes(cborText))
		case 19:
			f.Pieces = bytes.Clone(r.bytes(cborBytes))
		case 20:
			f.Size = r.number()
		case 21:
			if f.Answer = before.Answer; f.Answer == nil {
				f.Answer = new(removalAnswer)
			}
			*f.Answer = removalAnswer{}
			f.Answer.read(&r)
		default:
			r.skip()
		}
	})
	if r.failed || len(r.b) > 0 {
		*f = removalFacts{}
		return false
	}
	return true
}

// sameOr is b as a string: before itself where they are equal, which allocates nothing.
func sameOr[S ~string](before S, b []byte) S {
	if string(b) == string(before) {
		return before
	}
	return S(b)
}

func (f *removalAnswer) read(r *fieldReader) {
	r.each(func(key uint64) {
		switch key {
		case 7:
			f.Pieces = bytes.Clone(r.bytes(cborBytes))
		case 8:
			f.Size = r.number()
		default:
			r.skip()
		}
	})
}

func (f *removalFacts) counts() counts {
	var answer int64
	if f.Answer != nil {
		answer = f.Answer.Size
	}
	return newCounts(f.Verdict, f.Size, answer)
}

// removal is a record that is about to go, with all that hangs on it.
type removal struct {
	id         ID
	source     string
	verdict    Verdict
	counts     counts
	pieces     []Raw
	attempts   [][]byte // keys
	deliveries []*Delivery
	members    [][]byte // keys
	pending    int
}

func (r *removal) read(tx *bolt.Tx, facts *removalFacts, rows *rowsOfRecord) error {
	r.add(rawOf(nil, facts.Pieces, facts.Size))
	if facts.Answer != nil {
		r.add(rawOf(nil, facts.Answer.Pieces, facts.Answer.Size))
	}
	if err := rows.attempts.each(tx, r.id, func(k, v []byte) error {
		raws, err := readReplies(k, v)
		r.add(raws...)
		r.counts.replies += sizeOfAll(raws)
		r.attempts = append(r.attempts, bytes.Clone(k))
		return err
	}); err != nil {
		return err
	}
	if err := rows.members.each(tx, r.id, func(k, _ []byte) error {
		r.members = append(r.members, bytes.Clone(k))
		return nil
	}); err != nil {
		return err
	}
	return rows.deliveries.each(tx, r.id, func(k, v []byte) error {
		d, err := readDelivery(k, v)
		if err != nil {
			return err
		}
		if d.State == Pending {
			r.pending++
		}
		r.deliveries = append(r.deliveries, d)
		return nil
	})
}

// rows is how many rows of other buckets hang on the record, without those of the indexes.
func (r *removal) rows() int { return len(r.attempts) + len(r.deliveries) + len(r.members) }

// add notes those of raws that are in pieces. Most are not.
func (r *removal) add(raws ...Raw) {
	for _, raw := range raws {
		if raw.Pieces != (ID{}) {
			r.pieces = append(r.pieces, raw)
		}
	}
}

// rowsOfRecord are all the rows that hang on a record.
type rowsOfRecord struct{ attempts, deliveries, members rowsOf }

// rowsOf reads the rows of one record after another. Within a transaction it remembers where the next rows are: most
// records that are looked at together are neighbours, and have none.
type rowsOf struct {
	bucket   []byte
	tx       *bolt.Tx // in which the rest holds
	from, to ID       // no record in [from, to) has rows
	end      bool     // nor any later one
}

func (r *rowsOf) each(tx *bolt.Tx, id ID, do func(k, v []byte) error) error {
	if r.tx != tx {
		*r = rowsOf{bucket: r.bucket, tx: tx}
	}
	if id.Compare(r.from) >= 0 && (r.end || id.Compare(r.to) < 0) && r.from != (ID{}) {
		return nil
	}
	b := tx.Bucket(r.bucket)
	if b == nil { // there was never a session
		r.from, r.end = id, true
		return nil
	}
	c := b.Cursor()
	k, v := c.Seek(id[:])
	for ; bytes.HasPrefix(k, id[:]); k, v = c.Next() {
		if err := do(k, v); err != nil {
			return err
		}
	}
	r.from, _ = step(id, 1)
	r.to, r.end = r.from, k == nil
	if len(k) < len(id) {
		return nil // none, or damaged: nothing is known of what is before it
	}
	r.to = ID(k[:len(id)])
	return nil
}

// some says whether is holds for any row of a record.
func (r *rowsOf) some(tx *bolt.Tx, id ID, is func(k, v []byte) bool) bool {
	return r.each(tx, id, func(k, v []byte) error {
		if is(k, v) {
			return errFound
		}
		return nil
	}) != nil
}

func anyRow(_, _ []byte) bool { return true }

var errFound = errors.New("found") // ends rowsOf.each

// readReplies reads what raw bytes a row of the attempts has. The inline ones are left out.
func readReplies(key, value []byte) ([]Raw, error) {
	if binary.BigEndian.Uint32(key[len(ID{}):]) == lateAnswer {
		var facts answerFacts
		_, err := unpack(key, value, &facts)
		return []Raw{rawOf(nil, facts.Pieces, facts.Size)}, err
	}
	var facts attemptFacts
	_, err := unpack(key, value, &facts)
	return []Raw{rawOf(nil, facts.Pieces, facts.Size), facts.Sent.raw()}, err
}

func sizeOfAll(raws []Raw) (n int64) {
	for _, raw := range raws {
		n += raw.Size
	}
	return n
}

// delete takes away all but the record itself.
func (r *removal) delete(t *txn) error {
	for _, d := range r.deliveries {
		if err := t.delist(d); err != nil {
			return err
		}
		t.key = deliveryKey(t.key[:0], d)
		if err := t.Bucket(bucketDeliveries).Delete(t.key); err != nil {
			return err
		}
	}
	for _, k := range r.attempts {
		if err := t.Bucket(bucketAttempts).Delete(k); err != nil {
			return err
		}
	}
	if err := t.leaveAll(r.id, r.members, r.counts); err != nil {
		return err
	}
	return t.unindex(r.id, r.source, r.verdict)
}

// dropLateAnswer makes way for another late answer: what the one before kept is deleted and no longer counted.
func (t *txn) dropLateAnswer(id ID, next ID) error {
	key := appendNumbered(nil, id, lateAnswer)
	value := t.Bucket(bucketAttempts).Get(key)
	if value == nil {
		return nil
	}
	raws, err := readReplies(key, value)
	if err != nil {
		return nil // damaged: it is written over
	}
	raw := raws[0]
	t.counts.replies -= raw.Size
	if raw.Pieces == (ID{}) || raw.Pieces == next {
		return nil
	}
	drop := dropChange{id: raw.Pieces, to: uint32((raw.Size + pieceSize - 1) / pieceSize)}
	return drop.delete(t.Tx)
}
