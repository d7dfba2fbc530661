package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Settle adds an attempt, an answer and the new states of deliveries to a record, in one transaction. The deliveries
// are matched by source and target; those that the record does not have yet are made. Wait returns an error that wraps
// ErrNotFound when there is no such record.
//
// An outcome that leaves no delivery pending is written some milliseconds later, together with others, unless somebody
// waits for it; records that are appended meanwhile may be on the disk before it.
//
// The spools may be discarded when Settle returns; o.Attempt.Number is set before Wait returns nil.
func (s *Store) Settle(id ID, o Outcome) *Commit {
	for i := range o.Deliveries {
		if err := checkDeliveries(o.Deliveries[i].Source, o.Deliveries[i:i+1]); err != nil {
			return failed(err)
		}
	}
	ch, err := newSettleChange(id, &o)
	if err != nil {
		ch.release(err)
		return failed(err)
	}
	c, err := s.queue.enterAs(ch.order(), ch.size())
	if err != nil {
		ch.release(err)
		return failed(err)
	}
	ch.commit = c
	s.queue.fill(c, ch, c.size, nil)
	return c
}

type settleChange struct {
	id           ID
	commit       *Commit
	attempt      *Attempt      // to be told its number
	attemptValue *bytes.Buffer // packed: its key is not known before it has a number
	sent         taken
	response     taken
	answer       *answerFacts
	answerRaw    taken
	deliveries   []Delivery
	from         State
}

// newSettleChange does what can be done outside the committer. The change that it returns must be released even when there
// is an error.
func newSettleChange(id ID, o *Outcome) (*settleChange, error) {
	c := &settleChange{id: id, attempt: o.Attempt, deliveries: slices.Clone(o.Deliveries), from: o.From}
	for i := range c.deliveries {
		c.deliveries[i].Record = id
	}
	var err error
	if o.Attempt != nil {
		if c.response, err = take(o.Response, o.Attempt.Response); err != nil {
			return c, err
		}
		o.Attempt.Record, o.Attempt.Response = id, c.response.raw
		if o.Sent != nil {
			if c.sent, err = take(o.Sent, Raw{}); err != nil {
				return c, err
			}
			o.Attempt.Sent = &c.sent.raw
		}
		facts := newAttemptFacts(o.Attempt)
		if c.attemptValue, err = packFields(facts.appendTo, c.response.raw.Inline); err != nil {
			return c, err
		}
	}
	if o.Answer != nil {
		if c.answerRaw, err = take(o.AnswerRaw, o.Answer.Raw); err != nil {
			return c, err
		}
		o.Answer.Raw = c.answerRaw.raw
		answer := newAnswerFacts(o.Answer)
		answer.Inline, answer.Pieces = bytes.Clone(answer.Inline), bytes.Clone(answer.Pieces)
		c.answer = &answer
	}
	return c, nil
}

// order is late when no delivery is left pending: nobody waits to make one.
func (c *settleChange) order() order {
	if slices.ContainsFunc(c.deliveries, func(d Delivery) bool { return withDefaults(d).State == Pending }) {
		return inTurn
	}
	return late
}

func (c *settleChange) size() int {
	size := 256 + len(c.sent.tail) + len(c.response.tail) + len(c.answerRaw.tail)
	if c.attemptValue != nil {
		size += c.attemptValue.Len()
	}
	if c.answer != nil {
		size += 256 + len(c.answer.Inline) + len(c.answer.Error)
	}
	for _, d := range c.deliveries {
		size += 512 + len(d.Key) + len(d.Error)
	}
	return size
}

func (c *settleChange) apply(t *txn) error {
	if t.get(bucketRecords, c.id[:]) == nil {
		return refuse("record %s: %w", c.id, ErrNotFound)
	}
	more, replies := t.replied(c.id), t.counts.replies
	number, err := c.applyAttempt(t, more)
	if err != nil {
		return err
	}
	if err := c.applyAnswer(t, number, more); err != nil {
		return err
	}
	t.grow(c.id, t.counts.replies-replies)
	c.commit.stale = false // the transaction may have been tried before
	for _, d := range c.deliveries {
		put, err := t.putDelivery(d, c.from)
		if err != nil {
			return err
		}
		c.commit.stale = c.commit.stale || !put
	}
	return nil
}

// Stale says that a delivery was no longer in state Outcome.From, and was not changed. It may be called when Wait has
// returned nil.
func (c *Commit) Stale() bool { return c.stale }

// replied says whether a record has attempts or a late answer. Most have none when their answer comes: then there is
// no number to go on from, and no answer to replace.
func (t *txn) replied(id ID) bool {
	k, _ := t.seek(bucketAttempts, id[:])
	return bytes.HasPrefix(k, id[:])
}

func (c *settleChange) applyAttempt(t *txn, more bool) (number int, err error) {
	if c.attempt == nil {
		return 0, nil
	}
	if err := errors.Join(c.sent.put(t), c.response.put(t)); err != nil {
		return 0, err
	}
	b := t.tail(bucketAttempts)
	if number = 1; more {
		number += lastAttempt(b.Cursor(), c.id)
	}
	c.attempt.Number = number
	t.counts.replies += c.sent.raw.Size + c.response.raw.Size
	t.key = appendNumbered(t.key[:0], c.id, uint32(number))
	packed := c.attemptValue.Len()
	value := seal(t.key, c.attemptValue)
	c.attemptValue.Truncate(packed) // the transaction may be tried again
	return number, b.Put(t.key, value)
}

func (c *settleChange) applyAnswer(t *txn, number int, more bool) error {
	if c.answer == nil {
		return nil
	}
	if err := c.answerRaw.put(t); err != nil {
		return err
	}
	facts := *c.answer
	if facts.FromAttempt == ThisAttempt {
		facts.FromAttempt = number
	}
	if more {
		if err := t.dropLateAnswer(c.id, c.answerRaw.raw.Pieces); err != nil {
			return err
		}
	}
	t.counts.replies += facts.Size
	t.key = appendNumbered(t.key[:0], c.id, lateAnswer)
	return t.putFields(t.tail(bucketAttempts), t.key, facts.appendTo)
}

func (c *settleChange) release(err error) {
	c.sent.release(err)
	c.response.release(err)
	c.answerRaw.release(err)
	freeBuffer(c.attemptValue)
	c.attemptValue = nil
}

// lateAnswer stands in place of an attempt's number in the key of an answer that came after its record was committed. So it
// lies beside the attempts that it came from, and the record's own page is not written again.
const lateAnswer = 0

// appendNumbered is the key of an attempt or a piece.
func appendNumbered(dst []byte, id ID, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, id[:]...), number)
}

// lastAttempt is the highest number of an attempt that a record has; 0 when it has none.
func lastAttempt(c *bolt.Cursor, id ID) int {
	k, _ := c.Seek(appendNumbered(nil, id, 1<<32-1))
	if k == nil {
		k, _ = c.Last()
	} else {
		k, _ = c.Prev()
	}
	if number, ok := numberOf(k, id); ok {
		return int(number)
	}
	return 0
}

// numberOf reads the number in the key of an attempt or piece of id.
func numberOf(key []byte, id ID) (uint32, bool) {
	if len(key) != len(id)+4 || ID(key[:len(id)]) != id {
		return 0, false
	}
	return binary.BigEndian.Uint32(key[len(id):]), true
}

// putFields writes a value that has no raw bytes. Appended is as in packFields.
func (t *txn) putFields(b *bolt.Bucket, key []byte, appended func(fields) fields) error {
	value, err := packFields(appended, nil)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	defer freeBuffer(value)
	return b.Put(key, t.keep(seal(key, value)))
}
