package relay

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// ackMax bounds the body of an ack, in bytes: it goes into the transaction of its record.
const ackMax = 256 << 10

// ack is the first of the source's whose "when" holds. One that fails does not.
func (r *reception) ack() config.Ack {
	for _, ack := range r.src.Acks {
		if ack.When == nil {
			return ack
		}
		holds, err := ack.When.Bool(r.view)
		r.failed(ack.When, err)
		if holds {
			return ack
		}
	}
	return config.DefaultAck()
}

// readAhead reads what the body of an ack may need of the request. Once the record has its id the store must not be
// asked any more: its committer waits for the answer.
func (r *reception) readAhead(ack config.Ack) {
	if ack.Body != nil || len(ack.Headers) > 0 {
		_, _ = r.view.Body() // an error shows again where the body is used
	}
}

// acknowledgement is the answer of an ack.
func (r *reception) acknowledgement(ack config.Ack) wire.Answer {
	fields, err := ack.Fields(r.view)
	if err != nil {
		r.warn(r.src.Name, "the headers of an ack", err)
	}
	a := wire.Answer{Status: ack.Status, Fields: fields}
	if ack.Body == nil {
		return a
	}
	a.Body, err = ack.Body.Bytes(r.view)
	if err == nil && len(a.Body) > ackMax {
		a.Body, err = nil, fmt.Errorf("it gives %d bytes, an ack has at most %d", len(a.Body), ackMax)
	}
	r.failed(ack.Body, err)
	a.Fields = withContentType(a.Fields, a.Body)
	return a
}

// withContentType says what a body is, where the fields do not.
func withContentType(fields wire.Fields, body []byte) wire.Fields {
	if _, given := fields.Get("Content-Type"); given || len(body) == 0 {
		return fields
	}
	return append(fields, wire.Field{Name: "Content-Type", Value: contentType(body)})
}

// contentType guesses what an ack's body is, so that nobody has to say what everybody sees.
func contentType(body []byte) string {
	switch body = bytes.TrimSpace(body); {
	case len(body) > 0 && (body[0] == '{' || body[0] == '['):
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}

// refusal is the answer to a request that is not taken: the status, and the reason in a line of text.
func refusal(f finding) wire.Answer {
	return plainAnswer(f, []byte("hooktape: "+cmp.Or(f.told, f.reason)+"\n"))
}

// verdictAnswer is the answer to a request that stays with us: refused, or a handshake.
func verdictAnswer(f finding) wire.Answer {
	if f.verdict == store.Handshake || f.body != nil {
		return plainAnswer(f, f.body)
	}
	return refusal(f)
}

// plainAnswer is text that no browser takes for a page: it may say again what the sender has said.
func plainAnswer(f finding, body []byte) wire.Answer {
	fields := wire.Fields{{Name: "X-Content-Type-Options", Value: "nosniff"}}
	if _, given := f.fields.Get("Content-Type"); !given && len(body) > 0 {
		fields = append(wire.Fields{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}}, fields...)
	}
	return wire.Answer{Status: f.status, Fields: append(fields, f.fields...), Body: body}
}

// render gives what puts an answer into the record.
func (r *reception) render(a wire.Answer) func(*store.Record) {
	return func(rec *store.Record) {
		a := r.fit(a)
		rec.Answer = answered(rec, a.Status, wire.AppendResponse(nil, a), r.now())
		rec.Answer.Error = r.found.doubt()
	}
}

// fit makes an answer fit the exchange: its version, its method, and whether the connection lives on.
func (r *reception) fit(a wire.Answer) wire.Answer {
	a.Proto = r.x.Head.Proto
	a.HeadOnly = r.x.Head.Method == http.MethodHead
	a.Close = !r.x.KeepAlive()
	a.Date = r.now()
	return a
}

// startLine is what can be made out of the first line of bytes that are no request, so that lists can show it.
// Parts that are not plain ASCII are left out.
func startLine(raw []byte) (method, target, proto string) {
	const most = 8 << 10 // more is no request target, but an attempt to fill lists
	line, _, _ := bytes.Cut(raw[:min(len(raw), most)], []byte("\n"))
	parts := bytes.Fields(line)
	for _, c := range line {
		if c != '\r' && (c < ' ' || c > '~') {
			return "", "", ""
		}
	}
	at := func(i int) string {
		if i < len(parts) {
			return string(parts[i])
		}
		return ""
	}
	return at(0), at(1), at(2)
}
