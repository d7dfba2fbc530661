package mask

import (
	"html"
	"net/url"
)

// Field is the value of a header field with its secret hidden.
func (n Names) Field(name, value string) string {
	return masking{Names: n, hide: stand}.field(name, value)
}

// Head is a raw head, of a request or a response, with the secrets in its start line and fields hidden. It need not be
// well-formed: a lone CR ends a line too, since some parsers see it that way.
func (n Names) Head(raw string) string { return masking{Names: n, hide: stand}.head(raw) }

// Target is a request target or URL with the secrets in its user information, path and query hidden.
func (n Names) Target(target string) string { return masking{Names: n, hide: stand}.target(target) }

// Body is a body with the values of secret names hidden: in JSON, XML, urlencoded and multipart forms. It need not be
// well-formed or complete; in any other text, what looks like "name": "value" is hidden too. The given bytes are not
// changed, and are returned as they are when there is nothing to hide.
func (n Names) Body(contentType string, body []byte) []byte {
	return masking{Names: n, hide: stand}.body(contentType, body)
}

// masking finds what must be hidden, and hides it in its own way.
type masking struct {
	Names
	// hide returns what replaces a secret. raw is how it is spelled there; name is its name, or "" if it has none or
	// is known to be no password.
	hide  func(name, raw string, how spelling) string
	depth int // of text within text
}

// spelling is how a value is written where it stands.
type spelling int

const (
	asIs    spelling = iota
	asBasic          // base64 of user:password
	asUser           // user:password of a URL
	inJSON           // inside of quotes
	asWord           // a number of JSON
	inURL            // with percent signs, + for a space
	inPath           // with percent signs
	inXML            // with entities
)

// stand is what people see.
func stand(name, raw string, how spelling) string {
	switch how {
	case asBasic, asUser:
		return stars
	case inJSON, inXML:
		value := unquote(raw)
		if how == inXML {
			value = html.UnescapeString(raw)
		}
		if masked := named(name, value); masked == stars || masked == "" {
			return masked
		}
		return tail(value) // unless it would have to be escaped
	case asWord:
		return `"` + cleanTail(named(name, raw)) + `"`
	case inURL:
		if isPassword(name) && raw != "" {
			return stars
		}
		return tail(unescape(raw))
	case inPath:
		if decoded, err := url.PathUnescape(raw); err == nil {
			raw = decoded
		}
		return tail(raw)
	}
	return named(name, raw)
}
