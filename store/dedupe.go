package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Once asks AppendOnce to find out whether a record is a duplicate.
type Once struct {
	Key    string        // two records of a source with the same key are the same
	Window time.Duration // how long the first of them is remembered; positive
	Time   time.Time     // keys of the same time are kept together, so that those of one commit share pages; zero: anywhere
}

// bucketDedupe is: generation, hash of source and key → id of the first. A generation is the time, in milliseconds, from
// which all of it may be forgotten: so random keys are only added to the few young ones, and old ones are deleted from
// the front. The bucket is made when it is first needed.
var bucketDedupe = []byte("dedupe")

const (
	// generations is how many there are in a window. With more of them a lookup takes longer, with fewer keys are kept longer.
	generations = 4
	// forgetMax is how many old keys are deleted when one is added: more than one, so that the old ones run out.
	forgetMax = 8
	// clocksApart is how far the clock that Once.Time comes from may be from ours.
	clocksApart = time.Minute
)

// errLate is why a group can't be written as it is: whether a record is a duplicate depends on a late change that was
// left in line.
var errLate = errors.New("a late change is missing")

// once is a Once on its way to the disk.
type once struct {
	hash   ID    // of source and key; where it has a time, that comes first
	older  ID    // the hash without that time, as earlier versions wrote it; zero: this tape can't have it
	window int64 // milliseconds
}

// newOnce makes the once of a record of source. Newest is when the newest record came that the tape had at Open: later keys
// are not on it without their time.
func newOnce(source string, o Once, newest time.Time) *once {
	sum := sha256.Sum256(append(appendName(nil, source), o.Key...))
	k := &once{hash: ID(sum[:16]), window: max(o.Window.Milliseconds(), generations)}
	if o.Time.IsZero() {
		return k
	}
	if !o.Time.After(newest.Add(clocksApart)) {
		k.older = k.hash
	}
	putMillis(&k.hash, o.Time.UnixMilli())
	return k
}

// AppendOnce is Append, but the record becomes a duplicate when the tape has a record of the same source with one of the
// keys, that came within the key's window and was answered with a 2xx or accepted by Rejudge. Then its verdict and reason
// say so, it has no answer yet, and no delivery is made; Commit.First tells the first. This is decided in the transaction,
// so that of any number that come at once just one is the first. The window begins at the time of the first's id. A first
// that is no longer on the tape does not count.
func (s *Store) AppendOnce(rec *Record, raw *Spool, deliveries []Delivery, render func(*Record), keys ...Once) *Commit {
	return s.append(rec, raw, deliveries, render, keys)
}

// First is the record that a duplicate repeats; ok is false when the record is none. It may be called when Wait has
// returned nil.
func (c *Commit) First() (id ID, ok bool) { return c.first, c.first != ID{} }

// findFirst looks for the record that id repeats by one of its keys. Where there is none, id is the first of all of them
// from now on. The error is errLate when a late change that is still in line may decide it; all says that none is.
func (t *txn) findFirst(keys []*once, id ID, all bool) (first ID, found bool, err error) {
	b, err := t.CreateBucketIfNotExists(bucketDedupe)
	if err != nil {
		return ID{}, false, err
	}
	now, unanswered := int64(id.Time()), false
	for _, o := range keys {
		first, found := o.known(t, now)
		if found {
			return first, true, nil
		}
		unanswered = unanswered || first != ID{}
	}
	if unanswered && !all {
		return ID{}, false, errLate
	}
	for _, o := range keys {
		if err := o.remember(b, id); err != nil {
			return ID{}, false, err
		}
	}
	return ID{}, false, t.forget(now)
}

// remember makes id the first.
func (o *once) remember(b *bolt.Bucket, id ID) error {
	slot := o.window / generations
	return b.Put(appendOnceKey(nil, (int64(id.Time())/slot+generations+1)*slot, o.hash), bytes.Clone(id[:]))
}

// known is the record of the same key that came within the window before now, in milliseconds, and was well answered. When
// none was, found is false and first is the oldest record of the key in the window; zero: there is none.
func (o *once) known(t *txn, now int64) (first ID, found bool) {
	first, found = o.knownAs(o.hash, t, now)
	if found || o.older == (ID{}) {
		return first, found
	}
	if old, found := o.knownAs(o.older, t, now); old != (ID{}) {
		return old, found
	}
	return first, false
}

// knownAs is known under one hash.
func (o *once) knownAs(hash ID, t *txn, now int64) (first ID, found bool) {
	slot := o.window / generations
	for n := int64(generations + 1); n > 0; n-- { // the youngest first
		t.key = appendOnceKey(t.key[:0], (now/slot+n)*slot, hash)
		v := t.get(bucketDedupe, t.key)
		if len(v) != len(first) || int64(ID(v).Time())+o.window <= now {
			continue
		}
		first = ID(v)
		if t.wellAnswered(first) {
			return first, true
		}
	}
	return first, false
}

func appendOnceKey(b []byte, generation int64, hash ID) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(generation)), hash[:]...)
}

// forget deletes a few keys of generations that are over.
func (t *txn) forget(now int64) error {
	for range forgetMax {
		k, _ := t.seek(bucketDedupe, []byte{0})
		if len(k) <= 8 || int64(binary.BigEndian.Uint64(k)) > now {
			return nil
		}
		if err := t.cursors[string(bucketDedupe)].Delete(); err != nil {
			return err
		}
	}
	return nil
}

// wellAnswered says whether the sender of a record got a 2xx: it was acked, or its target took it; or else whether it
// would get one now, since the record was accepted when it was judged again.
func (t *txn) wellAnswered(id ID) bool {
	var facts recordFacts
	if _, err := unpack(id[:], t.Bucket(bucketRecords).Get(id[:]), &facts); err != nil || facts.Overruled {
		return err == nil
	}
	answer := facts.Answer
	key := appendNumbered(nil, id, lateAnswer)
	if v := t.Bucket(bucketAttempts).Get(key); v != nil {
		answer = new(answerFacts)
		if _, err := unpack(key, v, answer); err != nil {
			return false
		}
	}
	return answer != nil && answer.Status/100 == 2
}

// duplicate is the row of the record as a duplicate of first.
func (c *appendChange) duplicate(first ID) (recordRow, error) {
	var facts recordFacts
	raw, err := unpack(c.id[:], c.value.Bytes(), &facts)
	if err != nil {
		return recordRow{}, err
	}
	facts.Verdict, facts.Reason, facts.Answer = Duplicate, DuplicateOf(first), nil
	value, err := packFields(facts.appendTo, raw)
	if err != nil {
		return recordRow{}, err
	}
	seal(c.id[:], value)
	return recordRow{verdict: Duplicate, counts: newCounts(Duplicate, facts.Size, 0), value: value}, nil
}

// DuplicateOf is the reason of a duplicate.
func DuplicateOf(first ID) string { return "the first is " + first.String() }
