package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	bolt "go.etcd.io/bbolt"
)

// create makes an empty tape where there is none: under another name first, so that neither a power cut nor a full disk leaves
// half of one.
func create(path string, o Options) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	folder := filepath.Dir(path)
	if err := makeFolder(folder); err != nil {
		return err
	}
	temp, err := reserveName(path, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := build(temp, o, layOut); err != nil {
		return err
	}
	if err := place(temp, path); err != nil {
		return err
	}
	return o.syncFolder(folder)
}

// build makes a database of an empty file. When it returns, what fill put into it is on the disk.
func build(path string, o Options, fill func(*bolt.Tx) error) error {
	f, err := openBolt(path, o)
	if err != nil {
		return err
	}
	_, err = f.update(fill)
	return errors.Join(err, f.close())
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
