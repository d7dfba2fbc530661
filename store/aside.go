package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A database that is damaged where every commit has to pass can't take records. It is renamed, for Salvage, and a new one
// takes its place. Damage elsewhere is an error only of the rows that it hits.

// asideMark stands between the name of a database and the time when it was set aside, which is written as asideTime.
const asideMark, asideTime = ".damaged-", "20060102T150405Z"

// nextMark stands behind the name of a database that is being made to take the place of a damaged one. Open removes a file
// of that name, so it is none that anybody would give to a backup.
const nextMark = ".damaged.new"

// damage is why a file could not be opened. While the file stays the same it is rarely tried again: what bbolt has mapped
// of it when it panics stays mapped. The zero value is none.
type damage struct {
	file  fs.FileInfo
	cause error
	found time.Time
}

// damageEvery is how often a damaged file that can't be set aside is tried again: the disk may have been the cause.
const damageEvery = time.Minute

// of is the cause if file has the damage and need not be tried again yet, else nil.
func (d *damage) of(file fs.FileInfo, now time.Time) error {
	switch {
	case d.file == nil || file == nil || !os.SameFile(d.file, file):
	case d.file.Size() != file.Size() || !d.file.ModTime().Equal(file.ModTime()):
	case now.Sub(d.found).Abs() >= damageEvery:
	default:
		return d.cause
	}
	return nil
}

// setAside renames the database that could not be opened, and gives its name to a new one. before is the file that was
// tried, since another process may have replaced it meanwhile.
func (s *Store) setAside(before fs.FileInfo, cause error) error {
	aside, err := s.replace(before)
	if err != nil { // the disk is full, perhaps: it is tried again
		return errors.Join(cause, fmt.Errorf("it could not be set aside: %w", err))
	}
	s.aside.Add(1)
	s.options.Log("tape is damaged and was set aside, recording goes on in a new one; hooktape salvage copies what can be read", "path", s.path, "aside", aside, "error", cause)
	s.renamed = true
	return s.keepName()
}

// keepName makes sure that the new tape has its name after a power cut too: all that is written into it hangs on that.
func (s *Store) keepName() error {
	if !s.renamed {
		return nil
	}
	err := s.options.syncFolder(filepath.Dir(s.path))
	s.renamed = err != nil
	return err
}

// errReplaced says that another process was faster.
var errReplaced = errors.New("another tape has taken its place meanwhile")

// replace puts a new tape in the place of the damaged one, once all that it carries over is in it and on the disk. After a
// kill half-way, the next Open does it again.
func (s *Store) replace(damaged fs.FileInfo) (aside string, err error) {
	release, err := hold(s.path)
	if err != nil {
		return "", err
	}
	defer func() { _ = release() }() // nothing was written through it
	if now, err := os.Stat(s.path); err != nil || !os.SameFile(damaged, now) {
		return "", firstError(err, errReplaced)
	}
	next := s.path + nextMark
	defer os.Remove(next)
	if err := s.makeNext(next); err != nil {
		return "", err
	}
	return s.nameAside(damaged, next)
}

// makeNext makes the tape that is to take the place of the damaged one. It removes what a killed process left there, which
// may belong to another user.
func (s *Store) makeNext(next string) error {
	_ = os.Remove(next)
	f, err := os.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return err
	}
	return build(next, s.options, func(tx *bolt.Tx) error {
		if err := layOut(tx); err != nil {
			return err
		}
		return carryMeta(tx, s.path)
	})
}

// nameAside gives the damaged tape a second name, unless an earlier try did, and then its first name to the next tape: one
// of the two is at the path at any instant. Where files can't have two names, there is none for a moment.
func (s *Store) nameAside(damaged fs.FileInfo, next string) (aside string, err error) {
	aside, has, err := s.asideName(damaged)
	if err != nil {
		return "", err
	}
	if has || os.Link(s.path, aside) == nil {
		if err := s.options.syncFolder(filepath.Dir(s.path)); err != nil {
			return "", err
		}
		return aside, os.Rename(next, s.path)
	}
	if err := s.options.rename(s.path, aside); err != nil {
		return "", err
	}
	if err := place(next, s.path); err != nil {
		return "", errors.Join(err, RenameNew(aside, s.path))
	}
	return aside, nil
}

// asideName is the name for the damaged tape, and whether the tape has it already.
func (s *Store) asideName(damaged fs.FileInfo) (name string, has bool, err error) {
	named, err := SetAside(s.path)
	if err != nil {
		return "", false, err
	}
	for _, name := range named {
		if info, err := os.Stat(name); err == nil && os.SameFile(info, damaged) {
			return name, true, nil
		}
	}
	name, err = freeName(s.path + asideMark + s.options.Now().UTC().Format(asideTime))
	return name, false, err
}

// freeName is name, or name with a number when there is such a file already.
func freeName(name string) (string, error) {
	free := name
	for n := 2; ; n++ {
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			return free, nil
		} else if err != nil {
			return "", err
		}
		free = fmt.Sprintf("%s-%d", name, n)
	}
}

// carryMeta copies what PutMeta has put into the damaged database, the sources, and the sessions that capture, as far
// as it can be read.
func carryMeta(tx *bolt.Tx, damaged string) error {
	f, err := os.Open(damaged)
	if err != nil {
		return nil // then there is nothing to carry
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	p, err := openPages(f, info.Size())
	if errors.Is(err, errNoMeta) {
		return nil // nothing leads to it
	}
	p.meta.high = min(p.meta.high, uint64(p.size/p.page)) // it may have been cut
	var errs []error
	p.visit(func(bucket string, k, v []byte) {
		if _, err := verify(k, v); err == nil && checksummed(bucket, k) {
			errs = append(errs, carryRow(tx, bucket, k, v))
		}
	}, bucketMeta, bucketSources, bucketSessions)
	return errors.Join(errs...)
}

// carryRow copies a row of meta or the sources; of the sessions, one that captures.
func carryRow(tx *bolt.Tx, bucket string, k, v []byte) error {
	if bucket == string(bucketSessions) {
		return carrySession(tx, k, v)
	}
	b, err := bucketToFill(tx, []byte(bucket))
	if err != nil {
		return err
	}
	return b.Put(bytes.Clone(k), bytes.Clone(v))
}

// carrySession makes a session of another tape again in this one, empty, if it captures.
func carrySession(tx *bolt.Tx, k, v []byte) error {
	var f sessionFacts
	if _, err := unpack(k, v, &f); err != nil || !f.capturing() {
		return nil
	}
	f.Records, f.Bytes = 0, 0
	t := txn{Tx: tx}
	return t.addSession(&f)
}

// spoiledMax is how many appends in a row bbolt may fail to make, each in a file that was just opened, before the
// database counts as damaged.
const spoiledMax = 2

// spoil sets the database aside when records can't be appended to it, though it could be opened again.
func (s *Store) spoil(group []*Commit, err error) {
	if !s.options.SetAside || !panicked(err) || len(group) != 1 || s.file == nil {
		return
	}
	switch group[0].change.(type) {
	case *appendChange, *pieceChange:
	default:
		return
	}
	if s.spoiled++; s.spoiled < spoiledMax {
		return
	}
	s.spoiled = 0
	before, statErr := os.Stat(s.path)
	if statErr != nil {
		return
	}
	s.fileMu.Lock()
	defer s.fileMu.Unlock()
	s.reopened.Add(1)
	s.file.close() // it is damaged anyway
	s.file, s.closed = nil, err
	if err := s.setAside(before, err); err == nil {
		_, _ = s.loadFile() // the next commit tries again, and says why not
	}
}

// SetAside lists the damaged databases that were set aside for the one at path, the oldest first.
func SetAside(path string) ([]string, error) {
	pattern := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`*?[\`, r) && r != os.PathSeparator {
			return '?'
		}
		return r
	}, path+asideMark)
	all, err := filepath.Glob(pattern + "*")
	return slices.DeleteFunc(all, func(name string) bool {
		when, aside := strings.CutPrefix(name, path+asideMark)
		return !aside || strings.Contains(when, ".") // what was salvaged of one is beside it
	}), err
}
