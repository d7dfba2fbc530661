package wire

import (
	"net/url"
	"strings"
)

// SetParameter sets a parameter of an urlencoded query or form, in the place of
// the first of its name or behind all others, which it leaves as they are
// written. Name and value are not yet escaped.
func SetParameter(encoded, name, value string) string {
	set := url.QueryEscape(name) + "=" + url.QueryEscape(value)
	if encoded == "" {
		return set
	}
	pairs := strings.Split(encoded, "&")
	for i, pair := range pairs {
		key, _, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(key); err == nil && key == name {
			pairs[i] = set
			return strings.Join(pairs, "&")
		}
	}
	return encoded + "&" + set
}
