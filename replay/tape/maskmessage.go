package tape

import (
	"bytes"
	"strings"
)

// togetherMax is how many bytes the messages of a recording have that are masked in memory side by side. Of more, one at a
// time is taken apart: once to find its secrets, and once more to replace them, when those of all are known.
const togetherMax = 32 << 20

// opened is a message that is being masked.
type opened struct {
	*message // nil: it is not in memory now
	masker   *Masker
	from     Block
	headSize int
	method   string
	done     func(b Block, headSize int)
	digests  []*redigest // of the body as it was, by those of the body as it is
}

// open takes a block apart and finds its secrets. method is that of the request of a response, else "".
func (m *Masker) open(b Block, headSize int, method string) (*opened, error) {
	o := &opened{masker: m, from: b, headSize: headSize, method: method}
	if err := o.again(); err != nil {
		return nil, err
	}
	if o.opaque && len(o.body) > 0 {
		m.Unread++
	}
	if m.apart {
		o.message = nil
	}
	return o, nil
}

// again takes the message apart, unless it is, and masks what names tell.
func (o *opened) again() error {
	if o.message != nil {
		return nil
	}
	all, err := o.from.inMemory()
	if err != nil {
		return err
	}
	m := o.masker
	o.message = openMessage(all, min(o.headSize, len(all)), o.method)
	if o.headSize == 0 {
		o.headless()
	}
	o.head = m.head(o.head)
	kind, _ := o.fields.Get("Content-Type")
	body := m.body(kind, o.body)
	if o.chunked {
		before, behind, whole := trailers(o.raw)
		if whole {
			behind = m.trailers(behind)
		} else {
			behind = m.body(kind, behind)
		}
		o.raw = append(bytes.Clone(before), behind...)
	}
	if o.sealed {
		body = []byte(m.fakes.Bytes(string(o.body)))
	}
	o.set(body)
	return nil
}

// headless takes for a head what looks like one, though it is none: its lines may be fields.
func (o *opened) headless() {
	if len(o.raw) > 0 && strings.IndexByte("{[<", o.raw[0]) >= 0 {
		return
	}
	end := len(o.raw)
	for _, blank := range []string{"\n\r\n", "\n\n"} {
		if i := bytes.Index(o.raw, []byte(blank)); i >= 0 {
			end = min(end, i+len(blank))
		}
	}
	o.head, o.raw = string(o.raw[:end]), o.raw[end:]
	o.body = o.raw
}

// finish puts a message together.
func (o *opened) finish() error {
	if err := o.again(); err != nil {
		return err
	}
	if err := o.replace(); err != nil {
		return err
	}
	return o.build()
}

// replace replaces known secrets wherever they stand.
func (o *opened) replace() error {
	m := o.masker
	o.head = m.replace(o.head)
	body := o.body
	if o.newBody != nil {
		body = o.newBody
	}
	o.set([]byte(m.replace(string(body))))
	if o.chunked {
		before, behind, _ := trailers(o.raw)
		o.raw = append(bytes.Clone(before), m.replace(string(behind))...)
	}
	return o.encode()
}

// encode puts a body that was changed into its coding, and makes the digests that the message tells fit.
func (o *opened) encode() error {
	if o.newBody == nil {
		return nil
	}
	was := decodedBody(o.message)
	coded, err := recoded(o.coded, o.newBody)
	if err != nil {
		return err
	}
	o.digests = []*redigest{{was: was, is: coded}}
	if o.coded != "" {
		o.digests = append(o.digests, &redigest{was: o.body, is: o.newBody})
	}
	for _, d := range o.digests {
		o.head = d.replace(o.head)
		if o.chunked {
			before, behind, _ := trailers(o.raw)
			o.raw = append(bytes.Clone(before), d.replace(string(behind))...)
		}
	}
	o.newBody, o.coded = coded, "" // once coded, it stays as it is
	return nil
}

// refit makes the head of an attempt fit, which sent the same body.
func (o *opened) refit(head []byte) []byte {
	if o.newBody == nil {
		return head
	}
	text := string(head)
	for _, d := range o.digests {
		text = d.replace(text)
	}
	if !o.chunked {
		text = withLength(text, len(o.raw), len(o.newBody))
	}
	return []byte(text)
}

// build gives what the message is now.
func (o *opened) build() error {
	all, err := o.bytes()
	if err != nil {
		return err
	}
	b := Bytes(all)
	if o.masker.apart {
		if b, err = o.masker.scratch.keep(bytes.NewReader(all), b.Size); err != nil {
			return err
		}
	}
	headSize := len(o.head)
	if o.headSize == 0 {
		headSize = 0
	}
	o.done(b, headSize)
	o.message = nil
	return nil
}

// trailers masks trailer fields.
func (m *Masker) trailers(raw []byte) []byte {
	const line = "HTTP/1.1 200\r\n" // no field
	return []byte(strings.TrimPrefix(m.head(line+string(raw)), line))
}

// openAttempt takes apart what an attempt sent, and what came back.
func (m *Masker) openAttempt(a *Attempt, method string) (all []*opened, err error) {
	a.URL = m.target(a.URL)
	if a.Sent != nil {
		sent, err := m.openSent(a)
		if err != nil {
			return nil, err
		}
		all = append(all, sent)
	}
	a.Head = []byte(m.head(string(a.Head)))
	response, err := m.open(a.Response, a.HeadSize, method)
	if err != nil {
		return nil, err
	}
	response.done = func(b Block, headSize int) { a.Response, a.HeadSize = b, headSize }
	return append(all, response), nil
}

// openSent takes apart what an attempt sent whose body is not the recorded one.
func (m *Masker) openSent(a *Attempt) (*opened, error) {
	sent, err := m.open(joined(Bytes(a.Head), *a.Sent), len(a.Head), "")
	if err != nil {
		return nil, err
	}
	sent.done = func(b Block, headSize int) {
		a.Head, _ = b.Start(int64(headSize))
		body := behindHead(b, headSize)
		a.Sent = &body
	}
	return sent, nil
}
