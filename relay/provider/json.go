package provider

import (
	"bytes"
	"encoding/json"
	"io"
)

// oneMeaning says whether body is JSON without a name that comes twice in an object: parsers take the first or the last
// of them, so that what was checked is not what the app sees. It is for those who sign parts of a body only.
func oneMeaning(body []byte) bool {
	if !json.Valid(body) { // which doesn't call itself for each level, as what follows does, and stops at 10000 of them
		return false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if !unambiguous(d) {
		return false
	}
	_, err := d.Token()
	return err == io.EOF
}

// unambiguous reads one value.
func unambiguous(d *json.Decoder) bool {
	t, err := d.Token()
	if err != nil {
		return false
	}
	var names map[string]bool
	switch t {
	case json.Delim('{'):
		names = map[string]bool{}
	case json.Delim('['):
	default:
		return true
	}
	for d.More() {
		if names != nil {
			name, err := d.Token()
			text, ok := name.(string)
			if err != nil || !ok || names[text] {
				return false
			}
			names[text] = true
		}
		if !unambiguous(d) {
			return false
		}
	}
	_, err = d.Token() // the end
	return err == nil
}
