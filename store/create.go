package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	bolt "go.etcd.io/bbolt"
)

// create makes a database where there is none, with what fill puts into it: under another name first, so that neither a power
// cut nor a full disk leaves half of one.
func create(path string, o Options, fill func(*bolt.Tx) error) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	folder := filepath.Dir(path)
	if err := makeFolder(folder); err != nil {
		return err
	}
	temp, err := os.CreateTemp(folder, filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	temp.Close()
	defer os.Remove(temp.Name())
	f, err := openBolt(temp.Name(), o)
	if err != nil {
		return err
	}
	_, err = f.update(fill)
	if err := errors.Join(err, f.close()); err != nil {
		return err
	}
	if err := place(temp.Name(), path); err != nil || o.NoSync {
		return err
	}
	return SyncFolder(folder)
}

// place gives a new file its name, unless another process was faster. Some file systems can't link.
func place(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return os.Rename(temp, path)
}

// makeFolder makes the folders that are missing, readable by their owner only, and makes sure they stay.
func makeFolder(folder string) error {
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(folder)
	if parent != folder {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncFolder(parent)
}

// SyncFolder makes sure that the names in a folder survive a power cut. Windows has no such call.
func SyncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func layOut(tx *bolt.Tx) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return putFormat(tx, formatVersion)
}
