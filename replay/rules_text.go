package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"
)

// textRule is text that does not count, wherever it stands.
type textRule struct {
	source  string // as it was written
	place   string // where, in a file; "" on the command line
	pattern *regexp.Regexp
	applied atomic.Bool // it was found somewhere
}

// IgnoreText leaves out what a regular expression (RE2, as in package regexp) matches in the values of header fields and in
// the text of bodies: dates and ids that are new each time and have no path of their own. Of JSON it is matched with what
// each string says, and with each number as a whole. An empty expression is an error, as one that is none.
func (r *Rules) IgnoreText(pattern string) error { return r.addText(pattern, "") }

func (r *Rules) addText(pattern, place string) error {
	if pattern == "" {
		return errors.New("an expression is missing")
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	r.texts = append(r.texts, &textRule{source: pattern, place: place, pattern: compiled})
	return nil
}

// blank replaces all that matches by the same sign.
func (t *textRule) blank(text []byte) []byte {
	return t.pattern.ReplaceAllFunc(text, func(found []byte) []byte {
		if len(found) == 0 {
			return found
		}
		t.apply()
		return []byte("…")
	})
}

func (t *textRule) apply() {
	if !t.applied.Load() { // most often it is set, and goroutines share it
		t.applied.Store(true)
	}
}

// blankBody is blank for a body. JSON is still JSON afterwards.
func (t *textRule) blankBody(body []byte) []byte {
	if parseTree(body) == nil {
		return t.blank(body)
	}
	var blanked []byte
	var around []blankedKeys // of the objects that are open
	for i := 0; i < len(body); {
		end := i + 1
		said := body[i:end] // what is around them, and true, false and null
		switch c := body[i]; {
		case c == '{':
			around = append(around, blankedKeys{})
		case c == '}':
			around = around[:len(around)-1]
		case c == '"':
			end = endOfScalar(body, i)
			said = t.blankString(body[i:end])
			if isKey := bytes.HasPrefix(bytes.TrimLeft(body[end:], " \t\r\n"), []byte(":")); isKey && !bytes.Equal(said, body[i:end]) {
				said = around[len(around)-1].apart(said)
			}
		case c == '-' || c >= '0' && c <= '9':
			end = endOfScalar(body, i)
			said = t.blankNumber(body[i:end])
		}
		blanked = append(blanked, said...)
		i = end
	}
	return blanked
}

// blankedKeys counts the keys of an object that are the same once text was left out of them. They are numbered, so that
// their members are compared one by one, in their order, instead of the last one alone.
type blankedKeys map[string]int

// apart is a key in its quotes, with a number behind it where the same key came before.
func (k blankedKeys) apart(key []byte) []byte {
	k[string(key)]++
	if n := k[string(key)]; n > 1 {
		return fmt.Appendf(nil, "%s #%d\"", key[:len(key)-1], n)
	}
	return key
}

// blankString is blank for a string of JSON, in its quotes.
func (t *textRule) blankString(quoted []byte) []byte {
	var said string
	if json.Unmarshal(quoted, &said) != nil {
		return quoted
	}
	blanked := t.blank([]byte(said))
	if string(blanked) == said {
		return quoted
	}
	again, err := json.Marshal(string(blanked))
	if err != nil {
		panic(err) // text always marshals
	}
	return again
}

// blankNumber has a number of JSON that matches be 0.
func (t *textRule) blankNumber(number []byte) []byte {
	if at := t.pattern.FindIndex(number); at == nil || at[0] != 0 || at[1] != len(number) {
		return number
	}
	t.apply()
	return []byte("0")
}
