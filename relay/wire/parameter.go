package wire

import (
	"net/url"
	"strings"
)

// SetParameter sets a parameter of an urlencoded query or form: in the place of the
// first one of its name, or after all others. The others, and the name of that
// first one, stay as they are written; further ones of its name go. Name and value
// are given unescaped.
func SetParameter(encoded, name, value string) string {
	value = "=" + url.QueryEscape(value)
	var pairs []string
	done := false
	for pair := range strings.SplitSeq(encoded, "&") {
		switch {
		case !isParameter(pair, name):
			pairs = append(pairs, pair)
		case !done:
			key, _, _ := strings.Cut(pair, "=")
			pairs = append(pairs, key+value)
			done = true
		}
	}
	if encoded == "" {
		pairs = nil
	}
	if !done {
		pairs = append(pairs, url.QueryEscape(name)+value)
	}
	return strings.Join(pairs, "&")
}

// HasParameter says whether an urlencoded query or form has a parameter.
func HasParameter(encoded, name string) bool {
	for pair := range strings.SplitSeq(encoded, "&") {
		if isParameter(pair, name) {
			return true
		}
	}
	return false
}

// DropParameter takes all parameters of a name out of an urlencoded query or form,
// and leaves the others as they are written.
func DropParameter(encoded, name string) string {
	var kept []string
	for pair := range strings.SplitSeq(encoded, "&") {
		if !isParameter(pair, name) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

func isParameter(pair, name string) bool {
	if pair == "" {
		return false
	}
	key, _, _ := strings.Cut(pair, "=")
	key, err := url.QueryUnescape(key)
	return err == nil && key == name
}
