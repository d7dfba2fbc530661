package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestAFileMadeMeanwhileIsNotReplaced: between the first look and the last step somebody else may take the name.
func TestAFileMadeMeanwhileIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tape.warc")
	write := func(force bool) error {
		f := newFile{doing: "export", path: path, force: force}
		if err := f.check(filepath.Join(dir, "tape.db")); err != nil {
			t.Fatal(err)
		}
		return f.write(func(temp *os.File) error {
			_, err := temp.WriteString("ours")
			return errors.Join(err, os.WriteFile(path, []byte("theirs"), 0o600))
		})
	}
	err := write(false)
	if f, ok := errors.AsType[*failure](err); !ok || f.code != exitUsage {
		t.Errorf("%v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "theirs" {
		t.Errorf("the file is %q", text)
	}
	if err := write(true); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "ours" {
		t.Errorf("with force the file is %q", text)
	}
	if all, _ := os.ReadDir(dir); len(all) != 1 {
		t.Errorf("something is left: %v", all)
	}
}

// TestADeviceIsNotReplaced: /dev/null belongs to everybody.
func TestADeviceIsNotReplaced(t *testing.T) {
	err := newFile{doing: "back up", path: os.DevNull, force: true}.check("")
	if f, ok := errors.AsType[*failure](err); !ok || f.code != exitUsage {
		t.Errorf("%v", err)
	}
}

// TestAFileBehindALinkIsReplacedThere, and the link stays.
func TestAFileBehindALinkIsReplacedThere(t *testing.T) {
	dir := t.TempDir()
	path, real := filepath.Join(dir, "link.warc"), filepath.Join(dir, "real", "tape.warc")
	if err := errors.Join(os.Mkdir(filepath.Dir(real), 0o700), os.WriteFile(real, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, path); err != nil {
		missing(t, "no links can be made: %v", err)
	}
	f := newFile{doing: "export", path: path, force: true}
	fill := func(temp *os.File) error { _, err := temp.WriteString("ours"); return err }
	if err := errors.Join(f.check(""), f.write(fill)); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(real); string(text) != "ours" {
		t.Errorf("the file is %q", text)
	}
	if to, err := os.Readlink(path); to != real {
		t.Error(to, err)
	}
	if err := os.Remove(real); err != nil {
		t.Fatal(err)
	}
	f.force = false
	if failed, ok := errors.AsType[*failure](f.check("")); !ok || failed.code != exitUsage {
		t.Error("a link to nowhere is written over")
	}
}
