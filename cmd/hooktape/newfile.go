package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hooktape/hooktape/store"
)

// newFile is a file that a command makes. It gets its name once it is complete and on disk.
type newFile struct {
	doing string // what the command does, for its errors: "export"
	path  string
	force bool // replace a file of that name
}

// check says before anything else whether the file can be made, given the tape at data.
func (f newFile) check(data string) error {
	there, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) { // unless it is a link to nowhere
		there, err = os.Lstat(f.path)
	}
	switch {
	case err == nil && isTape(data, there):
		return misused("name another file", "%s is the tape itself", f.path)
	case err == nil && there.IsDir():
		return misused("name a file in it", "%s is a folder", f.path)
	case isSink(f.path): // a file in its place would cut off the pipe's reader, or replace the null device
		return misused("name a file", "%s is a pipe or a device", f.path)
	case err == nil && !f.force:
		return f.isThere()
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return f.failed(err)
	}
	if _, err := os.Stat(filepath.Dir(f.path)); err != nil {
		return cannot("make the folder first", "%s: %w", f.doing, err)
	}
	return nil
}

func (f newFile) isThere() error {
	return misused("--force replaces it", "%s is there already", f.path)
}

// failed is an error without the temporary name, which tells nobody anything. That of stdout stays: it tells whether anybody
// reads it.
func (f newFile) failed(err error) error {
	if f.path == "-" {
		return cannot("", "%s: %w", f.doing, err)
	}
	if about, ok := errors.AsType[*fs.PathError](err); ok {
		err = about.Err
	}
	return cannot("", "%s to %s: %w", f.doing, f.path, err)
}

// write makes the file, for its owner only. If fill fails, nothing of it is left.
func (f newFile) write(fill func(temp *os.File) error) error {
	path := f.path
	if f.force {
		path = followed(path)
	}
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return f.failed(err)
	}
	defer os.Remove(temp.Name())
	if err := fill(temp); err != nil {
		temp.Close()
		return err
	}
	if err := errors.Join(temp.Sync(), temp.Close()); err != nil {
		return f.failed(err)
	}
	rename := store.Rename
	if !f.force {
		rename = store.RenameNew
	}
	switch err := rename(temp.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return f.isThere()
	case err != nil:
		return f.failed(err)
	}
	return nil
}

// followed is what a link leads to: that is replaced, not the link.
func followed(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// isTape says whether that file is the tape.
func isTape(tape string, there fs.FileInfo) bool {
	info, err := os.Stat(tape)
	return err == nil && os.SameFile(info, there)
}

// isSink says whether path is written to as it is: a pipe or a device.
func isSink(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// writeSink writes to a sink directly.
func (f newFile) writeSink(fill func(*os.File) error) error {
	to, err := os.OpenFile(f.path, os.O_WRONLY, 0)
	if err != nil {
		return f.failed(err)
	}
	if err := fill(to); err != nil {
		to.Close()
		return err
	}
	if err := to.Close(); err != nil {
		return f.failed(err)
	}
	return nil
}
