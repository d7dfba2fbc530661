package tape

import (
	stdjson "encoding/json"
	"net/url"
	"strings"
)

const (
	// knownMax is how many secrets are looked for in everything that comes, the latest ones.
	knownMax = 2048
	// knownFrom is how long a secret is at least that is looked for where no name tells of it: shorter ones are words and
	// numbers that mean something else elsewhere.
	knownFrom = 8
)

// everywhere replaces secrets wherever they stand: an app may echo a token, a log line may quote it.
type everywhere struct {
	fakes    map[string]string
	order    []string
	replacer *strings.Replacer // nil: it must be made
}

func newEverywhere() *everywhere { return &everywhere{fakes: map[string]string{}} }

// add takes note of a secret.
func (e *everywhere) add(secret, fake string) {
	if _, known := e.fakes[secret]; known || !telling(secret) {
		return
	}
	if e.fakes[secret], e.order, e.replacer = fake, append(e.order, secret), nil; len(e.order) > knownMax {
		delete(e.fakes, e.order[0])
		e.order = e.order[1:]
	}
}

// telling says whether text is a secret by itself, and no word.
func telling(secret string) bool {
	if len(secret) < knownFrom {
		return false
	}
	mixed := strings.ToLower(secret) != secret && strings.ToUpper(secret[1:]) != secret[1:] && strings.ToLower(secret[1:]) != secret[1:]
	return mixed || strings.ContainsAny(secret, "0123456789") || len(secret) >= 2*knownFrom
}

// replace replaces them in a text, in the spellings of plain text, JSON and URLs.
func (e *everywhere) replace(text string) string {
	if len(e.order) == 0 || text == "" {
		return text
	}
	if e.replacer == nil {
		var pairs []string
		for _, secret := range e.order {
			pairs = appendSpellings(pairs, secret, e.fakes[secret])
		}
		e.replacer = strings.NewReplacer(pairs...)
	}
	return e.replacer.Replace(text)
}

func appendSpellings(pairs []string, secret, fake string) []string {
	pairs = append(pairs, secret, fake)
	for _, spell := range []func(string) string{url.QueryEscape, url.PathEscape, inQuotes} {
		if spelled := spell(secret); spelled != secret {
			pairs = append(pairs, spelled, spell(fake))
		}
	}
	return pairs
}

// inQuotes is text as it stands inside of quotes in JSON.
func inQuotes(s string) string {
	quoted, err := stdjson.Marshal(s)
	if err != nil {
		return s
	}
	return string(quoted[1 : len(quoted)-1])
}
