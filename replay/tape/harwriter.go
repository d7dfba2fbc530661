package tape

import (
	"bufio"
	"cmp"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// HARWriter writes a HAR file. Records that never became a request have no place in it: they are counted in Left. It is one
// goroutine's at a time.
type HARWriter struct {
	// Left counts the records that were left out.
	Left  int
	out   *bufio.Writer
	info  Info
	begun bool
	some  bool
}

// NewHARWriter begins a HAR file. Nothing is written before the first Write or Close.
func NewHARWriter(w io.Writer, info Info) *HARWriter {
	info.Software = cmp.Or(info.Software, "hooktape")
	return &HARWriter{out: bufio.NewWriterSize(w, 128<<10), info: info}
}

// SetSigning says what the requests are signed with.
func (w *HARWriter) SetSigning(signing []Signing) { w.info.Signing = signing }

func (w *HARWriter) begin() error {
	if w.begun {
		return nil
	}
	w.begun = true
	name, version, _ := strings.Cut(w.info.Software, " ")
	creator, err := stdjson.Marshal(map[string]string{"name": name, "version": version})
	if err != nil {
		return err
	}
	_, err = w.out.WriteString(`{"log":{"version":"1.2","creator":` + string(creator) + `,"pages":[],"entries":[`)
	return err
}

// Write adds a recording: its request and its answer. An error that wraps a *TooLarge is about this one alone.
func (w *HARWriter) Write(r *Recording) error {
	if err := w.begin(); err != nil {
		return err
	}
	if !r.IsRequest() || r.HeadSize == 0 {
		w.Left++
		return nil
	}
	x, err := newHARExchange(r)
	if err != nil {
		return fmt.Errorf("record %s: %w", r.ID, err)
	}
	if w.some {
		if err := w.out.WriteByte(','); err != nil {
			return err
		}
	}
	w.some = true
	if err := w.out.WriteByte('\n'); err != nil {
		return err
	}
	return stdjson.NewEncoder(w.out).Encode(x)
}

// Close writes what is left.
func (w *HARWriter) Close() error {
	if err := w.begin(); err != nil {
		return err
	}
	facts, err := stdjson.Marshal(w.info)
	if err != nil {
		return err
	}
	_, err = w.out.WriteString(`],"_hooktape":` + string(facts) + "}}\n")
	return errors.Join(err, w.out.Flush())
}
