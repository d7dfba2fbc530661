package tape

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/hooktape/hooktape/relay/mask"
)

// Masker replaces the secrets of recordings by fakes of the same length and form: those that mask.Names tells, wherever
// they stand, and what chosen paths lead to. Lengths are made to fit. Requests that were verified are signed with a secret
// that is made for the file, where their provider's scheme can do that.
//
// The same secret has the same fake in all recordings of one Masker, and once it was seen, it is replaced wherever it
// stands in what comes later, too. It is one goroutine's at a time.
type Masker struct {
	names   mask.Names
	key     []byte
	fakes   *mask.Fakes
	paths   []maskPath
	known   *everywhere
	stay    *everywhere       // fakes of what is a fake already, and what that is
	found   map[string]string // fakes of the secrets of the recording at hand, short ones too
	sources map[string]*SignedSource

	// Unread counts bodies that can't be looked into: binary, encrypted, or in an unknown coding.
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
	m := &Masker{names: names, key: key, known: newEverywhere(), stay: newEverywhere(), found: map[string]string{}, sources: sources, Unsigned: map[string]error{}}
	m.fakes = mask.NewFakes(names, key, m.add)
	for _, p := range paths {
		m.paths = append(m.paths, maskPath(p))
	}
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

// Mask is r without its secrets. What it returns has its own bytes.
func (m *Masker) Mask(r *Recording) (*Recording, error) {
	clear(m.found)
	masked := *r
	masked.Events = slices.Clone(r.Events)
	masked.Attempts = append([]Attempt(nil), r.Attempts...)
	masked.Deliveries = append([]Delivery(nil), r.Deliveries...)
	request, err := m.open(r.Request, r.HeadSize, "")
	if err != nil {
		return nil, err
	}
	all := []*opened{request}
	method := methodOf(r)
	if r.Answer != nil {
		answer := *r.Answer
		masked.Answer = &answer
		o, err := m.open(answer.Response, answer.HeadSize, method)
		if err != nil {
			return nil, err
		}
		o.done = func(b []byte, headSize int) { answer.Response, answer.HeadSize = Bytes(b), headSize }
		all = append(all, o)
	}
	for i := range masked.Attempts {
		some, err := m.openAttempt(&masked.Attempts[i], method)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	m.facts(&masked) // all secrets are found now
	for _, o := range all[1:] {
		if err := o.finish(m); err != nil {
			return nil, err
		}
	}
	return &masked, m.finishRequest(&masked, request)
}

func methodOf(r *Recording) string {
	if r.Method == "" {
		return "GET" // of which a response may have a body
	}
	return r.Method
}

// finishRequest puts the request together, signs it, and says of the recording what is so now.
func (m *Masker) finishRequest(r *Recording, request *opened) error {
	before := request.message.head
	request.done = func(b []byte, headSize int) { r.Request, r.HeadSize = Bytes(b), headSize }
	if err := request.replace(m); err != nil {
		return err
	}
	if r.Verified && r.Whole() {
		m.sign(r, request.message)
	}
	if err := request.build(); err != nil {
		return err
	}
	if r.HeadSize > 0 && request.message.head != before {
		r.Target = targetOf(request.message.head)
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

// opened is a message that is being masked.
type opened struct {
	*message
	done func(b []byte, headSize int)
}

// open takes a block apart and finds its secrets.
func (m *Masker) open(b Block, headSize int, method string) (*opened, error) {
	if b.Size > openMax {
		return nil, errTooLargeToMask
	}
	all, err := b.ReadAll()
	if err != nil {
		return nil, err
	}
	o := &opened{message: openMessage(all, min(headSize, len(all)), method)}
	o.head = m.head(o.head)
	if headSize == 0 { // lines of it may be fields
		o.raw = []byte(m.head(string(o.raw)))
		o.body = o.raw
	}
	kind, _ := o.fields.Get("Content-Type")
	body := m.fakes.Body(kind, o.body)
	if o.chunked {
		before, behind := trailers(o.raw)
		o.raw = append(bytes.Clone(before), m.trailers(behind)...)
	}
	for _, p := range m.paths {
		body = p.body(m.fakes, kind, body)
	}
	o.set(body)
	if o.opaque && len(o.body) > 0 {
		m.Unread++
	}
	return o, nil
}

// head masks a head.
func (m *Masker) head(head string) string {
	head = m.fakes.Head(head)
	for _, p := range m.paths {
		head = p.head(m.fakes, head)
	}
	return head
}

// target masks a target or URL.
func (m *Masker) target(target string) string {
	target = m.fakes.Target(target)
	for _, p := range m.paths {
		target = p.target(m.fakes, target)
	}
	return target
}

// trailers masks trailer fields.
func (m *Masker) trailers(raw []byte) []byte {
	const line = "HTTP/1.1 200\r\n" // no field
	return []byte(strings.TrimPrefix(m.head(line+string(raw)), line))
}

// finish puts a message together.
func (o *opened) finish(m *Masker) error {
	if err := o.replace(m); err != nil {
		return err
	}
	return o.build()
}

// replace replaces known secrets wherever they stand.
func (o *opened) replace(m *Masker) error {
	o.head = m.replace(o.head)
	body := o.body
	if o.newBody != nil {
		body = o.newBody
	}
	o.set([]byte(m.replace(string(body))))
	if o.chunked {
		before, behind := trailers(o.raw)
		o.raw = append(bytes.Clone(before), m.replace(string(behind))...)
	}
	return nil
}

func (o *opened) build() error {
	all, err := o.bytes()
	if err == nil {
		o.done(all, len(o.head))
	}
	return err
}

// openAttempt takes apart what an attempt sent, and what came back.
func (m *Masker) openAttempt(a *Attempt, method string) (all []*opened, err error) {
	a.URL = m.target(a.URL)
	a.Head = []byte(m.head(string(a.Head)))
	if a.Sent != nil {
		sent, err := m.openSent(a)
		if err != nil {
			return nil, err
		}
		all = append(all, sent)
	}
	response, err := m.open(a.Response, a.HeadSize, method)
	if err != nil {
		return nil, err
	}
	response.done = func(b []byte, headSize int) { a.Response, a.HeadSize = Bytes(b), headSize }
	return append(all, response), nil
}

// openSent takes the body apart that an attempt sent in the place of the recorded one.
func (m *Masker) openSent(a *Attempt) (*opened, error) {
	body, err := a.Sent.ReadAll()
	if err != nil {
		return nil, err
	}
	sent, err := m.open(Bytes(append(bytes.Clone(a.Head), body...)), len(a.Head), "")
	if err != nil {
		return nil, err
	}
	sent.done = func(b []byte, headSize int) {
		block := Bytes(b[headSize:])
		a.Head, a.Sent = b[:headSize], &block
	}
	return sent, nil
}

// facts masks what is known beside the bytes.
func (m *Masker) facts(r *Recording) {
	r.URL = m.replace(m.target(r.URL))
	r.Target, r.Path, r.Base = m.replace(m.target(r.Target)), m.replace(m.target(r.Path)), m.replace(m.target(r.Base))
	texts := []*string{&r.Reason, &r.Trace, &r.Event, &r.Host}
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

// fact is a fact without secrets. One that is a secret of the recording itself was taken from there, however short it is.
func (m *Masker) fact(text string) string {
	if fake, ok := m.found[text]; ok {
		return fake
	}
	return m.replace(text)
}

// secretOf is the secret that is made for a source: the same for the whole file.
func (m *Masker) secretOf(source string) []byte {
	mac := hmac.New(sha256.New, m.key)
	mac.Write([]byte("test secret of " + source))
	return mac.Sum(nil)
}
