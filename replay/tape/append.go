package tape

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hooktape/hooktape/store"
)

// Append puts a recording behind all others of the WARC file at path, compressed where the file is, whatever its name
// says. Where there is none, one is made, for its owner only, and its name says whether it is compressed. info is what is
// said about it. When Append returns without an error, the recording is on the disk; with one, the file is as it was.
func Append(path string, info Info, r *Recording) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(appendTo(file, info, r), file.Close())
}

func appendTo(file *os.File, info Info, r *Recording) error {
	w, err := writerBehind(file, info)
	if err != nil {
		return err
	}
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := errors.Join(endRecord(file, w, end), w.Write(r), w.Close(), file.Sync()); err != nil {
		return errors.Join(err, file.Truncate(end)) // half a WARC record would swallow what comes behind it
	}
	if end > 0 {
		return nil
	}
	return store.SyncFolder(filepath.Dir(file.Name())) // its name may be as new
}

// endRecord ends half a WARC record: one that was being appended when the process was killed. Of one that is compressed,
// the member tells where the next begins.
func endRecord(file *os.File, w *Writer, end int64) error {
	last := make([]byte, min(end, int64(len(recordEnd))))
	if _, err := file.ReadAt(last, end-int64(len(last))); err != nil || end == 0 || w.members != nil || string(last) == recordEnd {
		return err
	}
	_, err := io.WriteString(file, recordEnd)
	return err
}

// Appendable says why Append would not put anything into the file at path; nil: it would, or there is none yet.
func Appendable(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = writerBehind(file, Info{}) // which writes nothing by itself
	return errors.Join(err, file.Close())
}

// writerBehind writes in the form that a file has. A tape file may consist of several.
func writerBehind(file *os.File, info Info) (*Writer, error) {
	form, err := sniff(bufio.NewReader(io.NewSectionReader(file, 0, inputBuffer)))
	if errors.Is(err, errEmpty) {
		form, err = kindWARC, nil
		if strings.HasSuffix(strings.ToLower(file.Name()), ".gz") {
			form = kindGzip
		}
	}
	if err != nil {
		return nil, err
	}
	return newWriterOf(form, file, info)
}
