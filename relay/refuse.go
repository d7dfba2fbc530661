package relay

import (
	"errors"
	"net/http"
	"os"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// refuse records bytes that never became a request, and gives their answer.
func (a *Agent) refuse(b *wire.Refusal) []byte {
	found := broken(b.Cause)
	if errors.Is(b.Cause, wire.ErrNoRoom) {
		found = a.noRoom()
		found.unread = true
	}
	if found.status != 0 {
		found.status = b.Status
	}
	answer := a.lastAnswer(found)
	method, target, proto := startLine(b.Raw)
	from := sender{remote: b.Remote.String(), tls: b.TLS}.came(b.Conn)
	rec := &store.Record{
		Time: b.Time, Via: from.via(), Remote: from.remote, Edge: from.edge(), Base: from.base(), TLS: from.tls, Method: method, Target: target, Proto: proto,
		Verdict: found.verdict, Reason: found.reason, Truncated: b.Truncated,
	}
	render := func(rec *store.Record) {
		if found.status != 0 {
			rec.Answer = answered(rec, found.status, answer, a.now())
			rec.Answer.Error = found.doubt()
		}
	}
	if k := kindOf(found, "", rec.Remote); found.countable() && a.rollups.over(k, a.now()) {
		render(rec)
		a.counted(k, rec, string(b.Raw))
		return answer
	}
	raw := a.store.Spool()
	defer raw.Discard()
	_, err := raw.Write(b.Raw)
	if err == nil {
		err = a.store.Append(rec, raw, nil, render).Wait()
	}
	if err != nil {
		a.cantRecord(err)
		return a.lastAnswer(unwritten())
	}
	if rec.Answer == nil {
		a.done(rec)
		return nil
	}
	b.Written = func(err error) { a.wrote(Event{Kind: Answered, Record: rec}, err) }
	return answer
}

// lastAnswer is the answer of a refusal behind which the connection closes.
func (a *Agent) lastAnswer(f finding) []byte {
	answer := refusal(f)
	answer.Close, answer.Date = true, a.now()
	return wire.AppendResponse(nil, answer)
}

// brokenBody is the finding about a body that did not come to its end. What was refused before stays so.
func brokenBody(f finding, err error) finding {
	if f.refused() {
		return f
	}
	return broken(err)
}

// broken is the finding about bytes that never became a whole request.
func broken(err error) finding {
	if syntax, ok := errors.AsType[*wire.SyntaxError](err); ok {
		return finding{verdict: store.Malformed, reason: syntax.Reason, status: syntax.Status}
	}
	if handshake, ok := errors.AsType[*wire.HandshakeError](err); ok {
		return finding{verdict: store.Malformed, reason: handshake.Error()} // there is no way to answer
	}
	switch {
	case errors.Is(err, wire.ErrTLSOnPlain), errors.Is(err, wire.ErrPlainOnTLS):
		return finding{verdict: store.Malformed, reason: err.Error(), status: http.StatusBadRequest}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return finding{verdict: store.Incomplete, reason: "the sender was too slow", status: http.StatusRequestTimeout}
	}
	return finding{
		verdict: store.Incomplete, reason: "the connection ended before the request did", status: http.StatusBadRequest, ended: true,
	}
}
