// Package mask hides secrets in bytes for people's eyes: in logs, lists, pages, exports and reports.
//
// Names tell what is secret: those of header fields, query parameters and keys in bodies that say token, secret, password,
// API key, session id or authorization, in any style (authToken, X-Auth-Token, auth[application_token]); and every cookie
// is. Signatures are not secret. If a name is secret, so is everything nested below it. Of a secret of 16 characters or
// more the last 4 stay ("****abcd"), so that people can tell which one it is; of passwords, Basic credentials and shorter
// secrets nothing stays.
//
// In paths, which have no names, a segment is hidden when it is a bot token (bot123456:AAH...), a JSON Web Token, when it is
// long and follows a segment of a secret name (/token/...), or when it is 24 or more letters and digits that include upper
// case, lower case and digits, as random tokens do and ids seldom: UUIDs, ULIDs and hex digests are shown.
//
// It also looks into JSON, XML, forms and URLs within forms, within strings of JSON and within URLs, up to 4 deep, and into
// JSON in base64. In XML, names are those of elements and attributes. JSON Web Tokens, and keys that begin like keys of
// well-known services, are hidden wherever they stand.
//
// Everything else stays byte for byte: values are replaced in place, in text that need not be well-formed or complete.
// Masking is for eyes; it promises nothing about secrets that no name points to.
package mask

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names are those that are secret besides the defaults, as whole names in any style; nil: only the defaults. The functions
// that mask are methods of Names, so that whoever shows something says by which names. Many goroutines may use them at
// once.
type Names []string

const (
	stars      = "****"
	tailFrom   = 16 // length from which the last characters stay
	tailLength = 4
)

// secret is the masked form of a secret value; an empty value stays empty.
func secret(value string) string {
	if value == "" {
		return ""
	}
	if utf8.RuneCountInString(value) < tailFrom {
		return stars
	}
	tail := len(value)
	for range tailLength {
		_, size := utf8.DecodeLastRuneInString(value[:tail])
		tail -= size
	}
	return stars + value[tail:]
}

// named is the masked form of the value of a secret name.
func named(name, value string) string {
	if value != "" && isPassword(name) {
		return stars
	}
	return secret(value)
}

// plain is a name without case and separators: authToken, AUTH_TOKEN and auth-token are the same.
func plain(name string) string {
	b := make([]byte, 0, len(name))
	for i := range len(name) {
		switch c := name[i]; {
		case c >= utf8.RuneSelf:
			return plainRunes(name)
		case isSeparator(rune(c)):
		case 'A' <= c && c <= 'Z':
			b = append(b, c+'a'-'A')
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// plainRunes is plain for names in any script.
func plainRunes(name string) string {
	return strings.Map(func(r rune) rune {
		if isSeparator(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

func isSeparator(r rune) bool { return r == '-' || r == '_' || r == ' ' || r == '.' || r == '\t' }

// secretEndings are how secret names end, in plain form and without a plural s.
var secretEndings = []string{
	"token", "secret", "password", "passwd", "passphrase", "pwd", "apikey", "accesskey", "authkey", "secretkey", "privatekey",
	"subscriptionkey", "functionskey", "signingkey", "encryptionkey", "authorization", "credential", "sessionid", "sessid", "cookie", "jwt", "bearer",
	"clientstate", // Microsoft Graph's
}

// secretWords are secret only as whole names.
var secretWords = map[string]bool{"auth": true, "pass": true, "xauth": true, "pin": true, "otp": true}

// IsSecret says whether a name stands for a secret.
func (n Names) IsSecret(name string) bool {
	p := plain(name)
	if secretWords[p] {
		return true
	}
	p = strings.TrimSuffix(p, "s")
	if n.has(p) {
		return true
	}
	for _, ending := range secretEndings {
		if strings.HasSuffix(p, ending) {
			return true
		}
	}
	return false
}

// isGroup says whether everything nested below a name is secret. What is below auth has names of its own:
// auth[domain], auth[application_token].
func (n Names) isGroup(name string) bool {
	p := plain(name)
	return n.IsSecret(name) && (!secretWords[p] || n.has(strings.TrimSuffix(p, "s")))
}

// has says whether a name, in plain form and without a plural s, is one of those besides the defaults.
func (n Names) has(p string) bool {
	return p != "" && slices.ContainsFunc(n, func(own string) bool { return strings.TrimSuffix(plain(own), "s") == p })
}

func isPassword(name string) bool {
	p := strings.TrimSuffix(plain(name), "s")
	for _, ending := range []string{"password", "passwd", "passphrase", "pwd", "pass", "pin", "otp"} {
		if strings.HasSuffix(p, ending) {
			return true
		}
	}
	return strings.HasSuffix(plain(name), "pass")
}
