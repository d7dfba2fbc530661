package mask

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	stdjson "encoding/json"
	"fmt"
	"html"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Fakes hide secrets behind others of the same length and form, for those who must work with masked data: digits stay
// digits, letters stay letters in their case, and anything else stays as it is. Under one key a secret always has the same
// fake, and without the key nothing leads back. JSON Web Tokens stay tokens. Only one goroutine at a time may use them.
type Fakes struct {
	names Names
	key   []byte // nil: the fakes are empty
	found func(secret, fake string)
}

// NewBlanks makes fakes that are all empty, or 0 where a number must be: for comparing masked data with unmasked. Several
// goroutines may use them.
func NewBlanks(names Names) *Fakes { return &Fakes{names: names} }

// NewFakes makes fakes under a key. found, unless nil, is told of every secret and its fake.
func NewFakes(names Names, key []byte, found func(secret, fake string)) *Fakes {
	return &Fakes{names, key, found}
}

// Field is Names.Field with fakes.
func (f *Fakes) Field(name, value string) string { return f.masking().field(name, value) }

// Head is Names.Head with fakes.
func (f *Fakes) Head(raw string) string { return f.masking().head(raw) }

// Target is Names.Target with fakes.
func (f *Fakes) Target(target string) string { return f.masking().target(target) }

// Body is Names.Body with fakes.
func (f *Fakes) Body(contentType string, body []byte) []byte {
	return f.masking().body(contentType, body)
}

func (f *Fakes) masking() masking { return masking{Names: f.names, hide: f.hide} }

func (f *Fakes) hide(_, raw string, how spelling) string {
	switch how {
	case asBasic:
		return f.basic(raw)
	case asUser:
		return f.user(raw)
	case inJSON:
		return f.InJSON(raw)
	case asWord:
		return f.Number(raw)
	case inURL:
		return f.respelled(raw, percentToken(true))
	case inXML:
		return f.respelled(raw, xmlToken)
	case inPath:
		return f.respelled(raw, percentToken(false))
	}
	return f.Value(raw)
}

// Value is the fake of a secret that is written without any escapes.
func (f *Fakes) Value(secret string) string {
	if secret == "" {
		return ""
	}
	fake := f.make(secret)
	if f.found != nil && fake != secret {
		f.found(secret, fake)
	}
	return fake
}

// InJSON is the fake of a secret that stands between quotes in JSON.
func (f *Fakes) InJSON(raw string) string { return f.respelled(raw, jsonToken) }

// InURL is the fake of a secret that is the value of a parameter.
func (f *Fakes) InURL(raw string) string { return f.respelled(raw, percentToken(true)) }

// Bytes is as many other bytes, for secrets that nobody can look into.
func (f *Fakes) Bytes(secret string) string {
	s := f.stream(secret)
	fake := make([]byte, len(secret))
	for i := range fake {
		fake[i] = byte(s.below(256))
	}
	return string(fake)
}

// Number is a JSON number of the same length.
func (f *Fakes) Number(raw string) string {
	if f.key == nil {
		return "0"
	}
	fake := f.Value(raw)
	if stdjson.Valid([]byte(raw)) && !stdjson.Valid([]byte(fake)) { // its exponent became letters
		return strings.Map(func(r rune) rune {
			if '0' <= r && r <= '9' {
				return '7'
			}
			return r
		}, raw)
	}
	return fake
}

// basic is the fake of credentials of the Basic scheme (RFC 7617).
func (f *Fakes) basic(raw string) string {
	plain, err := base64.StdEncoding.DecodeString(raw)
	user, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok {
		return f.Value(raw)
	}
	fake := base64.StdEncoding.EncodeToString([]byte(f.Value(user) + ":" + f.Value(password)))
	if f.found != nil {
		f.found(raw, fake)
	}
	return fake
}

// user is the fake of the user and password of a URL.
func (f *Fakes) user(raw string) string {
	name, password, ok := strings.Cut(raw, ":")
	if !ok {
		return f.respelled(raw, percentToken(false))
	}
	return f.respelled(name, percentToken(false)) + ":" + f.respelled(password, percentToken(false))
}

func (f *Fakes) make(secret string) string {
	if f.key == nil {
		return ""
	}
	if isJWT(secret) {
		if fake, ok := f.jwt(secret); ok {
			return fake
		}
	}
	kept := keptPrefix(secret)
	s := f.stream(secret)
	rest := secret[len(kept):]
	hex := isHexText(rest)
	var b strings.Builder
	b.WriteString(kept)
	first := true
	for i := 0; i < len(rest); {
		r, size := utf8.DecodeRuneInString(rest[i:])
		if r == utf8.RuneError && size == 1 {
			b.WriteByte(rest[i])
		} else {
			b.WriteRune(s.like(r, hex, first))
		}
		first = false
		i += size
	}
	return b.String()
}

// keptPrefix is the beginning of a key that says which kind it is.
func keptPrefix(secret string) string {
	for _, prefix := range keyPrefixes {
		if strings.HasPrefix(secret, prefix) {
			if i := strings.LastIndexByte(secret[:min(len(secret), 12)], '_'); i >= len(prefix) { // sk_live_
				return secret[:i+1]
			}
			return prefix
		}
	}
	return ""
}

// isHexText says whether text is a digest, or an id in hex, all in one case.
func isHexText(text string) bool {
	letters, digits := 0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '-':
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
			letters++
		default:
			return false
		}
	}
	return letters > 0 && digits > 0 && letters+digits >= 8
}

// stream is the sequence of random numbers for a secret under a key.
type stream struct {
	key, secret []byte
	block       []byte
	n           uint32
}

func (f *Fakes) stream(secret string) *stream { return &stream{key: f.key, secret: []byte(secret)} }

// below is a number from 0 to n-1.
func (s *stream) below(n int) rune {
	if len(s.block) < 2 {
		mac := hmac.New(sha256.New, s.key)
		mac.Write(binary.BigEndian.AppendUint32(nil, s.n))
		mac.Write(s.secret)
		s.block, s.n = mac.Sum(nil), s.n+1
	}
	v := binary.BigEndian.Uint16(s.block)
	s.block = s.block[2:]
	return rune(int(v) % n)
}

// other is a character other than r, out of the n that begin at first.
func (s *stream) other(r, first rune, n int) rune { return first + (r-first+1+s.below(n-1))%rune(n) }

// like is another character of the same kind and size.
func (s *stream) like(r rune, hex, first bool) rune {
	letters := 26
	if hex {
		letters = 6
	}
	switch {
	case r == '0' && first: // a leading 0 would change the kind of number
		return r
	case '0' <= r && r <= '9' && first:
		return s.other(r, '1', 9)
	case '0' <= r && r <= '9':
		return s.other(r, '0', 10)
	case 'a' <= r && r <= 'z':
		return s.other(r, 'a', letters)
	case 'A' <= r && r <= 'Z':
		return s.other(r, 'A', letters)
	case r < utf8.RuneSelf || !unicode.IsLetter(r) && !unicode.IsDigit(r):
		return r
	}
	switch size := utf8.RuneLen(r); {
	case size == 2 && unicode.IsUpper(r):
		return 'А' + s.below(32) // Cyrillic
	case size == 2:
		return 'а' + s.below(32)
	case size == 3:
		return '一' + s.below(20000) // Han
	}
	return 0x20000 + s.below(20000)
}

// jwt is a token with the same header, the same claims with other values, and another signature. Times stay.
func (f *Fakes) jwt(token string) (string, bool) {
	parts := strings.Split(token, ".")
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || !stdjson.Valid(claims) {
		return "", false
	}
	fake := f.claims(claims)
	padding := parts[1][len(strings.TrimRight(parts[1], "=")):]
	s := f.stream(token)
	signature := strings.Map(func(r rune) rune { return s.like(r, false, false) }, parts[2])
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString(fake) + padding + "." + signature, true
}

// claims is JSON in which all strings but keys are replaced.
func (f *Fakes) claims(text []byte) []byte {
	m := jsonMasker{text: string(text)}
	for i := 0; i < len(m.text); i++ {
		if m.text[i] != '"' {
			continue
		}
		end := m.endOfString(i)
		if _, isKey := m.valueBehind(end); !isKey && end > i+1 {
			m.put(i, end, `"`+f.InJSON(m.text[i+1:end-1])+`"`)
		}
		i = end - 1
	}
	m.out.WriteString(m.text[m.kept:])
	return []byte(m.out.String())
}

// respelled is the fake of what raw says, spelled like raw: token reads raw piece by piece, each standing for some bytes.
func (f *Fakes) respelled(raw string, token func(raw string) (says string, size int, spell func(string) string)) string {
	var value strings.Builder
	for rest := raw; rest != ""; {
		says, size, _ := token(rest)
		value.WriteString(says)
		rest = rest[size:]
	}
	fake := f.Value(value.String())
	if fake == raw || len(fake) != value.Len() {
		return fake
	}
	var b strings.Builder
	for rest := raw; rest != ""; {
		says, size, spell := token(rest)
		if now := fake[:len(says)]; now == says {
			b.WriteString(rest[:size])
		} else {
			b.WriteString(spell(now))
		}
		fake, rest = fake[len(says):], rest[size:]
	}
	return b.String()
}

func plainly(s string) string { return s }

// percentToken reads a byte of a URL.
func percentToken(plus bool) func(raw string) (string, int, func(string) string) {
	return func(raw string) (string, int, func(string) string) {
		switch {
		case raw[0] == '+' && plus:
			return " ", 1, plainly
		case raw[0] == '%' && len(raw) > 2 && isHex(raw[1]) && isHex(raw[2]):
			return string([]byte{fromHex(raw[1])<<4 | fromHex(raw[2])}), 3, func(s string) string { return fmt.Sprintf("%%%02X", s[0]) }
		}
		return raw[:1], 1, plainly
	}
}

// xmlToken reads a character of the text of XML or HTML.
func xmlToken(raw string) (string, int, func(string) string) {
	const longest = len("&thetasym;") // of the names in common use
	if end := strings.IndexByte(raw[:min(len(raw), longest)], ';'); raw[0] == '&' && end > 0 {
		says := html.UnescapeString(raw[:end+1])
		if _, size := utf8.DecodeRuneInString(says); size == len(says) {
			return says, end + 1, func(s string) string {
				r, _ := utf8.DecodeRuneInString(s)
				return fmt.Sprintf("&#%d;", r)
			}
		}
	}
	return raw[:1], 1, plainly
}

// jsonToken reads a character between the quotes of a JSON string.
func jsonToken(raw string) (string, int, func(string) string) {
	if raw[0] != '\\' || len(raw) == 1 {
		return raw[:1], 1, plainly
	}
	if raw[1] != 'u' {
		return unquote(raw[:2]), 2, plainly
	}
	r, size := escapedRune(raw)
	return string(r), size, func(s string) string {
		r, _ := utf8.DecodeRuneInString(s)
		if high, low := utf16.EncodeRune(r); size == 12 {
			return fmt.Sprintf(`\u%04x\u%04x`, high, low)
		}
		return fmt.Sprintf(`\u%04x`, r)
	}
}
