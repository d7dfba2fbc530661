package tape

import (
	"bufio"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
)

// jsonText is JSON of any size that is read value by value, so that no more of it is in memory than is asked for.
type jsonText struct {
	r  *bufio.Reader
	at int64 // bytes before what comes next
}

// next is the next character that is no space. It stays to be read.
func (t *jsonText) next() (byte, error) {
	for {
		b, err := t.r.ReadByte()
		if err != nil {
			return 0, err
		}
		if !isJSONSpace(b) {
			return b, t.r.UnreadByte()
		}
		t.at++
	}
}

func isJSONSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// take reads a character that must come.
func (t *jsonText) take(want byte) error {
	got, err := t.next()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%q instead of %q", got, want)
	}
	t.at++
	_, err = t.r.Discard(1)
	return err
}

// list goes through what stands between two brackets; one reads one of them.
func (t *jsonText) list(begin, end byte, one func() error) error {
	if err := t.take(begin); err != nil {
		return err
	}
	if b, err := t.next(); err != nil || b == end {
		return errors.Join(err, t.take(end))
	}
	for {
		if err := one(); err != nil {
			return err
		}
		if b, err := t.next(); err != nil || b != ',' {
			return errors.Join(err, t.take(end))
		}
		if err := t.take(','); err != nil {
			return err
		}
	}
}

// nameMax bounds the name of a member, in bytes.
const nameMax = 1 << 20

// object goes through the members of an object; member reads the value.
func (t *jsonText) object(member func(name string) error) error {
	return t.list('{', '}', func() error {
		var name string
		if err := t.into(nameMax, &name); err != nil {
			return err
		}
		if err := t.take(':'); err != nil {
			return err
		}
		return member(name)
	})
}

// into reads a value as value does, and decodes it.
func (t *jsonText) into(most int64, v any) error {
	text, err := t.value(most)
	if err != nil {
		return err
	}
	return stdjson.Unmarshal(text, v)
}

// value reads a value. One that would take more than so many bytes of memory when it is decoded is passed over, and the
// error is a *TooLarge.
func (t *jsonText) value(most int64) ([]byte, error) {
	if _, err := t.next(); err != nil {
		return nil, err
	}
	var text []byte
	var v jsonValue
	for {
		_, err := t.r.Peek(1)
		part, _ := t.r.Peek(t.r.Buffered())
		if err != nil && len(part) == 0 {
			return nil, err
		}
		n, done := v.scan(part)
		if v.memory <= most {
			text = append(text, part[:n]...)
		} else {
			text = nil
		}
		t.at += int64(n)
		if _, err := t.r.Discard(n); err != nil {
			return nil, err
		}
		if done {
			return text, v.within(most)
		}
	}
}

// What the parts of JSON take in memory beside their text, about, in bytes.
const (
	objectMemory = 256
	memberMemory = 16
)

// jsonValue finds the end of a value, and estimates what it takes in memory. It looks at brackets and quotes alone.
type jsonValue struct {
	depth   int
	quoted  bool
	escaped bool
	memory  int64
}

// scan goes on behind what it was given before, and says how much of the text belongs to the value.
func (v *jsonValue) scan(text []byte) (n int, done bool) {
	defer func() { v.memory += int64(n) }()
	for i, c := range text {
		switch {
		case v.escaped:
			v.escaped = false
		case v.quoted && c == '\\':
			v.escaped = true
		case v.quoted && c == '"':
			if v.quoted = false; v.depth == 0 {
				return i + 1, true
			}
		case v.quoted:
		case c == '"':
			v.quoted = true
		case c == '{' || c == '[':
			v.depth++
			v.memory += objectMemory
		case c == '}' || c == ']':
			if v.depth == 0 { // what the value stands in ends
				return i, true
			}
			if v.depth--; v.depth == 0 {
				return i + 1, true
			}
		case v.depth == 0 && (c == ',' || isJSONSpace(c)):
			return i, true
		case c == ',':
			v.memory += memberMemory
		}
	}
	return len(text), false
}

// within is nil where the value takes no more memory than so many bytes.
func (v *jsonValue) within(most int64) error {
	if v.memory > most {
		return &TooLarge{Size: v.memory, Most: most}
	}
	return nil
}

// TooLarge says of a part of a tape file that it is larger than what is taken.
type TooLarge struct {
	Size, Most int64 // in bytes; of JSON, what it takes in memory
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("it is too large: %d bytes, and no more than %d are taken", e.Size, e.Most)
}

// fitsMemory says whether text that is JSON can be decoded in so many bytes of memory.
func fitsMemory(text []byte, most int64) error {
	if int64(len(text)) <= most/(objectMemory+1) { // were it brackets and nothing else
		return nil
	}
	var v jsonValue
	for rest := text; len(rest) > 0; {
		n, done := v.scan(rest)
		if rest = rest[n:]; done {
			break
		}
	}
	return v.within(most)
}

// cutJSON is the error for an end in the middle.
func cutJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return err
}
