package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
)

// sweepSessions takes the records out of the sessions that are gone, and then deletes these.
func (s *Store) sweepSessions() error {
	s.sweepMu.Lock()
	defer s.sweepMu.Unlock()
	for {
		number, ok := s.goneSession()
		if !ok {
			return nil
		}
		if s.evictor.stopped() {
			return ErrClosed
		}
		if err := s.changeSessions(func(t *txn) error { return t.sweep(number) }); err != nil {
			return err
		}
	}
}

// sweepOn sweeps what was left because the process was killed or the disk was full.
func (s *Store) sweepOn() {
	if _, ok := s.goneSession(); !ok {
		return
	}
	if err := s.sweepSessions(); err != nil && !errors.Is(err, ErrClosed) {
		s.options.Log("deleted session could not be swept, will retry", "path", s.path, "error", err)
	}
}

func (s *Store) goneSession() (number uint32, ok bool) {
	s.countMu.Lock()
	defer s.countMu.Unlock()
	i := slices.IndexFunc(s.roster.rows, func(row rosterRow) bool { return row.gone })
	if i < 0 {
		return 0, false
	}
	return s.roster.rows[i].number, true
}

// sweep takes the next records out of a session, or deletes the session when it has none.
func (t *txn) sweep(number uint32) error {
	prefix := binary.BigEndian.AppendUint32(nil, number)
	var ids []ID
	c := t.Bucket(bucketBySession).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix) && len(ids) < addMax; k, _ = c.Next() {
		ids = append(ids, ID(k[len(prefix):]))
	}
	if len(ids) == 0 {
		t.roster = t.roster.without(number)
		return t.Bucket(bucketSessions).Delete(sessionRowKey(number))
	}
	attempts := &rowsOf{bucket: bucketAttempts}
	for _, id := range ids {
		if err := t.leave(number, id); err != nil {
			return err
		}
		if c, ok := weigh(t.Tx, attempts, id); ok && !pinned(t.Tx, id) {
			t.pins -= c.weight()
		}
	}
	return nil
}
