package tape

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	stdjson "encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

const (
	// knownMax is how many secrets are looked for in everything that comes, the latest ones: those of the span that is
	// masked, of the one before it and of the one behind it.
	knownMax = 3 * spanMost
	// knownFrom is how long a secret is at least that is looked for where no name tells of it: shorter ones are words and
	// numbers that mean something else elsewhere.
	knownFrom = 8
)

// everywhere replaces secrets wherever they stand: an app may echo a token, a log line may quote it.
type everywhere struct {
	most  int // secrets that are kept
	fakes map[string]string
	order []string
	// entered is how many there were.
	entered int
	// spelled has their spellings, by the first knownFrom bytes; the longest come first.
	spelled map[uint64][]spelled
	// begins says of the first bytes whether some spelling may begin so: most places of a text are passed over by it.
	begins [1 << 16 / 64]uint64
}

// spelled is a secret in one of its spellings, and its fake in the same.
type spelled struct{ secret, fake string }

func newEverywhere() *everywhere {
	return &everywhere{most: knownMax, fakes: map[string]string{}, spelled: map[uint64][]spelled{}}
}

// add takes note of a secret.
func (e *everywhere) add(secret, fake string) {
	if _, known := e.fakes[secret]; known || !telling(secret) {
		return
	}
	e.fakes[secret], e.order = fake, append(e.order, secret)
	e.entered++
	for _, s := range spellings(secret, fake) {
		e.enter(s)
	}
	if len(e.order) > e.most {
		e.forget(e.order[0])
		e.order = e.order[1:]
	}
}

func (e *everywhere) enter(s spelled) {
	key := firstOf(s.secret)
	all := e.spelled[key]
	at := slices.IndexFunc(all, func(other spelled) bool { return len(other.secret) < len(s.secret) })
	if at < 0 {
		at = len(all)
	}
	e.spelled[key] = slices.Insert(all, at, s)
	bit := beginning(key)
	e.begins[bit/64] |= 1 << (bit % 64)
}

// forget is quick with the oldest, which stands before all of its length.
func (e *everywhere) forget(secret string) {
	fake, known := e.fakes[secret]
	if !known {
		return
	}
	for _, s := range spellings(secret, fake) {
		key := firstOf(s.secret)
		all := e.spelled[key]
		if len(all) == 1 {
			delete(e.spelled, key)
			continue
		}
		at := slices.Index(all, s)
		e.spelled[key] = slices.Delete(all, at, at+1)
	}
	delete(e.fakes, secret)
}

// firstOf is the first knownFrom bytes of a text that has so many.
func firstOf(text string) uint64 { return binary.LittleEndian.Uint64([]byte(text[:knownFrom])) }

// beginning is a hash of them.
func beginning(first uint64) uint64 { return first * 0x9e3779b97f4a7c15 >> 48 }

// telling says whether text is a secret by itself, and no word.
func telling(secret string) bool {
	if len(secret) < knownFrom {
		return false
	}
	mixed := strings.ToLower(secret) != secret && strings.ToUpper(secret[1:]) != secret[1:] && strings.ToLower(secret[1:]) != secret[1:]
	return mixed || strings.ContainsAny(secret, "0123456789") || len(secret) >= 2*knownFrom
}

// replace replaces them in a text, in all their spellings.
func (e *everywhere) replace(text string) string {
	if len(e.order) == 0 || len(text) < knownFrom {
		return text
	}
	var b strings.Builder
	kept := 0
	first := firstOf(text) << 8
	for i := 0; i+knownFrom <= len(text); {
		first = first>>8 | uint64(text[i+knownFrom-1])<<56
		bit := beginning(first)
		if e.begins[bit/64]&(1<<(bit%64)) == 0 {
			i++
			continue
		}
		s, found := e.at(first, text[i:])
		if !found {
			i++
			continue
		}
		b.WriteString(text[kept:i])
		b.WriteString(s.fake)
		i += len(s.secret)
		if kept = i; i+knownFrom <= len(text) {
			first = firstOf(text[i:]) << 8
		}
	}
	if kept == 0 {
		return text
	}
	return b.String() + text[kept:]
}

// at is the longest one that text begins with.
func (e *everywhere) at(first uint64, text string) (spelled, bool) {
	for _, s := range e.spelled[first] {
		if strings.HasPrefix(text, s.secret) {
			return s, true
		}
	}
	return spelled{}, false
}

// spellings are those of plain text, JSON, URLs, XML, UTF-16, hex, and base64 of a text in which a secret stands.
func spellings(secret, fake string) []spelled {
	all := []spelled{{secret, fake}}
	add := func(secret, fake string) {
		if s := (spelled{secret, fake}); len(secret) >= knownFrom && secret != fake && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for _, spell := range []func(string) string{
		url.QueryEscape, url.PathEscape, lowerQuery, lowerPath, inQuotes, inPlainQuotes, inPHPQuotes, inEscapes, inHex, inUpperHex, html.EscapeString,
		inUTF16(binary.LittleEndian), inUTF16(binary.BigEndian),
	} {
		add(spell(secret), spell(fake))
	}
	if len(secret) == len(fake) {
		for shift := range 3 {
			for _, coding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				add(inBase64(coding, secret, shift), inBase64(coding, fake, shift))
			}
		}
	}
	return all
}

// inQuotes is text as it stands inside of quotes in JSON.
func inQuotes(s string) string {
	quoted, err := stdjson.Marshal(s)
	if err != nil {
		return s
	}
	return string(quoted[1 : len(quoted)-1])
}

// inPlainQuotes is inQuotes without what Go alone escapes.
func inPlainQuotes(s string) string {
	return strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(inQuotes(s))
}

// inPHPQuotes is inPlainQuotes with what PHP escapes.
func inPHPQuotes(s string) string { return strings.ReplaceAll(inPlainQuotes(s), "/", `\/`) }

// inEscapes is text in quotes in JSON, each character of it escaped.
func inEscapes(s string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04x`, unit)
	}
	return b.String()
}

// inUTF16 is text in UTF-16, as some systems write it into logs and pages.
func inUTF16(order binary.AppendByteOrder) func(string) string {
	return func(s string) string {
		var b []byte
		for _, unit := range utf16.Encode([]rune(s)) {
			b = order.AppendUint16(b, unit)
		}
		return string(b)
	}
}

func lowerQuery(s string) string { return lowerPercent(url.QueryEscape(s)) }
func lowerPath(s string) string  { return lowerPercent(url.PathEscape(s)) }

// lowerPercent is text with its percent signs followed by small letters.
func lowerPercent(s string) string {
	before, rest, found := strings.Cut(s, "%")
	for found && len(rest) >= 2 {
		before += "%" + strings.ToLower(rest[:2])
		var part string
		part, rest, found = strings.Cut(rest[2:], "%")
		before += part
	}
	return before
}

func inHex(s string) string      { return hex.EncodeToString([]byte(s)) }
func inUpperHex(s string) string { return strings.ToUpper(inHex(s)) }

// inBase64 is what text gives in base64 whatever stands around it, so many bytes behind a multiple of three.
func inBase64(coding *base64.Encoding, text string, shift int) string {
	const bits = 6 // of a character
	all := coding.EncodeToString(append(make([]byte, shift), text...))
	return all[(8*shift+bits-1)/bits : 8*(shift+len(text))/bits]
}
