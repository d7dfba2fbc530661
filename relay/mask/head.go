package mask

import (
	"regexp"
	"strings"
)

func (n masking) field(name, value string) string {
	switch p := plain(name); {
	case p == "cookie":
		return n.cookies(value)
	case p == "setcookie":
		pair, attributes, more := strings.Cut(value, ";")
		if more {
			attributes = ";" + attributes
		}
		return n.cookie(pair) + attributes
	case isPassword(name):
		return n.hide(name, value, asIs)
	case n.IsSecret(name):
		return n.authorization(value)
	case p == "link": // RFC 8288: <URL>; rel="next", <URL>; ...
		return n.around(linkPattern, value, func(link string) string { return "<" + n.target(link[1:len(link)-1]) + ">" })
	case locations[p]:
		return n.target(value)
	}
	return n.plain(value)
}

// locations are fields whose values are URLs, which may carry secrets. (Plain names.)
var locations = map[string]bool{
	"referer": true, "location": true, "contentlocation": true, "xoriginaluri": true, "xoriginalurl": true, "xforwardeduri": true,
	"xrewriteurl": true, "refresh": true, "origin": true,
}

var linkPattern = regexp.MustCompile(`<[^<>]*>`)

// schemes are the words before credentials that are shown: registered ones, and others in wide use.
var schemes = []string{
	"Bearer", "Basic", "Digest", "Token", "OAuth", "DPoP", "Negotiate", "NTLM", "HOBA", "Mutual", "SCRAM-SHA-1", "SCRAM-SHA-256", "vapid",
	"GNAP", "PrivateToken", "ApiKey", "Api-Key", "Key", "JWT", "AWS4-HMAC-SHA256", "HMAC", "HMAC-SHA256", "Signature", "SharedAccessSignature",
	"GoogleLogin", "Bot", "WSSE", "MAC", "Hawk",
}

// scheme splits credentials. rest begins with the spaces after the scheme; without a known scheme, rest is all of it.
func scheme(value string) (scheme, rest string) {
	i := strings.IndexAny(value, " \t")
	if i < 0 {
		i = len(value)
	}
	for _, s := range schemes {
		if strings.EqualFold(value[:i], s) {
			return value[:i], value[i:]
		}
	}
	return "", value
}

// authorization hides credentials after their scheme. Of Basic ones nothing stays, since they end in the password.
func (n masking) authorization(value string) string {
	s, rest := scheme(value)
	credentials := strings.TrimLeft(rest, " \t")
	space := rest[:len(rest)-len(credentials)]
	if strings.EqualFold(s, "Basic") && credentials != "" {
		return s + space + n.hide("", credentials, asBasic)
	}
	return s + space + n.hide("", credentials, asIs)
}

// cookies hides the values of name=value pairs.
func (n masking) cookies(value string) string {
	var b strings.Builder
	for i, pair := range strings.Split(value, ";") {
		if i > 0 {
			b.WriteByte(';')
		}
		b.WriteString(n.cookie(pair))
	}
	return b.String()
}

func (n masking) cookie(pair string) string {
	name, value, ok := strings.Cut(pair, "=")
	if !ok { // a value without a name
		rest := strings.TrimLeft(pair, " \t")
		return pair[:len(pair)-len(rest)] + n.hide("", rest, asIs)
	}
	return name + "=" + n.hide("", value, asIs)
}

func (n masking) head(raw string) string {
	var b strings.Builder
	b.Grow(len(raw))
	first, hidden := true, false
	for len(raw) > 0 {
		end := strings.IndexAny(raw, "\r\n")
		if end < 0 {
			end = len(raw)
		}
		line := raw[:end]
		switch {
		case line == "":
		case first:
			line, first = n.startLine(line), false
		case line[0] == ' ' || line[0] == '\t': // the continuation of a folded field
			if hidden {
				line = line[:1] + n.hide("password", line[1:], asIs)
			}
		default:
			line, hidden = n.fieldLine(line)
		}
		b.WriteString(line)
		next := min(end+1, len(raw))
		b.WriteString(raw[end:next])
		raw = raw[next:]
	}
	return b.String()
}

// startLine hides the secrets of a request target.
func (n masking) startLine(line string) string {
	if strings.HasPrefix(line, "HTTP/") {
		return line
	}
	if name, _, ok := strings.Cut(line, ":"); ok && !strings.ContainsAny(name, " /") && n.IsSecret(name) {
		masked, _ := n.fieldLine(line) // of a head whose first line is missing
		return masked
	}
	method, rest, ok := strings.Cut(line, " ")
	if !ok {
		return n.target(line)
	}
	target, proto := rest, ""
	if i := strings.LastIndex(rest, " HTTP/"); i >= 0 {
		target, proto = rest[:i], rest[i:]
	}
	return method + " " + n.target(target) + proto
}

// fieldLine hides a field's secret in place.
func (n masking) fieldLine(line string) (masked string, hidden bool) {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return line, false
	}
	bare := strings.Trim(value, " \t")
	start := strings.Index(value, bare)
	m := n.field(strings.TrimSpace(name), bare)
	secretName := n.IsSecret(strings.TrimSpace(name))
	return name + ":" + value[:start] + m + value[start+len(bare):], secretName
}
