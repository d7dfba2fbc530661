package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// The end of the disk. A file beside the database holds room that nothing else can take. When a commit finds the disk
// full, that file is removed, and from then on only what makes no new records is written: outcomes of deliveries,
// deletions, meta. Appends fail until the file could be made again, with some room to spare, or enough pages inside the
// database are free.

// reserveSpare is how many bytes must be free beyond the reserve before records are taken again, so that this does not
// change with every record. When the reserve can't be made, or the file may not grow for another reason, as many must be
// free inside the database.
const reserveSpare = 16 << 20

func (s *Store) reservePath() string { return s.path + ".reserve" }

// keepReserve makes the reserve unless it is there, and says whether it is.
func (s *Store) keepReserve() bool {
	n := s.options.Reserve
	if n <= 0 {
		return true
	}
	if info, err := os.Stat(s.reservePath()); err == nil && info.Size() == n {
		return true
	}
	room, err := roomOnDisk(filepath.Dir(s.path))
	if spare := min(n, reserveSpare); err == nil && room < n+spare {
		err = ErrDiskFull // not tried: before it failed it would take the room that outcomes need
	}
	if err == nil {
		err = makeReserve(s.reservePath(), n)
	}
	if err == nil {
		return true
	}
	if !s.short.Load() {
		s.options.Log("can't reserve room for when the disk is full", "path", s.reservePath(), "error", err)
	}
	return false
}

// makeReserve makes a file of n bytes that really takes them.
func makeReserve(path string, n int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = allocate(f, n)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// fill writes n bytes into f that no file system can compress.
func fill(f *os.File, n int64) error {
	chunk := make([]byte, 1<<20)
	x := uint64(n) | 1
	for off := int64(0); off < n; off += int64(len(chunk)) {
		for i := range chunk {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			chunk[i] = byte(x)
		}
		if _, err := f.WriteAt(chunk[:min(int64(len(chunk)), n-off)], off); err != nil {
			return err
		}
	}
	return f.Sync()
}

// runShort begins the time in which no records are taken. It is false when that has begun before.
func (s *Store) runShort(cause error) bool {
	if s.short.Swap(true) {
		return false
	}
	s.capped.Store(errors.Is(cause, syscall.EFBIG))
	released := "released"
	if err := os.Remove(s.reservePath()); errors.Is(err, fs.ErrNotExist) {
		released = "none"
	} else if err != nil {
		released = err.Error()
	}
	s.options.Log("disk is full, no more records are taken", "path", s.path, "error", cause, "reserve", released)
	s.evictor.rouse()
	return true
}

// regain takes records again as soon as there is room for them.
func (s *Store) regain() {
	if !s.short.Load() {
		return
	}
	reserved := s.keepReserve()
	if (!reserved || s.capped.Load() && !s.mayGrow()) && s.evictor.free.Load() < reserveSpare {
		return
	}
	s.short.Store(false)
	s.options.Log("disk has room again, records are taken", "path", s.path, "reserve", reserved)
}

// mayGrow has the committer try whether the file can grow.
func (s *Store) mayGrow() bool {
	c, err := s.queue.enter(0)
	if err != nil {
		return false
	}
	s.queue.fill(c, &growChange{s}, 0, nil)
	return c.Wait() == nil
}

// growChange writes nothing. It is refused when the file can't grow.
type growChange struct{ s *Store }

func (c *growChange) apply(*txn) error {
	if err := c.s.file.mayGrow(); err != nil {
		return &refusal{err}
	}
	return nil
}

func (c *growChange) release(error) {}
