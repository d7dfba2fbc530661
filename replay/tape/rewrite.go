package tape

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hooktape/hooktape/store"
)

// Rewrite writes the tape file at path anew, in its form and with its mode, with each recording as change leaves it; n is
// its place in the file, from 0. Whenever the process is killed, the file is whole: the old one or the new one. A file that
// is damaged is left as it is, since what can't be read would be lost. Where path is a link, it stays one.
func Rewrite(path string, change func(n int, r *Recording) error) error {
	return rewriteFile(path, func(_ Info, n int, r *Recording) error { return change(n, r) })
}

func rewriteFile(link string, change changing) error {
	path, err := filepath.EvalSymlinks(link)
	if err != nil {
		return err
	}
	temp, err := writeAnew(path, change)
	if err != nil {
		return fmt.Errorf("write %s anew: %w", link, err)
	}
	defer os.Remove(temp)
	return store.Rename(temp, path) // both are closed: Windows renames no open file, nor over one
}

// writeAnew writes what is to take the place of the file at path beside it.
func writeAnew(path string, change changing) (name string, err error) {
	from, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return "", err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return "", err
	}
	err = rewrite(temp, from, change)
	if err == nil {
		err = errors.Join(temp.Chmod(info.Mode().Perm()), temp.Sync())
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return "", errors.Join(err, os.Remove(temp.Name()))
	}
	return temp.Name(), nil
}

// changing changes a recording of a file that says of itself what info has.
type changing func(info Info, n int, r *Recording) error

func rewrite(to io.Writer, from io.Reader, change changing) error {
	start := bufio.NewReaderSize(from, inputBuffer)
	form, err := sniff(start)
	if err != nil {
		return err
	}
	file, err := NewReader(start)
	if err != nil {
		return err
	}
	defer file.Close()
	var out *Writer
	n := 0
	for r, err := range file.Recordings() {
		if err != nil {
			return err
		}
		if out == nil {
			if out, err = newWriterOf(form, to, file.Info()); err != nil {
				return err
			}
		}
		if err := cmp.Or(change(file.Info(), n, r), out.Write(r)); err != nil {
			return err
		}
		n++
	}
	if out == nil {
		return errors.New("it has no recordings")
	}
	if signing := file.Info().Signing; len(signing) > 0 {
		out.SetSigning(signing)
	}
	return out.Close()
}

// errNoWARC says that a file has another form: nothing of ours can be put into it without loss.
var errNoWARC = errors.New("only WARC files are written to")

// newWriterOf begins a file of the form that another has.
func newWriterOf(form kind, to io.Writer, info Info) (*Writer, error) {
	switch form {
	case kindWARC:
		return NewWriter(to, info), nil
	case kindGzip:
		return NewGzipWriter(to, info), nil
	}
	return nil, errNoWARC
}
