package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Report is what Verify found.
type Report struct {
	Pages   int64 // of the file
	Free    int64 // pages among them that can be used again
	Records int64 // whole ones
	// Damage says what is not as it was written, the first damageMax of it; Damaged counts all.
	Damage  []error
	Damaged int

	members, listed int // places of records in sessions: rows of the members, and of the index by session
}

// damageMax bounds Report.Damage.
const damageMax = 1000

func (r *Report) damaged(err error) {
	if r.Damaged++; len(r.Damage) < damageMax {
		r.Damage = append(r.Damage, err)
	}
}

// Verify reads the whole database at path and checks every page, the order of every key, and the checksum of every
// value. Nobody may have it open. Damage is in the report; the error is about the file as such: it wraps ErrNoTape when
// that is something else, and is a *NewerError when its format is a later one.
func Verify(path string) (*Report, error) {
	f, size, err := openToSalvage(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := openPages(f, size)
	r := &Report{Pages: size / p.page}
	if err != nil {
		r.damaged(err)
	}
	if errors.Is(err, errNoMeta) {
		return r, nil
	}
	if err := p.checkFormat(); err != nil {
		return nil, err
	}
	if p.lost > 0 {
		r.damaged(errors.New("one of its two meta pages can't be read: the last commit may be missing"))
	}
	free, err := p.free()
	if err != nil {
		r.damaged(err)
	}
	r.Free = int64(len(free))
	w := &pageWalk{pages: p, damaged: r.damaged, seen: map[uint64]bool{}, row: r.row}
	if list, err := p.read(p.meta.freelist); err == nil {
		_ = w.claim(list) // nothing is claimed yet, so it can't fail
	}
	if w.all(); r.listed != r.members && r.Damaged == 0 {
		r.damaged(fmt.Errorf("the index of the sessions has %d places of records, not %d", r.listed, r.members))
	}
	for id := range free {
		if _, taken := w.seen[id]; taken {
			r.damaged(fmt.Errorf("page %d: is free and in use", id))
		}
	}
	return r, nil
}

func (r *Report) row(bucket string, k, v []byte) {
	switch bucket {
	case string(bucketMembers):
		r.members++
	case string(bucketBySession):
		r.listed++
	}
	if !checksummed(bucket, k) {
		return
	}
	if _, err := verify(k, v); err != nil {
		r.damaged(fmt.Errorf("%s: %w", nameRow(bucket, k), err))
	} else if bucket == string(bucketRecords) {
		r.Records++
	}
}

// checksummed says whether the value of a row has a checksum.
func checksummed(bucket string, k []byte) bool {
	switch bucket {
	case string(bucketRecords), string(bucketPieces), string(bucketAttempts), string(bucketDeliveries):
		return true
	case string(bucketSources):
		return bytes.HasPrefix(k, []byte(sourceKey))
	case string(bucketSessions):
		return bytes.HasPrefix(k, []byte(sessionKey))
	case string(bucketMembers):
		return len(k) == memberKeys
	case string(bucketMeta):
		return len(k) > len(metaUser) && string(k[:len(metaUser)]) == metaUser
	}
	return false
}

// nameRow names a row for people.
func nameRow(bucket string, k []byte) string {
	if len(k) < len(ID{}) || bucket == string(bucketMeta) || bucket == string(bucketSources) {
		return fmt.Sprintf("%s %q", bucket, k)
	}
	id := ID(k[:len(ID{})])
	switch bucket {
	case string(bucketRecords):
		return "record " + id.String()
	case string(bucketDeliveries):
		return "delivery of record " + id.String()
	case string(bucketMembers):
		return "place in a session of record " + id.String()
	case string(bucketAttempts), string(bucketPieces):
		if n, ok := numberOf(k, id); ok && bucket == string(bucketPieces) {
			return fmt.Sprintf("piece %d of %s", n, id)
		}
		return fmt.Sprintf("attempt %d of record %s", binary.BigEndian.Uint32(append(k[len(id):len(k):len(k)], 0, 0, 0, 0)), id)
	}
	return fmt.Sprintf("%s %q", bucket, k)
}
