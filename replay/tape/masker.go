package tape

import (
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hooktape/hooktape/relay/mask"
)

// Masker replaces the secrets of recordings by fakes of the same length and form: those that mask.Names tells, wherever
// they stand, and what chosen paths lead to. Lengths are made to fit. Requests that were verified are signed with a secret
// that is made for the file, where their provider's scheme can do that.
//
// The same secret has the same fake in all recordings of one Masker, and once it was seen, it is replaced wherever it
// stands in what comes later, too, and with LookAhead in what came before. It is one goroutine's at a time, and must be closed.
type Masker struct {
	hiding
	names   mask.Names
	key     []byte
	known   *everywhere
	stay    *everywhere       // fakes of what is a fake already, and what that is
	found   map[string]string // fakes of the secrets of the recording at hand, short ones too
	sources map[string]*SignedSource
	scratch scratch
	ahead   *ahead // nil: nothing tells what comes
	// together is how many bytes the messages of a recording have that are in memory at once.
	together int64
	apart    bool // the messages of the recording at hand are not in memory together

	// Unread counts bodies that can't be looked into: binary ones, of which what is known is replaced, and those in a
	// coding that can't be undone, which are replaced whole.
	Unread int
	// Unsigned says of sources why their requests could not be signed.
	Unsigned map[string]error
}

// SignedSource is a source whose requests are signed by its sender.
type SignedSource struct {
	Provider  string
	Params    map[string]string
	PublicURL string // scheme and host as its sender has them; "": those of the request
	Path      string

	signing Signing // with the secret that was made; zero: none was needed yet
}

// NewMasker makes a Masker with a key that nobody else has. names are hidden beside the defaults, and so is what paths lead
// to (see ParseMaskPath). Sources that are not given are not signed.
func NewMasker(key []byte, names mask.Names, paths []MaskPath, sources map[string]*SignedSource) *Masker {
	m := &Masker{
		names: names, key: key, known: newEverywhere(), stay: newEverywhere(), found: map[string]string{}, sources: sources, together: togetherMax,
		Unsigned: map[string]error{},
	}
	m.hiding = newHiding(mask.NewFakes(names, key, m.add), paths)
	return m
}

// Hidden are the rules that it masks by.
func (m *Masker) Hidden() *Hidden {
	h := &Hidden{Names: m.names}
	for _, p := range m.paths {
		h.Paths = append(h.Paths, p.text)
	}
	return h
}

// add takes note of a secret.
func (m *Masker) add(secret, fake string) {
	m.found[secret] = fake
	m.known.add(secret, fake)
}

// replace replaces known secrets wherever they stand in a text.
func (m *Masker) replace(text string) string { return m.stay.replace(m.known.replace(text)) }

// Signing is what the requests so far were signed with.
func (m *Masker) Signing() (all []Signing) {
	for _, s := range m.sources {
		if s.signing.Secret != "" {
			all = append(all, s.signing)
		}
	}
	return all
}

// Mask is r without its secrets. What it returns has its own bytes, which can be read until the next call. An error that
// wraps a *TooLarge is about this recording alone.
func (m *Masker) Mask(r *Recording) (*Recording, error) {
	if err := m.lookAhead(r); err != nil {
		return nil, err
	}
	clear(m.found)
	m.scratch.clear()
	m.apart = r.messages() > m.together
	masked := *r
	masked.Events = slices.Clone(r.Events)
	masked.Attempts = append([]Attempt(nil), r.Attempts...)
	masked.Deliveries = append([]Delivery(nil), r.Deliveries...)
	request, err := m.open(r.Request, r.HeadSize, "")
	if err != nil {
		return nil, err
	}
	var others []*opened
	method := methodOf(r)
	if r.Answer != nil {
		answer := *r.Answer
		masked.Answer = &answer
		o, err := m.open(answer.Response, answer.HeadSize, method)
		if err != nil {
			return nil, err
		}
		o.done = func(b Block, headSize int) { answer.Response, answer.HeadSize = b, headSize }
		others = append(others, o)
	}
	for i := range masked.Attempts {
		some, err := m.openAttempt(&masked.Attempts[i], method)
		if err != nil {
			return nil, err
		}
		others = append(others, some...)
	}
	m.facts(&masked) // all secrets are found now
	for _, o := range others {
		if err := o.finish(); err != nil {
			return nil, err
		}
	}
	return &masked, m.finishRequest(&masked, request)
}

// messages is how many bytes all messages of a recording have.
func (r *Recording) messages() int64 {
	size := r.Size()
	for i := range r.Attempts {
		if sent := r.Attempts[i].Sent; sent != nil {
			size += sent.Size
		}
	}
	return size
}

// Close deletes what was kept on the disk.
func (m *Masker) Close() error {
	if m.ahead != nil {
		m.ahead.stop()
	}
	return m.scratch.Close()
}

func methodOf(r *Recording) string {
	if r.Method == "" {
		return "GET" // of which a response may have a body
	}
	return r.Method
}

// finishRequest puts the request together, signs it, and says of the recording what is so now.
func (m *Masker) finishRequest(r *Recording, request *opened) error {
	if err := request.again(); err != nil {
		return err
	}
	before := request.head
	request.done = func(b Block, headSize int) { r.Request, r.HeadSize = b, headSize }
	if err := request.replace(); err != nil {
		return err
	}
	for i := range r.Attempts {
		if a := &r.Attempts[i]; a.Sent == nil {
			a.Head = request.refit(a.Head)
		}
	}
	if r.Verified && r.Whole() {
		m.sign(r, request.message)
	}
	after := request.head
	if err := request.build(); err != nil {
		return err
	}
	if r.HeadSize > 0 && after != before {
		r.Target = targetOf(after)
	}
	if r.BodySize > 0 && r.Whole() {
		check := &Recording{Request: r.Request}
		if err := check.examine(); err == nil && check.Verdict == "accepted" {
			r.BodySize = check.BodySize
		}
	}
	return nil
}

func targetOf(head string) string {
	line, _, _ := strings.Cut(head, "\n")
	_, rest, _ := strings.Cut(line, " ")
	target, _, _ := strings.Cut(rest, " ")
	return target
}

// facts masks what is known beside the bytes.
func (m *Masker) facts(r *Recording) {
	r.URL = m.replace(m.target(r.URL))
	r.Target, r.Path, r.Base = m.replace(m.target(r.Target)), m.replace(m.target(r.Path)), m.replace(m.target(r.Base))
	texts := []*string{&r.Reason, &r.Trace, &r.Event, &r.Host, &r.Remote, &r.Proxy}
	for i := range r.Events {
		texts = append(texts, &r.Events[i])
	}
	if r.Answer != nil {
		texts = append(texts, &r.Answer.Error)
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		texts = append(texts, &a.URL, &a.Error, &a.Finding)
		a.Head = []byte(m.replace(string(a.Head)))
	}
	for i := range r.Deliveries {
		d := &r.Deliveries[i]
		texts = append(texts, &d.Key, &d.Error, &d.Finding)
	}
	for _, text := range texts {
		*text = m.fact(*text)
	}
}

// fact is a fact without secrets. What of it is a secret of the recording itself was taken from there, however short it is.
func (m *Masker) fact(text string) string {
	if fake, ok := m.found[text]; ok {
		return fake
	}
	return m.words(m.replace(text), isBlank, func(word string) string { return m.words(word, isPunctuation, nil) })
}

// words is text in whose words, parted as separates says, secrets of the recording are replaced, and others by otherwise.
func (m *Masker) words(text string, separates func(rune) bool, otherwise func(string) string) string {
	var b strings.Builder
	for rest := text; rest != ""; {
		n := strings.IndexFunc(rest, separates)
		if n < 0 {
			n = len(rest)
		}
		word := rest[:n]
		if fake, ok := m.found[word]; ok && len(word) > 1 {
			word = fake
		} else if otherwise != nil {
			word = otherwise(word)
		}
		b.WriteString(word)
		if rest = rest[n:]; rest != "" {
			_, size := utf8.DecodeRuneInString(rest)
			b.WriteString(rest[:size])
			rest = rest[size:]
		}
	}
	return b.String()
}

func isBlank(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("\"'`,;()", r) }

func isPunctuation(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// secretOf is the secret that is made for a source: the same for the whole file.
func (m *Masker) secretOf(source string) []byte {
	mac := hmac.New(sha256.New, m.key)
	mac.Write([]byte("test secret of " + source))
	return mac.Sum(nil)
}
