package tape

import (
	"bytes"
	"encoding/base64"
	stdjson "encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/hooktape/hooktape/relay/wire"
)

// The parts of HAR 1.2 that are used here (w3c.github.io/web-performance/specs/HAR/Overview.html). Names that begin with _
// are our own.

type harExchange struct {
	Started  string      `json:"startedDateTime"`
	Time     float64     `json:"time"` // milliseconds, as all of them
	Request  *harRequest `json:"request"`
	Response harResponse `json:"response"`
	Cache    struct{}    `json:"cache"`
	Timings  harTimings  `json:"timings"`
	Comment  string      `json:"comment,omitempty"`
	Hooktape *harFacts   `json:"_hooktape,omitempty"`
}

type harRequest struct {
	Method      string     `json:"method"`
	URL         string     `json:"url"`
	Version     string     `json:"httpVersion"`
	Cookies     []struct{} `json:"cookies"`
	Headers     []harPair  `json:"headers"`
	Query       []harPair  `json:"queryString"`
	Post        *harPost   `json:"postData,omitempty"`
	HeadersSize float64    `json:"headersSize"`
	BodySize    float64    `json:"bodySize"`
}

type harResponse struct {
	Status      int        `json:"status"`
	StatusText  string     `json:"statusText"`
	Version     string     `json:"httpVersion"`
	Cookies     []struct{} `json:"cookies"`
	Headers     []harPair  `json:"headers"`
	Content     harContent `json:"content"`
	Redirect    string     `json:"redirectURL"`
	HeadersSize float64    `json:"headersSize"`
	BodySize    float64    `json:"bodySize"`
}

type harPair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type harPost struct {
	Type     string    `json:"mimeType"`
	Params   []harPair `json:"params,omitempty"`
	Text     string    `json:"text"`
	Encoding string    `json:"encoding,omitempty"` // base64: HAR has none here, but some tools write it
	Comment  string    `json:"comment,omitempty"`
}

type harContent struct {
	Size     float64 `json:"size"`
	Type     string  `json:"mimeType"`
	Text     string  `json:"text,omitempty"`
	Encoding string  `json:"encoding,omitempty"` // base64
}

type harTimings struct {
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`
}

// harFacts are what HAR can't say.
type harFacts struct {
	ID       string   `json:"id,omitempty"`
	Time     Time     `json:"time"`
	Source   string   `json:"source,omitempty"`
	Path     string   `json:"source_path,omitempty"`
	Base     string   `json:"base,omitempty"`
	Via      string   `json:"via,omitempty"`
	Remote   string   `json:"remote,omitempty"`
	Event    string   `json:"event,omitempty"`
	Events   []string `json:"events,omitempty"`
	Trace    string   `json:"trace,omitempty"`
	Verdict  string   `json:"verdict,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Verified bool     `json:"verified,omitempty"`

	Outbound    bool `json:"outbound,omitempty"`
	Undelivered bool `json:"undelivered,omitempty"`
	// Own says that the response is hooktape's own, so that no replay is compared with it.
	Own bool `json:"own_response,omitempty"`
	// Request is the bytes as they were on the wire, where they can't be made of the rest: chunks, odd line ends.
	Request []byte `json:"request,omitempty"`
	// Truncated says that more came than was kept.
	Truncated bool `json:"truncated,omitempty"`
}

// harTime is a time of HAR: of more than six digits not every reader makes a time.
const harTime = "2006-01-02T15:04:05.000000Z"

func ms(d int64) float64 { return float64(d/1000) / 1000 }

// newHARExchange is a recording as HAR shows it. It must be a request.
func newHARExchange(r *Recording) (*harExchange, error) {
	raw, err := r.Request.inMemory()
	if err != nil {
		return nil, err
	}
	m := openMessage(raw, min(r.HeadSize, len(raw)), "")
	x := &harExchange{
		Started: r.Time.UTC().Format(harTime),
		Request: &harRequest{
			Method: r.Method, URL: harURL(r), Version: r.Proto, Cookies: []struct{}{}, Headers: pairsOf(m.fields), Query: queryOf(r.Target),
			HeadersSize: float64(len(m.head)), BodySize: float64(len(m.raw)),
		},
		Response: harResponse{Version: r.Proto, Cookies: []struct{}{}, Headers: []harPair{}, HeadersSize: -1, BodySize: -1},
		Hooktape: &harFacts{
			ID: r.ID, Time: r.Time, Source: r.Source, Path: r.Path, Base: r.Base, Via: r.Via, Remote: r.Remote, Event: r.Event, Events: r.Events,
			Trace: r.Trace, Verdict: r.Verdict, Reason: r.Reason, Verified: r.Verified, Truncated: r.Truncated,
			Outbound: r.Outbound, Undelivered: r.Undelivered, Own: r.Answer != nil && r.Answer.FromAttempt == 0,
		},
	}
	if len(m.raw) > 0 {
		x.Request.Post = newHARPost(m)
	}
	if !utf8.ValidString(m.head) || !bytes.Equal(x.Request.bytes(), raw) {
		x.Hooktape.Request = raw
	}
	if a := r.Answer; a != nil {
		x.Time, x.Timings.Wait = ms(a.Duration), ms(a.Duration)
		x.Response, err = newHARResponse(a, methodOf(r))
	}
	return x, err
}

// nowhere is the host in URLs of requests that named none, or what is none: nobody has it (RFC 6761).
const nowhere = "host.invalid"

// harURL is where a request went. HAR wants a URL there, and readers want a host in it that may be one: over a single other
// one mitmproxy refuses the file.
func harURL(r *Recording) string {
	uri := r.uri()
	if u, err := url.Parse(uri); err == nil && mayBeHost(u.Host) {
		return uri
	}
	scheme, host := "http://", nowhere
	if r.TLS {
		scheme = "https://"
	}
	if mayBeHost(r.Host) {
		host = r.Host
	}
	return cleanURI(scheme + host + "/" + strings.TrimPrefix(r.Target, "/"))
}

var hostPattern = regexp.MustCompile(`^(?:([A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*)\.?|\[([0-9A-Fa-f:.]+)\])(?::([0-9]+))?$`)

// mayBeHost says whether a text is the name or address of a host, and a port where there is one.
func mayBeHost(text string) bool {
	found := hostPattern.FindStringSubmatch(text)
	if found == nil || len(text) > 255 {
		return false
	}
	for label := range strings.SplitSeq(found[1], ".") {
		coded := strings.HasPrefix(strings.ToLower(label), "xn--")
		if name, err := idna.Lookup.ToUnicode(label); coded && (err != nil || name == "") {
			return false // RFC 5891 section 5.4; other readers give up the whole file
		}
	}
	address, port := found[2], found[3]
	if ip, err := netip.ParseAddr(address); address != "" && (err != nil || !ip.Is6()) {
		return false
	}
	_, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil
}

// newHARPost is a body as postData. It has no encoding there: what is no text is said to be base64 in the words that other
// tools have for it, and in a comment for people.
func newHARPost(m *message) *harPost {
	kind, _ := m.fields.Get("Content-Type")
	p := &harPost{Type: kind}
	coded := decodedBody(m)
	if utf8.Valid(coded) {
		p.Text = string(coded)
	} else {
		p.Text, p.Encoding, p.Comment = base64.StdEncoding.EncodeToString(coded), "base64", "not text: the bytes in base64"
	}
	return p
}

func newHARResponse(a *Answer, method string) (harResponse, error) {
	raw, err := a.Response.inMemory()
	if err != nil {
		return harResponse{}, err
	}
	m := openMessage(raw, min(a.HeadSize, len(raw)), method)
	kind, _ := m.fields.Get("Content-Type")
	redirect, _ := m.fields.Get("Location")
	version, _, _ := strings.Cut(m.head, " ")
	shown := harResponse{
		Status: a.Status, StatusText: http.StatusText(a.Status), Version: version, Cookies: []struct{}{}, Headers: pairsOf(m.fields),
		Content:  harContent{Size: float64(len(m.body)), Type: kind},
		Redirect: redirect, HeadersSize: float64(len(m.head)), BodySize: float64(len(m.raw)),
	}
	if utf8.Valid(m.body) {
		shown.Content.Text = string(m.body)
	} else {
		shown.Content.Text, shown.Content.Encoding = base64.StdEncoding.EncodeToString(m.body), "base64"
	}
	return shown, nil
}

func pairsOf(fields wire.Fields) []harPair {
	pairs := make([]harPair, len(fields))
	for i, f := range fields {
		pairs[i] = harPair(f)
	}
	return pairs
}

func queryOf(target string) []harPair {
	pairs := []harPair{}
	_, query, _ := strings.Cut(target, "?")
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if pair != "" {
			pairs = append(pairs, harPair{unescaped(name), unescaped(value)})
		}
	}
	return pairs
}

func unescaped(s string) string {
	if text, err := url.QueryUnescape(s); err == nil {
		return text
	}
	return s
}

// bytesOf is a text of HAR as bytes. Some tools write a character for each byte of what is no text: then it has controls, and
// its size is that of so many characters.
func bytesOf(text string, size float64) []byte {
	latin1, controls := make([]byte, 0, len(text)), false
	for _, c := range text {
		if c > 0xff {
			return []byte(text)
		}
		controls = controls || unicode.IsControl(c) && !unicode.IsSpace(c)
		latin1 = append(latin1, byte(c))
	}
	if !controls || len(latin1) == len(text) || float64(len(latin1)) != size {
		return []byte(text)
	}
	return latin1
}

// bytes is the body that postData tells.
func (p *harPost) bytes(size float64) []byte {
	switch {
	case p == nil:
		return nil
	case p.Encoding == "base64":
		if b, err := base64.StdEncoding.DecodeString(p.Text); err == nil {
			return b
		}
	case p.Text == "" && len(p.Params) > 0:
		var pairs []string
		for _, param := range p.Params {
			pairs = append(pairs, url.QueryEscape(param.Name)+"="+url.QueryEscape(param.Value))
		}
		return []byte(strings.Join(pairs, "&"))
	}
	return bytesOf(p.Text, size)
}

// bytes is the request as it was on the wire, as far as HAR tells.
func (q *harRequest) bytes() []byte {
	target, host := q.URL, ""
	if u, err := url.Parse(q.URL); err == nil && u.Host != "" {
		host = u.Host
		if _, behind, ok := strings.Cut(q.URL, "://"); ok {
			target = behind[min(len(behind), strings.IndexAny(behind+"/", "/?#")):]
		}
		target, _, _ = strings.Cut(target, "#")
		if !strings.HasPrefix(target, "/") {
			target = "/" + target
		}
	}
	version := "HTTP/1.1"
	if q.Version == "HTTP/1.0" {
		version = q.Version
	}
	head := harHead{first: q.Method + " " + target + " " + version, pairs: q.Headers, body: q.Post.bytes(q.BodySize), host: host, http11: version == "HTTP/1.1"}
	return head.bytes()
}

// bytes is the response as it was on the wire, as far as HAR tells: without the codings that its content was freed of.
func (p *harResponse) bytes() []byte {
	body := bytesOf(p.Content.Text, p.Content.Size)
	if p.Content.Encoding == "base64" {
		if b, err := base64.StdEncoding.DecodeString(p.Content.Text); err == nil {
			body = b
		}
	}
	text := p.StatusText
	if text == "" {
		text = http.StatusText(p.Status)
	}
	head := harHead{first: strings.TrimSpace("HTTP/1.1 " + strconv.Itoa(p.Status) + " " + text), pairs: p.Headers, body: body, response: true}
	return head.bytes()
}

// harHead makes a message.
type harHead struct {
	first    string
	pairs    []harPair
	body     []byte
	host     string // where no field says it
	http11   bool
	response bool
}

func (h harHead) bytes() []byte {
	var b bytes.Buffer
	b.WriteString(oneLine(h.first) + "\r\n")
	length, host := false, !h.http11
	for _, p := range h.pairs {
		name := strings.ToLower(p.Name)
		switch {
		case name == "" || name[0] == ':', strings.ContainsAny(p.Name, "\r\n: "): // HTTP/2 has the first line in such fields
			continue
		case name == "transfer-encoding", name == "content-encoding" && h.uncoded():
			continue // HAR has the body without it
		case name == "content-length":
			p.Value = strconv.Itoa(len(h.body))
			if length {
				continue
			}
			length = true
		case name == "host":
			host = true
		}
		b.WriteString(p.Name + ": " + strings.NewReplacer("\r", " ", "\n", " ").Replace(p.Value) + "\r\n")
	}
	if !host && !h.response {
		b.WriteString("Host: " + h.host + "\r\n")
	}
	if !length && (len(h.body) > 0 || h.response) {
		b.WriteString("Content-Length: " + strconv.Itoa(len(h.body)) + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(h.body)
	return b.Bytes()
}

// uncoded says whether the body is without its content coding: always in responses, and in a request unless it looks coded.
func (h harHead) uncoded() bool {
	return h.response || utf8.Valid(h.body) && stdjson.Valid(h.body)
}

// recording is what an exchange says. Of a HAR file of ours it says a little more.
func (x *harExchange) recording() (*Recording, error) {
	if x.Request == nil || x.Request.Method == "" || x.Request.URL == "" {
		return nil, errNoExchange
	}
	started, _ := time.Parse(time.RFC3339Nano, x.Started) // without a time it is imported all the same
	r := &Recording{URL: x.Request.URL, Time: Time{started.UTC()}, Request: Bytes(x.Request.bytes())}
	if hostOf(r.URL) == nowhere {
		r.URL = "" // it is none
	}
	if x.Hooktape != nil && x.Hooktape.Request != nil {
		r.Request = Bytes(x.Hooktape.Request)
	}
	if x.Response.Status > 0 {
		duration := int64(x.Time * 1e6)
		if duration < 0 || x.Time > 1e12 {
			duration = 0
		}
		r.Answer = &Answer{Status: x.Response.Status, Duration: duration, Time: Time{started.Add(time.Duration(duration)).UTC()}, Response: Bytes(x.Response.bytes())}
		if x.Response.Content.Text == "" && x.Response.Content.Size > 0 {
			r.Answer.Error = "the file does not have its body"
		}
	}
	if err := r.examine(); err != nil {
		return nil, err
	}
	if f := x.Hooktape; f != nil {
		r.ID, r.Source, r.Path, r.Base, r.Via, r.Remote = f.ID, f.Source, f.Path, f.Base, f.Via, f.Remote
		r.Event, r.Events, r.Trace, r.Truncated, r.Verified = f.Event, f.Events, f.Trace, f.Truncated, f.Verified
		r.Outbound, r.Undelivered, r.Known = f.Outbound, f.Undelivered, true
		if f.Own && r.Answer != nil {
			r.Attempts, r.Answer.FromAttempt = nil, 0
		}
		if !f.Time.IsZero() {
			r.Time = f.Time
		}
		if f.Verdict != "" {
			r.Verdict, r.Reason = f.Verdict, f.Reason
		}
	}
	return r, nil
}
