package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	bolt "go.etcd.io/bbolt"
)

const (
	// endingMin is the fewest letters of an id by which a record can be named.
	endingMin = 4
	// ambiguousMax is how many records an AmbiguousError names.
	ambiguousMax = 10
	// idLetters is how long an id is as text; each letter is five bits.
	idLetters = 26
)

// Find returns the id of the record that name means: its whole id, the one that its edge gave it, or an ending of at least
// four letters that no other id has, all in either case; or "last" and "last~2", the newest and the second before it. The
// error is an *AmbiguousError or wraps ErrNotFound.
func (s *Store) Find(name string) (ID, error) {
	if back, ok := strings.CutPrefix(name, "last"); ok {
		return s.findLast(name, back)
	}
	if len(name) < endingMin {
		return ID{}, fmt.Errorf("record %q: %w: name it by at least %d letters of its id", name, ErrNotFound, endingMin)
	}
	if len(name) > idLetters {
		return ID{}, fmt.Errorf("record %q: %w: an id has %d letters", name, ErrNotFound, idLetters)
	}
	id, err := ParseID(strings.Repeat("0", idLetters-len(name)) + name)
	if err != nil {
		return ID{}, fmt.Errorf("record %q: %w: it has letters that no id has", name, ErrNotFound)
	}
	if len(name) < idLetters {
		return s.findEnding(name, id)
	}
	known := false
	err = s.view(func(tx *bolt.Tx) error {
		known = tx.Bucket(bucketRecords).Get(id[:]) != nil
		return nil
	})
	if known || err != nil {
		return id, err
	}
	return s.findFromEdge(id)
}

// findFromEdge is the newest record of the request that has this id at an edge, which the app here was told. It looks
// through all records.
func (s *Store) findFromEdge(edge ID) (ID, error) {
	for rec, err := range s.Records(Query{Newest: true, NoRaw: true}) {
		switch {
		case errors.Is(err, ErrDamaged):
		case err != nil:
			return ID{}, err
		case rec.Edge != "" && rec.Verdict != Duplicate && rec.IDForApp() == edge:
			return rec.ID, nil
		}
	}
	return ID{}, fmt.Errorf("record %s: %w", edge, ErrNotFound)
}

// findLast counts back from the newest record.
func (s *Store) findLast(name, back string) (id ID, err error) {
	n := uint64(0)
	if back != "" {
		number, ok := strings.CutPrefix(back, "~")
		if n, err = strconv.ParseUint(number, 10, 63); err != nil || !ok {
			return ID{}, fmt.Errorf("record %q: %w: name it like last or last~2", name, ErrNotFound)
		}
	}
	w := walk{bucket: bucketRecords, newest: true}
	found := false
	for err := range s.slices(&w, func(_ *bolt.Tx, k, _ []byte) bool {
		if n > 0 {
			n--
			return false
		}
		id, found = ID(k), true
		return w.end()
	}) {
		if err != nil {
			return ID{}, err
		}
	}
	if !found {
		return ID{}, fmt.Errorf("record %q: %w: there are not so many", name, ErrNotFound)
	}
	return id, nil
}

// findEnding looks through the ids in the index by source, which are much closer together than the records.
func (s *Store) findEnding(name string, want ID) (ID, error) {
	ending := strings.ToUpper(name)
	low := binary.BigEndian.Uint64(want[8:])
	mask := uint64(1)<<(5*min(len(name), 12)) - 1
	var found []ID
	w := walk{bucket: bucketBySource}
	for err := range s.slices(&w, func(_ *bolt.Tx, k, _ []byte) bool {
		id := ID(k[len(k)-len(ID{}):])
		if (binary.BigEndian.Uint64(id[8:])^low)&mask == 0 && strings.HasSuffix(id.String(), ending) {
			found = append(found, id)
		}
		return false
	}) {
		if err != nil {
			return ID{}, err
		}
	}
	switch len(found) {
	case 0:
		return ID{}, fmt.Errorf("record %q: %w", name, ErrNotFound)
	case 1:
		return found[0], nil
	}
	slices.SortFunc(found, func(a, b ID) int { return b.Compare(a) })
	return ID{}, &AmbiguousError{Ending: name, IDs: found[:min(len(found), ambiguousMax)]}
}
