package mask

import (
	"encoding/base64"
	"regexp"
	"strings"
)

// tokenPattern finds what can be recognised as secret: JSON Web Tokens, and keys with the usual prefixes.
var tokenPattern = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*|\b(?:` + strings.Join(keyPrefixes, "|") + `)[A-Za-z0-9_-]{16,}`)

// urlPattern finds URLs in text, and request targets that have a query.
var urlPattern = regexp.MustCompile("[A-Za-z][A-Za-z0-9+.-]*://[^\\s\"'<>`\\\\]+|/[^\\s\"'<>`\\\\?]*\\?[^\\s\"'<>`\\\\]+")

// plain masks a text whose name is not secret: tokens that can be recognised, and secrets in URLs.
func (n masking) plain(text string) string {
	if strings.Contains(text, "://") || strings.Contains(text, "?") && strings.Contains(text, "/") {
		return n.around(urlPattern, text, n.target)
	}
	return n.tokens(text)
}

func (n masking) tokens(text string) string {
	for _, prefix := range tokenPrefixes {
		if strings.Contains(text, prefix) {
			return tokenPattern.ReplaceAllStringFunc(text, func(token string) string { return n.hide("", token, asIs) })
		}
	}
	return text
}

// tokenPrefixes are how everything begins that tokenPattern finds: looking for them costs less.
var tokenPrefixes = append([]string{"eyJ"}, keyPrefixes...)

// around changes what a pattern finds, and hides tokens in between.
func (n masking) around(pattern *regexp.Regexp, text string, change func(string) string) string {
	var b strings.Builder
	at := 0
	for _, found := range pattern.FindAllStringIndex(text, -1) {
		b.WriteString(n.tokens(text[at:found[0]]))
		b.WriteString(change(text[found[0]:found[1]]))
		at = found[1]
	}
	return b.String() + n.tokens(text[at:])
}

// embedded masks text inside a form or JSON, which may itself be JSON, XML, or JSON in base64, as message queues push
// it.
func (n masking) embedded(text string) (masked string, changed bool) {
	switch n.depth++; {
	case n.depth > maxEmbedded:
		return text, false
	case looksLikeJSON(text):
		masked = n.json(text)
	case looksLikeXML(text):
		masked = n.xml(text)
	case looksLikeForm(text) && strings.Contains(text, "&"):
		masked = n.form(text, false)
	default:
		if masked = n.base64(text); masked == text {
			masked = n.plain(text)
		}
	}
	return masked, masked != text
}

// base64 masks JSON in base64.
func (n masking) base64(text string) string {
	if strings.Contains(text, ".") || !strings.HasPrefix(text, "ey") && !strings.HasPrefix(text, "W") { // { or [
		return text
	}
	for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		if inside, err := coding.DecodeString(text); err == nil && looksLikeJSON(string(inside)) {
			if masked := n.json(string(inside)); masked != string(inside) {
				return coding.EncodeToString([]byte(masked))
			}
		}
	}
	return text
}
