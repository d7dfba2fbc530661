package relay

import (
	"io"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// view is what expressions see of a request whose bytes are raw. A body that is in pieces is read when the first of them
// looks at it, and takes of the memory for such bodies until held is given back.
func (a *Agent) view(rec *store.Record, head *wire.RequestHead, raw store.Raw, held *holding) *expr.View {
	body := func() ([]byte, error) {
		return a.wholeBody(head.Framing, raw, int64(len(head.Raw)), rec.BodySize, held)
	}
	return &expr.View{Record: rec, Head: head, Body: body, Params: a.routes.Load().paramsOf(rec.Source)}
}

// wholeBody is the decoded body behind the first skip bytes of raw; size is how long it is.
func (a *Agent) wholeBody(framing wire.Framing, raw store.Raw, skip, size int64, held *holding) ([]byte, error) {
	if raw.Pieces.IsZero() {
		body, _, err := wire.DecodeBody(framing, raw.Inline[skip:])
		return body, err
	}
	if !held.take(a.memory.Load(), size) {
		return nil, errNoRoom
	}
	f := a.store.Open(raw)
	defer f.Close()
	if _, err := f.Seek(skip, io.SeekStart); err != nil {
		return nil, err
	}
	body := make([]byte, size)
	_, err := io.ReadFull(wire.NewBodyReader(framing, f), body)
	return body, err
}
