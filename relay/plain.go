package relay

import (
	"net/http"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// serveAsked answers what comes over plain HTTP where senders are to speak TLS: the CA, whose questions are no records.
// Everything else is refused and recorded: senders there have the wrong URL, and would send their secrets for all to read.
// Nobody is led on to https, which would hide that.
func (a *Agent) serveAsked(x *wire.Exchange) {
	if text, ok := a.keeper.Answer(x.Head.Host(), x.Head.Path()); ok {
		answer := wire.Answer{
			Status: http.StatusOK, Fields: wire.Fields{{Name: "Content-Type", Value: "application/octet-stream"}}, Body: []byte(text),
			HeadOnly: x.Head.Method == http.MethodHead, Proto: x.Head.Proto, Close: true, Date: a.now(),
		}
		x.CloseAfter()
		_, _ = x.Write(wire.AppendResponse(nil, answer))
		return
	}
	r := &reception{
		Agent: a, x: x, raw: a.store.Spool(), from: senderOf(x.Remote, x.TLS, x.Head, a.routes.Load().trusted),
		found: finding{verdict: store.NoSource, reason: "plain HTTP, which only the CA may use: send to https", status: http.StatusNotFound},
	}
	r.receive()
}
