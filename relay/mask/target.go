package mask

import (
	"net/url"
	"strings"
)

const (
	longSegment   = 16 // after a segment of a secret name
	randomSegment = 24
)

func (n masking) target(target string) string {
	authority, rest := n.authority(target)
	path, query, hasQuery := strings.Cut(rest, "?")
	fragment := ""
	if i := strings.IndexByte(path, '#'); i >= 0 {
		path, query, hasQuery, fragment = path[:i], "", false, rest[i:]
	} else if i := strings.IndexByte(query, '#'); i >= 0 {
		query, fragment = query[:i], query[i:]
	}
	masked := authority + n.maskPath(path)
	if hasQuery {
		masked += "?" + n.form(query, true)
	}
	if fragment != "" { // OAuth's implicit flow puts tokens here
		masked += "#" + n.form(fragment[1:], true)
	}
	return masked
}

// authority is what a URL has before its path, with the user hidden; "" for a request target.
func (n masking) authority(url string) (masked, rest string) {
	start, end, ok := UserIn(url)
	stop := end + authorityEnd(url[end:])
	switch {
	case ok:
		return url[:start] + n.hide("password", url[start:end], asUser) + url[end:stop], url[stop:]
	case strings.HasSuffix(url[:start], "://"):
		return url[:stop], url[stop:]
	}
	return "", url // nothing says that it is not a path
}

// UserIn says where user information stands in a URL, which may include a password: url[start:end], before an @. If there
// is none, start and end are where the host begins. A password with a /, ? or # that should have been escaped extends to
// the last @, unless what precedes can be a host and port. The scheme may be missing; what begins with one / is a path.
func UserIn(url string) (start, end int, ok bool) {
	scheme, _, found := strings.Cut(url, "://")
	switch {
	case strings.HasPrefix(url, "//"):
		start = len("//")
	case strings.HasPrefix(url, "/"):
		return 0, 0, false
	case found && !strings.ContainsAny(scheme, ":/?#@"): // else it is that of another URL, in a query maybe
		start = len(scheme) + len("://")
	}
	authority := url[start : start+authorityEnd(url[start:])]
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		return start, start + at, true
	}
	_, port, typed := strings.Cut(authority, ":")
	at := strings.LastIndexByte(url, '@')
	if !typed || at < start || authority[0] == '[' || strings.Trim(port, "0123456789") == "" {
		return start, start, false
	}
	return start, at, true
}

// authorityEnd is where an authority ends.
func authorityEnd(text string) int {
	if i := strings.IndexAny(text, "/?#"); i >= 0 {
		return i
	}
	return len(text)
}

// maskPath hides secrets in a path.
func (n masking) maskPath(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		before := ""
		if i > 0 {
			before = segments[i-1]
		}
		segments[i] = n.segment(before, s)
	}
	return strings.Join(segments, "/")
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

// isBot recognises the ids that Telegram puts before a bot's token.
func isBot(s string) bool {
	digits, ok := strings.CutPrefix(s, "bot")
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

func isJWT(s string) bool { return strings.HasPrefix(s, "eyJ") && strings.Count(s, ".") == 2 }

// keyPrefixes are how keys begin that can be recognised by it.
var keyPrefixes = []string{"sk_", "rk_", "whsec_", "ghp_", "gho_", "ghs_", "glpat-", "xoxb-", "xoxp-", "xapp-"}

// isRandom recognises long random text by its characters. An id with a prefix (pi_3Mtw...) is none, unless the prefix is
// that of a key.
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

// tail is secret for places where only some characters may stand unescaped.
func tail(value string) string {
	masked := secret(value)
	for _, c := range []byte(strings.TrimPrefix(masked, stars)) {
		if !unreserved(c) {
			return stars
		}
	}
	return masked
}

// unreserved characters (RFC 3986 section 2.3) need no escaping in URLs, forms and JSON.
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

// pair masks one pair. After a ; there may be another one, as in HTML 4; but a secret value extends to the end.
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

// secretAt is where the first pair with a secret name begins; the end if there is none.
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

// secretPair says whether the value of a parameter is secret. In queries, key is how API keys are sent, and code is used
// by Azure for its keys and by OAuth for its grants.
func (n Names) secretPair(name string, query bool) bool {
	decoded := unescape(name)
	_, found := n.secretKey(decoded)
	return found || query && (plain(decoded) == "key" || plain(decoded) == "code")
}

func (n masking) pairValue(name, value string) string {
	key, _ := n.secretKey(unescape(name))
	return n.hide(key, value, inURL)
}

// secretKey finds the secret key among those of auth[application_token].
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
