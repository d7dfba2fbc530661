package store

import (
	"bytes"
	"fmt"
)

// Judgement is the part of what the agent found out about a record that can be found out again, and may come out otherwise
// under another configuration.
type Judgement struct {
	Source   string
	Verdict  Verdict
	Reason   string
	Verified bool
	Event    string
	Events   []string
}

// Rejudge gives a record another judgement and makes its deliveries, in one transaction: its bytes, its time and the
// answer that its sender got stay. The error wraps ErrJudged when its verdict is not from any more.
//
// With o, the record becomes a duplicate when the tape has another one with the same key, within the window, that was
// answered with a 2xx or accepted by Rejudge: no delivery is made, and Commit.First tells the first. Otherwise, if it is
// accepted now, it is the first for what comes later: its sender was refused, and will send it again.
func (s *Store) Rejudge(id ID, from Verdict, j Judgement, deliveries []Delivery, o *Once) *Commit {
	if err := checkAppend(&Record{Source: j.Source, Verdict: j.Verdict}, deliveries); err != nil {
		return failed(err)
	}
	size := 512 + len(j.Reason)
	for _, d := range deliveries {
		size += 512 + len(d.Key)
	}
	c, err := s.queue.enter(size)
	if err != nil {
		return failed(err)
	}
	ch := &rejudgeChange{id: id, from: from, to: j, deliveries: deliveries, commit: c}
	if o != nil {
		ch.once = newOnce(j.Source, *o, s.newest)
	}
	s.queue.fill(c, ch, size, nil)
	return c
}

type rejudgeChange struct {
	id         ID
	from       Verdict
	to         Judgement
	deliveries []Delivery
	once       *once // nil: it is a duplicate of nothing
	commit     *Commit
}

func (c *rejudgeChange) release(error) {}

func (c *rejudgeChange) apply(t *txn) error {
	value := t.Bucket(bucketRecords).Get(c.id[:])
	if value == nil {
		return refuse("record %s: %w", c.id, ErrNotFound)
	}
	var facts recordFacts
	raw, err := unpack(c.id[:], value, &facts)
	switch {
	case err != nil:
		return refuse("record %s: %w: %w", c.id, ErrDamaged, err)
	case facts.Verdict != c.from:
		return refuse("record %s is %s: %w", c.id, facts.Verdict, ErrJudged)
	}
	to, deliveries := c.to, c.deliveries
	if c.commit.first = c.repeated(t); c.commit.first != (ID{}) {
		to.Verdict, to.Reason, deliveries = Duplicate, DuplicateOf(c.commit.first), nil
	}
	if err := c.write(t, facts, raw, to); err != nil {
		return err
	}
	if err := c.remember(t, to.Verdict); err != nil {
		return err
	}
	for _, d := range deliveries {
		d.Record, d.Source = c.id, to.Source
		if _, err := t.putDelivery(d, ""); err != nil {
			return err
		}
	}
	return nil
}

// repeated is the record that this one is a duplicate of, by its key; zero: none.
func (c *rejudgeChange) repeated(t *txn) ID {
	if c.once == nil || t.Bucket(bucketDedupe) == nil {
		return ID{}
	}
	if first, found := c.once.known(t, int64(c.commit.id.Time())); found && first != c.id {
		return first
	}
	return ID{}
}

// remember makes the record the first of its key, when it is accepted now.
func (c *rejudgeChange) remember(t *txn, verdict Verdict) error {
	if c.once == nil || verdict != Accepted {
		return nil
	}
	b, err := t.CreateBucketIfNotExists(bucketDedupe)
	if err != nil {
		return err
	}
	return c.once.remember(b, c.id)
}

// write changes the record and its places in the indexes.
func (c *rejudgeChange) write(t *txn, facts recordFacts, raw []byte, to Judgement) error {
	var answer int64
	if facts.Answer != nil {
		answer = facts.Answer.Size
	}
	if err := t.unindex(c.id, facts.Source, facts.Verdict); err != nil {
		return err
	}
	t.counts.subtract(newCounts(facts.Verdict, facts.Size, answer))
	facts.Source, facts.Verdict, facts.Reason = to.Source, to.Verdict, to.Reason
	facts.Verified, facts.Event, facts.Events = to.Verified, to.Event, to.Events
	facts.Overruled = to.Verdict == Accepted
	t.counts.add(newCounts(facts.Verdict, facts.Size, answer))
	packed, err := packFields(facts.appendTo, raw)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	defer freeBuffer(packed)
	if err := t.Bucket(bucketRecords).Put(bytes.Clone(c.id[:]), bytes.Clone(seal(c.id[:], packed))); err != nil {
		return err
	}
	return t.index(c.id, facts.Source, facts.Verdict)
}

// index puts a record into the indexes by source and by verdict.
func (t *txn) index(id ID, source string, verdict Verdict) error {
	t.key = append(appendName(t.key[:0], source), id[:]...)
	if err := t.tail(bucketBySource).Put(t.key, nil); err != nil || !indexed(verdict) {
		return err
	}
	t.key = append(appendName(t.key[:0], string(verdict)), id[:]...)
	return t.tail(bucketByVerdict).Put(t.key, nil)
}

// unindex takes a record out of the indexes by source and by verdict.
func (t *txn) unindex(id ID, source string, verdict Verdict) error {
	if indexed(verdict) {
		t.key = append(appendName(t.key[:0], string(verdict)), id[:]...)
		if err := t.Bucket(bucketByVerdict).Delete(t.key); err != nil {
			return err
		}
	}
	t.key = append(appendName(t.key[:0], source), id[:]...)
	return t.delete(bucketBySource, t.key)
}
