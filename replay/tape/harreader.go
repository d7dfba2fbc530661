package tape

import (
	"bufio"
	"cmp"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Why something of a HAR file can't be read.
var (
	errNoExchange = errors.New("there is no request in it")
	errNoHAR      = errors.New("it is JSON, but no HAR: there is no log with entries")
)

// readHAR gives what a HAR file has. The file is read in a stream: what is in memory at a time is one exchange.
func (r *Reader) readHAR(yield func(*Recording, error) bool) {
	file := bufio.NewReaderSize(&noted{r.har, &r.harErr}, inputBuffer)
	h := &harReader{Reader: r, jsonText: jsonText{r: file, at: r.before}, yield: yield}
	err := h.object(func(name string) error {
		if name != "log" {
			return h.passOver()
		}
		return h.object(h.logMember)
	})
	switch {
	case h.stopped:
	case r.harErr != nil:
		yield(nil, fmt.Errorf("read the tape file: %w", r.harErr))
	case err != nil:
		yield(nil, h.damage(r.number+1, h.at, err))
	case !h.found:
		yield(nil, errNoHAR)
	}
}

// harReader goes through a HAR file.
type harReader struct {
	*Reader
	jsonText
	yield   func(*Recording, error) bool
	found   bool // there are entries
	stopped bool // nobody wants more
}

// errStopped ends the reading where nobody wants more.
var errStopped = errors.New("stopped")

func (h *harReader) damage(number int, offset int64, err error) *Damage {
	return &Damage{Offset: offset, Record: number, Err: cutJSON(err)}
}

// passOver reads a value that nobody needs.
func (h *harReader) passOver() error {
	if _, err := h.value(0); !isTooLarge(err) {
		return err
	}
	return nil
}

func isTooLarge(err error) bool {
	_, too := errors.AsType[*TooLarge](err)
	return too
}

func (h *harReader) logMember(name string) error {
	switch name {
	case "entries":
		h.found = true
		return h.list('[', ']', h.exchange)
	case "_hooktape":
		return h.into(h.mostMemory(), &h.info)
	case "creator":
		var creator struct{ Name, Version string }
		err := h.into(h.mostMemory(), &creator)
		h.info.Software = strings.TrimSpace(creator.Name + " " + creator.Version)
		return err
	}
	return h.passOver()
}

// unlikeHAR says without words of Go that a value is of another kind than HAR has there.
func unlikeHAR(err error) error {
	if other, ok := errors.AsType[*stdjson.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s is of kind %s, which is not HAR", cmp.Or(other.Field, "it"), other.Value)
	}
	return err
}

// exchange reads one of the entries. What is wrong with it alone is told; an error is that of the file.
func (h *harReader) exchange() error {
	if _, err := h.next(); err != nil {
		return err
	}
	offset := h.at
	text, err := h.value(h.mostMemory())
	if err != nil && !isTooLarge(err) {
		return err
	}
	h.number++
	var x harExchange
	if err == nil {
		err = unlikeHAR(stdjson.Unmarshal(text, &x))
	}
	var recording *Recording
	if err == nil {
		recording, err = x.recording()
	}
	if err != nil {
		recording, err = nil, &Damage{Offset: offset, Record: h.number, Err: err}
	}
	if !h.yield(recording, err) {
		h.stopped = true
		return errStopped
	}
	return nil
}
