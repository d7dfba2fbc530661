package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// formatVersion is what this package writes and the highest that it reads. migrations has the earlier ones.
const formatVersion = 2

// pageSize is the same everywhere, so that a tape can be carried to a machine with other memory pages.
//
// Two records with a body of 1 KiB fit on 4096 bytes, and five on these: a commit of many writes about half as many pages,
// and a tape of such records is a fifth smaller (one of 5 KB a third larger). With 16384 nothing more was won.
const pageSize = 8192

// initialMmapSize is how much of the address space is mapped at once, on 64-bit Unix. The file does not grow by it.
// Beyond it bbolt has to map again, which waits for readers and makes commits wait with it.
const initialMmapSize int64 = 64 << 30

// The buckets, and the layout of their keys. A target key is source and target, each behind its length in one byte.
var (
	bucketRecords    = []byte("records")    // id → record and its raw bytes. Sequence: how many there are
	bucketPieces     = []byte("pieces")     // pieces id, number → up to 64 KiB
	bucketUploads    = []byte("uploads")    // pieces id: no record has these pieces yet
	bucketAttempts   = []byte("attempts")   // id, number → attempt; number 0: an answer that came after the record. Sequence: bytes of all answers and responses
	bucketDeliveries = []byte("deliveries") // id, target key → delivery
	bucketReady      = []byte("ready")      // target key, due, id: pending, and first of its key
	bucketWaiting    = []byte("waiting")    // target key, hash of key, 0 → the first's id; …, 1, id: those behind it
	bucketByState    = []byte("by_state")   // state, target key, id: all deliveries but the delivered
	bucketBySource   = []byte("by_source")  // source behind its length, id. Sequence: raw bytes of all records
	bucketByVerdict  = []byte("by_verdict") // verdict behind its length, id: all records but the accepted. Sequence: what the refused weigh
	bucketMeta       = []byte("meta")       // format, skew, and "user." with the keys of PutMeta

	buckets = [][]byte{
		bucketRecords, bucketPieces, bucketUploads, bucketAttempts, bucketDeliveries, bucketReady, bucketWaiting,
		bucketByState, bucketBySource, bucketByVerdict, bucketMeta,
	}
)

var metaFormat = []byte("format")

// file is an open bbolt database, and the file below it, so that the lock can be given back whatever state a panic
// left bbolt in.
type file struct {
	db   *bolt.DB
	os   *os.File
	info fs.FileInfo // says which file it is
	page int64       // bytes of a page: the tape may be older than our pageSize
	locks

	ahead int64 // up to where writeAhead has written. Committer only
}

// openFile opens the database at path, which must be there.
func openFile(path string, o Options) (*file, error) {
	f, err := openBolt(path, o)
	if err != nil {
		return nil, err
	}
	if err = f.checkPages(); err == nil {
		err = f.check(o.ReadOnly)
	}
	if err == nil {
		err = f.upToDate(path, o)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// upToDate makes sure that the database has our format and every bucket.
func (f *file) upToDate(path string, o Options) error {
	format, err := f.checkFormat()
	if err != nil {
		return err
	}
	if format < formatVersion {
		if o.ReadOnly {
			return &OlderError{Format: format, Need: formatVersion}
		}
		if err := f.migrate(path, format, o); err != nil {
			return err
		}
	}
	return f.view(func(tx *bolt.Tx) error {
		for _, name := range buckets {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("%w: it has no bucket %q", ErrDamaged, name)
			}
		}
		return nil
	})
}

// openBolt opens path with bbolt. Where the address space is limited, it maps no more than the file.
func openBolt(path string, o Options) (*file, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: not a file", ErrNoTape)
	case o.ReadOnly && info.Size() == 0:
		return nil, fmt.Errorf("%s is empty: %w", path, fs.ErrNotExist) // opened for writing, it becomes a database
	}
	f, err := mapBolt(path, o, mmapSize(o.ReadOnly))
	if errors.Is(err, syscall.ENOMEM) {
		return mapBolt(path, o, 0)
	}
	return f, err
}

// mapBolt opens path with bbolt. Its errors and panics become ours.
func mapBolt(path string, o Options, size int) (*file, error) {
	f := &file{locks: newLocks()}
	err := guard(func() (err error) {
		f.db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout:         o.Timeout,
			ReadOnly:        o.ReadOnly,
			NoSync:          o.NoSync,
			NoGrowSync:      o.NoSync,
			PageSize:        pageSize,
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: size,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				var err error
				if f.os, err = os.OpenFile(name, flag&^os.O_CREATE, mode); err == nil {
					f.info, err = f.os.Stat()
				}
				return f.os, err
			},
		})
		if err == nil {
			f.page = int64(f.db.Info().PageSize) // once: it looks into mapped memory
		}
		return err
	})
	if err == nil {
		return f.atPath(path)
	}
	if f.os != nil { // bbolt closed it, unless it panicked: then the mapping is left, which would keep the lock
		_ = errors.Join(unlock(f.os), f.os.Close())
	}
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, lockedError(path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch), f.isCutShort():
		return nil, invalid(path, err)
	}
	return nil, err
}

// isCutShort says whether the file is shorter than any tape: it ends within the pages that a new one has. bbolt has no error
// of its own for that.
func (f *file) isCutShort() bool {
	return f.info != nil && 0 < f.info.Size() && f.info.Size() < newPages*slices.Min(pageSizes[:])
}

// invalid is the error about a file that bbolt does not take for a database: it is damaged, or something else.
func invalid(path string, cause error) error {
	f, _, err := openToSalvage(path)
	if err != nil {
		return err
	}
	f.Close()
	return fmt.Errorf("%w: %w", ErrDamaged, cause)
}

// atPath makes sure that f is still what path names: while we waited for its lock, compacting may have put another file
// in its place.
func (f *file) atPath(path string) (*file, error) {
	named, err := os.Stat(path)
	if err == nil {
		if os.SameFile(named, f.info) {
			return f, nil
		}
		err = &LockedError{} // by the process that has just replaced it
	}
	f.close()
	return nil, err
}

// seeToFile finds out whether the path still names the file. When it does not, what is recorded into the file is lost as
// soon as that is closed, so this is looked at before each commit too.
func (s *Store) seeToFile() {
	s.fileMu.RLock()
	defer s.fileMu.RUnlock()
	if s.file == nil {
		return
	}
	gone := s.file.isGone(s.path)
	if s.gone.Swap(gone) == gone {
		return
	}
	msg := "tape is in its place again, records are taken"
	if gone {
		s.evictor.rouse() // to look more often
		msg = "tape was moved or removed while it is open, no more records are taken: put it back, or write it there anew with hooktape backup and start again"
	}
	s.options.Log(msg, "path", s.path)
}

// isGone says whether path names nothing, or another file. When that can't be told, it says no.
func (f *file) isGone(path string) bool {
	named, err := os.Stat(path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return !os.SameFile(named, f.info)
}

// mmapSize is how many bytes to map when opening; 0: as many as the file has. Nobody grows the file while it is open
// read-only, and Windows would make the file itself that large.
func mmapSize(readOnly bool) int {
	if readOnly || runtime.GOOS == "windows" || strconv.IntSize < 64 {
		return 0
	}
	size := initialMmapSize
	return int(size)
}

// whyNotLarger is the error because of which the file can't grow, if it can't; else cause, the error of the commit that
// failed. bbolt's own error about growing keeps only the text of it. Committer only.
func (f *file) whyNotLarger(cause error) error {
	if diskFull(cause) {
		return cause
	}
	if err := f.mayGrow(); diskFull(err) {
		return err
	}
	return cause
}

// mayGrow tries whether the file can be made as much larger as bbolt makes it. Committer only.
func (f *file) mayGrow() error {
	info, err := f.os.Stat()
	if err != nil {
		return err
	}
	err = f.os.Truncate(info.Size() + int64(f.db.AllocSize))
	_ = f.os.Truncate(info.Size()) // if that fails, the next commits use the room
	return err
}

// room is how many bytes of the file are taken, which is what retention by size goes by, and how many can be used again.
// Committer only, or before it runs.
func (f *file) room() (used, free int64) {
	st := f.db.Stats()
	free = int64(st.FreePageN+st.PendingPageN) * f.page
	return f.top() - free, free
}

// top is where the pages end that were ever in use. It is 0 when that can't be read; the next transaction says why.
func (f *file) top() (size int64) {
	_ = f.view(func(tx *bolt.Tx) error { size = tx.Size(); return nil })
	return size
}

const (
	// aheadSize is how much of the file is written ahead, and aheadLow how little of that may be left.
	aheadSize = 1 << 20
	aheadLow  = aheadSize / 16
	// aheadMost is how many bytes a commit may have added for zeros to be written after it: behind larger ones they cost
	// more than they save.
	aheadMost = aheadSize / 8
)

var zeros [aheadSize]byte // never written to: it takes no memory

// writeAhead writes zeros behind the pages in use, which end at top, where the next commits put theirs. So they find
// blocks there, and their sync has only data to write. For new blocks it would have to commit the file system's journal,
// with all that other processes have in it: 0.25 ms in the place of 0.15 on an idle ext4, and up to 1 ms on a busy one.
// What can't be written is no loss: the next commit says why. Committer only.
func (f *file) writeAhead(top int64) {
	if top == 0 || top+aheadLow <= f.ahead {
		return
	}
	info, err := f.os.Stat()
	if err != nil {
		return
	}
	from, to := max(top, f.ahead), min(top+aheadSize, info.Size()) // only bbolt makes the file larger
	if from < to {
		_, _ = f.os.WriteAt(zeros[:to-from], from)
		f.ahead = to
	}
}

func (f *file) close() error {
	if f.areLost() { // the mapping is left, which would keep the lock
		return errors.Join(unlock(f.os), f.os.Close())
	}
	return guard(f.db.Close)
}

func putFormat(tx *bolt.Tx, format int) error {
	return tx.Bucket(bucketMeta).Put(metaFormat, binary.BigEndian.AppendUint32(nil, uint32(format)))
}

func formatOf(tx *bolt.Tx) (int, error) {
	meta := tx.Bucket(bucketMeta)
	if meta == nil || len(meta.Get(metaFormat)) != 4 {
		return 0, fmt.Errorf("%w, but another's bbolt database", ErrNoTape)
	}
	return int(binary.BigEndian.Uint32(meta.Get(metaFormat))), nil
}

// checkPages refuses pages of a size that no hooktape up to this one writes: those of a later one, or of another program.
func (f *file) checkPages() error {
	if slices.Contains(pageSizes[:], f.page) {
		return nil
	}
	return f.view(func(tx *bolt.Tx) error {
		format, err := formatOf(tx)
		if err == nil {
			err = &NewerError{Format: format, Know: formatVersion, PageSize: f.page}
		}
		return err
	})
}

// newPages is how many pages bbolt writes into a new file.
const newPages = 4

// checkFormat says what format the database has, and refuses one that is not ours or is newer than ours. A file that bbolt
// has just made of nothing is laid out.
func (f *file) checkFormat() (format int, err error) {
	empty := false
	err = f.view(func(tx *bolt.Tx) error {
		if k, _ := tx.Cursor().First(); k == nil && !f.db.IsReadOnly() {
			if empty = tx.Size() == newPages*f.page; empty {
				return nil
			}
			return fmt.Errorf("%w: its list of buckets is empty", ErrDamaged)
		}
		if format, err = formatOf(tx); err == nil && format > formatVersion {
			err = &NewerError{Format: format, Know: formatVersion}
		}
		return err
	})
	if err != nil || !empty {
		return format, err
	}
	_, err = f.update(layOut)
	return formatVersion, err
}
