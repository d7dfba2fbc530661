package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	bolt "go.etcd.io/bbolt"
)

// errInterrupted ends a backup whose database is closed or opened again beneath it.
var errInterrupted = errors.New("the database was closed meanwhile")

// Backup writes the whole database to w, as it is at one moment, while it is being used. It is a copy of the file: free
// pages are in it, with whatever they still hold. Until it ends, pages that are freed can't be used again, so w should
// not be slow. One backup is made at a time.
func (s *Store) Backup(w io.Writer) (n int64, err error) {
	s.backupMu.Lock() // bbolt copies from the position of the file, which all readers share
	defer s.backupMu.Unlock()
	opened := s.reopened.Load()
	err = s.view(func(tx *bolt.Tx) error {
		n, err = tx.WriteTo(writerFunc(func(p []byte) (int, error) {
			if s.reopened.Load() != opened {
				return 0, errInterrupted
			}
			return w.Write(p)
		}))
		return err
	})
	if err != nil {
		return n, fmt.Errorf("back up %s: %w", s.path, err)
	}
	return n, nil
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// compactGroup is how many bytes are copied in one transaction.
const compactGroup = 16 << 20

// Compact copies the database at path, which nobody may have open, into a fresh file without free pages, which then
// takes its place. What was deleted is not in the new file; what the old one leaves on the disk is up to the file system.
// It returns the size of the file before and after. When it fails, the old file is as it was.
func Compact(path string, o Options) (before, after int64, err error) {
	if _, err := os.Stat(path); err != nil {
		return 0, 0, err
	}
	o.Retention = Retention{}
	s, err := Open(path, o)
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	temp, err := reserveName(path, ".compact-*")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(temp)
	if err := s.copyInto(temp); err != nil {
		return 0, 0, fmt.Errorf("compact %s: %w", path, err)
	}
	before, after = sizeOfFile(path), sizeOfFile(temp)
	if runtime.GOOS == "windows" { // an open file can't be replaced there
		s.Close()
	}
	return before, after, Rename(temp, path)
}

// rename is Rename; with NoSync it does not sync.
func (o *Options) rename(from, to string) error {
	if o.NoSync {
		return os.Rename(from, to)
	}
	return Rename(from, to)
}

// syncFolder is SyncFolder; with NoSync it does nothing.
func (o *Options) syncFolder(folder string) error {
	if o.NoSync {
		return nil
	}
	return SyncFolder(folder)
}

// Rename gives a file that is synced its name, in the place of another one if there is one, so that the name survives
// a power cut.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(to))
}

// RenameNew is Rename to a name that must be free: the error wraps fs.ErrExist when a file has it, even if it came at the
// last moment. On a file system that can't link, a file that comes at the last moment is overwritten.
func RenameNew(from, to string) error {
	err := os.Link(from, to)
	switch {
	case err == nil:
		err = os.Remove(from)
	case !errors.Is(err, fs.ErrExist):
		if _, taken := os.Lstat(to); taken == nil {
			return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
		}
		err = os.Rename(from, to)
	}
	if err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(to))
}

// reserveName makes an empty file beside path that only its owner can read.
func reserveName(path, suffix string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+suffix)
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

func sizeOfFile(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// copyInto copies all buckets into the empty file at path, and syncs it.
func (s *Store) copyInto(path string) error {
	o := s.options
	o.NoSync = true // once, at the end
	into, err := openBolt(path, o)
	if err != nil {
		return err
	}
	err = guard(func() error { return bolt.Compact(into.db, s.file.db, compactGroup) })
	if err == nil {
		err = guard(into.db.Sync)
	}
	if panicked(err) {
		into.lose()
		s.file.lose()
	}
	return errors.Join(err, into.close())
}
