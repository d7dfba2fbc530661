package store

import (
	"bytes"
	"fmt"
)

// nameMax bounds the names of sources, targets and verdicts: their length is one byte in keys.
const nameMax = 255

// Append adds a record: it gives rec.ID, puts the bytes of raw into rec.Raw, calls render, and queues all that with
// the deliveries for the next commit. It blocks while the queue is full.
//
// Render may set rec.Answer, which goes into the same transaction; others wait behind it, so it must be quick, and it
// must not call the store. Nil renders nothing. With a nil raw, rec.Raw is taken as it is, and must be inline. The
// deliveries get the record's id and source, and their defaults. When Append returns, all that was passed may be changed,
// but for the names in rec.Session, which are read by the commit. rec.Raw.Inline is the spool's until raw.Discard.
//
// The record joins every session that captures, unless it is imported, and those that rec.Session names, which must
// exist.
func (s *Store) Append(rec *Record, raw *Spool, deliveries []Delivery, render func(*Record)) *Commit {
	return s.append(rec, raw, deliveries, render, nil)
}

func (s *Store) append(rec *Record, raw *Spool, deliveries []Delivery, render func(*Record), keys []Once) *Commit {
	if err := checkAppend(rec, deliveries); err != nil {
		return failed(err)
	}
	if err := s.full(); err != nil {
		return failed(err)
	}
	kept, err := take(raw, rec.Raw)
	if err != nil {
		return failed(err)
	}
	c, err := s.queue.enterAs(ahead, sizeOf(rec, kept, deliveries))
	if err != nil {
		kept.release(err)
		return failed(err)
	}
	ch := &appendChange{id: c.id, raw: kept, commit: c}
	for _, o := range keys {
		ch.once = append(ch.once, newOnce(rec.Source, o, s.newest))
	}
	defer func() { // in a defer, so that a panic of render holds up nobody
		if ch.value == nil && err == nil {
			err = fmt.Errorf("render panicked")
		}
		if err != nil {
			ch.release(err)
			s.queue.fill(c, nil, 0, err)
			return
		}
		s.queue.fill(c, ch, ch.size(), nil)
	}()
	rec.ID, rec.Raw = c.id, kept.raw
	if rec.Time.IsZero() {
		rec.Time = timeOf(c.id)
	}
	if render != nil {
		render(rec)
	}
	err = ch.encode(rec, deliveries)
	return c
}

// full is the reason why no records are taken now; nil: they are.
func (s *Store) full() error {
	switch {
	case s.evictor.full.Load():
		return ErrFull
	case s.short.Load():
		return ErrDiskFull
	case s.gone.Load():
		return ErrGone
	}
	return nil
}

// Probe says why no record can be added just now; nil when one can. It commits, and changes nothing.
func (s *Store) Probe() error {
	if err := s.full(); err != nil {
		return err
	}
	return s.PutMeta("probe", nil)
}

func checkAppend(rec *Record, deliveries []Delivery) error {
	if len(rec.Source) > nameMax || len(rec.Verdict) > nameMax {
		return fmt.Errorf("name of source or verdict longer than %d bytes: %w", nameMax, ErrTooLarge)
	}
	return checkDeliveries(rec.Source, deliveries)
}

// sizeOf estimates what an append will keep in memory, before its answer is known.
func sizeOf(r *Record, raw taken, deliveries []Delivery) int {
	size := 512 + len(raw.raw.Inline) + len(raw.tail) + len(r.Target) + len(r.Reason) + len(r.Host) + len(r.Trace)
	for _, d := range deliveries {
		size += 256 + len(d.Key)
	}
	return size
}

type appendChange struct {
	id     ID
	time   int64 // milliseconds of the record's own time
	source string
	raw    taken
	recordRow
	sessions []string      // the record joins these, whether they capture or not
	imported bool          // it joins no others
	once     []*once       // nil: it is a duplicate of nothing
	commit   *Commit       // to be told the first, if it is a duplicate
	instead  *bytes.Buffer // the value of the duplicate that the record turned out to be
}

// recordRow is what is written for a record, beside its bytes.
type recordRow struct {
	verdict    Verdict
	counts     counts
	value      *bytes.Buffer // sealed
	deliveries []deliveryRow
}

// encode makes the rows. It runs in the goroutine that called Append, outside all locks.
func (c *appendChange) encode(rec *Record, deliveries []Delivery) error {
	c.time, c.source, c.verdict = rec.Time.UnixMilli(), rec.Source, rec.Verdict
	c.sessions, c.imported = rec.Session, rec.Via == ViaImport || rec.Origin != ""
	if len(deliveries) > 0 {
		c.deliveries = make([]deliveryRow, len(deliveries))
	}
	for i := range deliveries {
		deliveries[i].Record, deliveries[i].Source = c.id, rec.Source
		if err := c.deliveries[i].encode(deliveries[i]); err != nil {
			return err
		}
	}
	var answer int64
	if rec.Answer != nil {
		answer = rec.Answer.Raw.Size
	}
	c.counts = newCounts(rec.Verdict, rec.Raw.Size, answer)
	value, err := packRecord(rec)
	if err != nil {
		return err
	}
	seal(c.id[:], value)
	c.value = value
	return nil
}

func (c *appendChange) size() int {
	size := c.value.Len() + len(c.raw.tail) + 256
	for _, d := range c.deliveries {
		size += d.value.Len() + 256
	}
	return size
}

func (c *appendChange) apply(t *txn) error {
	switch {
	case t.short:
		return &refusal{ErrDiskFull}
	case t.gone:
		return &refusal{ErrGone}
	}
	if err := t.checkSessions(c.sessions); err != nil {
		return err
	}
	row := c.recordRow
	if c.once != nil {
		first, found, err := t.findFirst(c.once, c.id, c.commit.whole)
		if err != nil {
			return err
		}
		if c.commit.first = first; found {
			if row, err = c.duplicate(first); err != nil {
				return err
			}
			freeBuffer(c.instead) // of an earlier try
			c.instead = row.value
		}
	}
	if err := c.raw.put(t); err != nil {
		return err
	}
	if err := c.put(t, &row); err != nil {
		return err
	}
	t.counts.add(row.counts)
	t.observe(c.id, c.time)
	return t.capture(c, row.counts)
}

// put writes the row, its indexes and its deliveries.
func (c *appendChange) put(t *txn, row *recordRow) error {
	if err := t.tail(bucketRecords).Put(c.id[:], row.value.Bytes()); err != nil {
		return err
	}
	if err := t.index(c.id, c.source, row.verdict); err != nil {
		return err
	}
	for i := range row.deliveries {
		if err := t.addDelivery(&row.deliveries[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *appendChange) release(err error) {
	c.raw.release(err)
	freeBuffer(c.value)
	freeBuffer(c.instead)
	c.value, c.instead = nil, nil
	for _, d := range c.deliveries {
		freeBuffer(d.value)
	}
	c.deliveries = nil
}

// indexed says whether records of this verdict have their own index. The accepted are the bulk: they are found by
// going through the tape.
func indexed(v Verdict) bool { return v != Accepted && v != "" }

// appendName is a name behind its length.
func appendName(dst []byte, name string) []byte { return append(append(dst, byte(len(name))), name...) }
