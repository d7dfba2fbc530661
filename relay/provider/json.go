package provider

import (
	"bytes"
	"encoding/json"
	"io"
)

// oneMeaning says whether body is JSON without a name that comes twice in an object. Some parsers use the first of the
// two and some the last, so the app could see another value than was checked. It is for those who sign parts of a body.
func oneMeaning(body []byte) bool {
	if !json.Valid(body) { // does not recurse, as what follows does, and allows no more than 10000 levels
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
