package tape

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
)

// Why something of a HAR file can't be read.
var (
	errNoExchange = errors.New("there is no request in it")
	errNoHAR      = errors.New("it is JSON, but no HAR: there is no log with entries")
)

// readHAR gives what a HAR file has. The file is read in a stream: what is in memory at a time is one exchange.
func (r *Reader) readHAR(yield func(*Recording, error) bool) {
	d := stdjson.NewDecoder(&noted{r.har, &r.harErr})
	h := &harReader{Reader: r, d: d, yield: yield}
	err := h.object(func(key string) error {
		if key != "log" {
			return h.skip()
		}
		return h.object(h.logMember)
	})
	switch {
	case h.stopped:
	case r.harErr != nil:
		yield(nil, fmt.Errorf("read the tape file: %w", r.harErr))
	case err != nil:
		yield(nil, h.damage(r.number+1, d.InputOffset(), err))
	case !h.found:
		yield(nil, errNoHAR)
	}
}

// harReader goes through a HAR file.
type harReader struct {
	*Reader
	d       *stdjson.Decoder
	yield   func(*Recording, error) bool
	found   bool // there are entries
	stopped bool // nobody wants more
}

// errStopped ends the reading where nobody wants more.
var errStopped = errors.New("stopped")

func (h *harReader) damage(number int, offset int64, err error) *Damage {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCut
	}
	return &Damage{Offset: offset, Record: number, Err: err}
}

// object goes through the members of an object; member reads the value.
func (h *harReader) object(member func(key string) error) error {
	if err := h.delim('{'); err != nil {
		return err
	}
	for h.d.More() {
		key, err := h.d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if err := member(name); err != nil {
			return err
		}
	}
	return h.delim('}')
}

func (h *harReader) delim(want stdjson.Delim) error {
	got, err := h.d.Token()
	if err == nil && got != want {
		return fmt.Errorf("%v instead of %v", got, want)
	}
	return err
}

func (h *harReader) skip() error {
	var value stdjson.RawMessage
	return h.d.Decode(&value)
}

func (h *harReader) logMember(key string) error {
	switch key {
	case "entries":
		return h.exchanges()
	case "_hooktape":
		return h.d.Decode(&h.info)
	case "creator":
		var creator struct{ Name, Version string }
		err := h.d.Decode(&creator)
		h.info.Software = creator.Name + " " + creator.Version
		return err
	}
	return h.skip()
}

func (h *harReader) exchanges() error {
	h.found = true
	if err := h.delim('['); err != nil {
		return err
	}
	for h.d.More() {
		offset := h.d.InputOffset()
		h.number++
		var x harExchange
		err := h.d.Decode(&x)
		var kind *stdjson.UnmarshalTypeError
		if err != nil && !errors.As(err, &kind) {
			h.number--
			return err
		}
		var recording *Recording
		if err == nil {
			recording, err = x.recording()
		}
		if err != nil {
			recording, err = nil, h.damage(h.number, offset, err)
		}
		if !h.yield(recording, err) {
			h.stopped = true
			return errStopped
		}
	}
	return h.delim(']')
}
