package mask

import (
	"net/url"
	"strings"
)

const (
	longSegment   = 16 // behind a segment of a secret name
	randomSegment = 24
)

func (n masking) target(target string) string {
	path, query, hasQuery := strings.Cut(target, "?")
	fragment := ""
	if i := strings.IndexByte(path, '#'); i >= 0 {
		path, query, hasQuery, fragment = path[:i], "", false, target[i:]
	} else if i := strings.IndexByte(query, '#'); i >= 0 {
		query, fragment = query[:i], query[i:]
	}
	masked := n.maskPath(path)
	if hasQuery {
		masked += "?" + n.form(query, true)
	}
	if fragment != "" { // OAuth's implicit flow puts tokens here
		masked += "#" + n.form(fragment[1:], true)
	}
	return masked
}

// maskPath hides secrets in a path, which may have a scheme and authority before it.
func (n masking) maskPath(path string) string {
	authority := ""
	if start, end, ok := authorityIn(path); ok {
		authority, path = path[:end], path[end:]
		if at := strings.LastIndexByte(authority, '@'); at >= start {
			authority = authority[:start] + n.hide("password", authority[start:at], asUser) + authority[at:]
		}
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		before := ""
		if i > 0 {
			before = segments[i-1]
		}
		segments[i] = n.segment(before, s)
	}
	return authority + strings.Join(segments, "/")
}

// authorityIn says where the authority of a URL is. Where somebody typed a URL without a scheme, a user name tells it.
func authorityIn(path string) (start, end int, ok bool) {
	i := strings.Index(path, "://")
	switch {
	case i >= 0:
		start = i + len("://")
	case strings.HasPrefix(path, "//"):
		start = len("//")
	}
	end = len(path)
	if slash := strings.IndexByte(path[start:], '/'); slash >= 0 {
		end = start + slash
	}
	return start, end, i >= 0 || strings.Contains(path[start:end], "@")
}

func (n masking) segment(before, s string) string {
	text := s
	if decoded, err := url.PathUnescape(s); err == nil {
		text = decoded
	}
	if bot, token, ok := strings.Cut(text, ":"); ok && isBot(bot) {
		return bot + ":" + n.hide("", token, inPath)
	}
	if bare, parameters, ok := strings.Cut(s, ";"); ok { // ;jsessionid=...
		return n.segment(before, bare) + ";" + n.form(parameters, true)
	}
	switch {
	case isJWT(text), len(text) >= longSegment && n.IsSecret(before), isRandom(text):
		return n.hide("", s, inPath)
	}
	return n.tokens(s)
}

// isBot knows the ids that Telegram puts before a bot's token.
func isBot(s string) bool {
	digits, ok := strings.CutPrefix(s, "bot")
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

func isJWT(s string) bool { return strings.HasPrefix(s, "eyJ") && strings.Count(s, ".") == 2 }

// keyPrefixes are what keys begin with that say so.
var keyPrefixes = []string{"sk_", "rk_", "whsec_", "ghp_", "gho_", "ghs_", "glpat-", "xoxb-", "xoxp-", "xapp-"}

// isRandom knows long random text by its letters. Ids with a prefix (pi_3Mtw...) are none, unless the prefix is one of keys.
func isRandom(s string) bool {
	for _, prefix := range keyPrefixes {
		if strings.HasPrefix(s, prefix) && len(s) >= longSegment {
			return true
		}
	}
	if prefix, _, ok := strings.Cut(s, "_"); ok && len(prefix) >= 2 && len(prefix) <= 12 && strings.ToLower(prefix) == prefix {
		return false
	}
	var upper, lower, digit bool
	for _, r := range s {
		switch {
		case 'A' <= r && r <= 'Z':
			upper = true
		case 'a' <= r && r <= 'z':
			lower = true
		case '0' <= r && r <= '9':
			digit = true
		case r != '-' && r != '_':
			return false
		}
	}
	return len(s) >= randomSegment && upper && lower && digit
}

// tail is secret for places where only some characters may stand as they are.
func tail(value string) string {
	masked := secret(value)
	for _, c := range []byte(strings.TrimPrefix(masked, stars)) {
		if !unreserved(c) {
			return stars
		}
	}
	return masked
}

// unreserved characters (RFC 3986 section 2.3) mean themselves in URLs, forms and JSON.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// form hides the values of secret names in name=value pairs, as in queries and form bodies.
func (n masking) form(text string, query bool) string {
	pairs := strings.Split(text, "&")
	for i := range pairs {
		pairs[i] = n.pair(pairs[i], query)
	}
	return strings.Join(pairs, "&")
}

// pair is one of them. Behind a ; there may be another, as HTML 4 had it; but a secret value goes on to the end.
func (n masking) pair(text string, query bool) string {
	at := n.secretAt(text, query)
	before := strings.TrimSuffix(text[:at], ";")
	shown := before
	if name, value, ok := strings.Cut(before, "="); ok {
		if masked, changed := n.embedded(unescape(value)); changed {
			shown = name + "=" + url.QueryEscape(masked)
		}
	}
	shown += text[len(before):at]
	if name, value, ok := strings.Cut(text[at:], "="); ok {
		return shown + name + "=" + n.pairValue(name, value)
	}
	return shown
}

// secretAt is where the first pair of a secret name begins; the end where there is none.
func (n masking) secretAt(text string, query bool) int {
	for at := 0; ; {
		piece, _, more := strings.Cut(text[at:], ";")
		if name, _, ok := strings.Cut(piece, "="); ok && n.secretPair(name, query) {
			return at
		}
		if !more {
			return len(text)
		}
		at += len(piece) + 1
	}
}

// secretPair says whether the value of a parameter is secret. ?key= is how API keys are sent, ?code= how Azure has its
// keys, and OAuth its grants.
func (n Names) secretPair(name string, query bool) bool {
	decoded := unescape(name)
	_, found := n.secretKey(decoded)
	return found || query && (plain(decoded) == "key" || plain(decoded) == "code")
}

func (n masking) pairValue(name, value string) string {
	key, _ := n.secretKey(unescape(name))
	return n.hide(key, value, inURL)
}

// secretKey finds the secret one among the keys of auth[application_token].
func (n Names) secretKey(name string) (key string, found bool) {
	keys := strings.FieldsFunc(name, func(r rune) bool { return r == '[' || r == ']' })
	for i, key := range keys {
		last := i == len(keys)-1
		if last && n.IsSecret(key) || n.isGroup(key) {
			return key, true
		}
	}
	return "", false
}

func unescape(s string) string {
	s = strings.ReplaceAll(s, "+", " ")
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b.WriteByte(fromHex(s[i+1])<<4 | fromHex(s[i+2]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func fromHex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
