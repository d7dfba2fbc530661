package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// migrations bring a database from one format to the next, each in a transaction of its own. What they must read in
// spite of damage they read from the pages. A format stays here for as long as tapes of it are about.
var migrations = map[int]func(*bolt.Tx, *pages) error{
	1: countAll, // it has counts of records and their bytes, but not of answers, responses and what the refused weigh
}

// migrate brings a database of an earlier format up to date, once a copy of it is on the disk. After a kill at any instant
// the next Open finds a whole database, of one format or the next, and goes on.
func (f *file) migrate(path string, from int, o Options) error {
	if migrations[from] == nil {
		return fmt.Errorf("%w: there was never a format %d", ErrDamaged, from)
	}
	kept, err := f.keepCopy(path, from, o)
	if err != nil {
		return fmt.Errorf("keep a copy of it before it is migrated from format %d: %w", from, err)
	}
	for format := from; format < formatVersion; format++ {
		if err := f.step(format); err != nil {
			return fmt.Errorf("migrate it from format %d: %w", format, err)
		}
	}
	o.Log("tape was migrated to a newer format, a copy is kept as it was", "path", path, "from", from, "to", formatVersion, "copy", kept)
	return nil
}

// step brings the database from a format to the next one.
func (f *file) step(format int) error {
	p, err := f.pages()
	if err != nil {
		return err
	}
	_, err = f.update(func(tx *bolt.Tx) error {
		return errors.Join(migrations[format](tx, p), putFormat(tx, format+1))
	})
	return err
}

// pages are those of the last commit.
func (f *file) pages() (*pages, error) {
	info, err := f.os.Stat()
	if err != nil {
		return nil, err
	}
	return openPages(f.os, info.Size())
}

// keepCopy makes sure that the disk has a copy of the database, beside it, and returns its name. A copy that was made
// before a kill is taken as it is: it gets its name only when it is whole.
func (f *file) keepCopy(path string, format int, o Options) (name string, err error) {
	name = fmt.Sprintf("%s.format-%d", path, format)
	if same, err := f.isCopiedTo(name); err != nil || same {
		return name, errors.Join(err, o.syncFolder(filepath.Dir(path)))
	}
	if name, err = freeName(name); err != nil {
		return "", err
	}
	part := name + ".part"
	if err = f.copyTo(part, o); err == nil {
		err = o.rename(part, name)
	}
	if err != nil {
		os.Remove(part)
	}
	return name, err
}

// isCopiedTo says whether the file of this name, if there is one, is a copy of the database as it is now.
func (f *file) isCopiedTo(name string) (bool, error) {
	ours, err := f.pages()
	if err != nil {
		return false, err
	}
	to, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer to.Close()
	info, err := to.Stat()
	if err != nil {
		return false, err
	}
	theirs, err := openPages(to, info.Size())
	return err == nil && theirs.meta == ours.meta, nil
}

// copyTo writes the database into a file that only its owner can read, over what an earlier try has left there.
func (f *file) copyTo(path string, o Options) error {
	to, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = f.view(func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(to)
		return err
	})
	if err == nil && !o.NoSync {
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}

// countAll counts anew what is on the tape, as far as it can be read.
func countAll(tx *bolt.Tx, p *pages) error {
	var c counts
	p.visit(c.addRow, bucketRecords, bucketAttempts)
	c.subtract(readCounts(tx))
	return c.write(tx)
}

// addRow adds a row of the records or the attempts. One that is damaged counts as none.
func (c *counts) addRow(bucket string, k, v []byte) {
	if bucket == string(bucketAttempts) {
		if len(k) != numberedKey {
			return
		}
		if raws, err := readReplies(k, v); err == nil {
			c.replies += sizeOfAll(raws)
		}
		return
	}
	var facts removalFacts
	if _, err := unpack(k, v, &facts); err == nil {
		c.add(facts.counts())
	}
}
