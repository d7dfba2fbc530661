package relay

import (
	"bytes"
	"io"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// view is what expressions see of a request. A body that is in pieces is read when the first of them looks at it, and
// takes of the memory that there is for such bodies until held is given back.
func (a *Agent) view(m message, held *holding) *expr.View {
	body := func() ([]byte, error) {
		return a.wholeBody(m.head.Framing, m.raw, int64(len(m.head.Raw)), m.rec.BodySize, held)
	}
	return &expr.View{Record: m.rec, Head: m.head, Body: body, Params: a.routes.Load().paramsOf(m.rec.Source)}
}

// wholeBody is the decoded body behind the first skip bytes of raw; it is not longer than size.
func (a *Agent) wholeBody(framing wire.Framing, raw store.Raw, skip, size int64, held *holding) ([]byte, error) {
	if raw.Pieces.IsZero() {
		body, _, err := wire.DecodeBody(framing, raw.Inline[skip:])
		return body, err
	}
	if !held.take(a.memory.Load().whole, copies*size) {
		return nil, errNoRoom
	}
	f := a.store.Open(raw)
	defer f.Close()
	if _, err := f.Seek(skip, io.SeekStart); err != nil {
		return nil, err
	}
	body := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead)) // which ReadFrom wants free, to see the end
	_, err := body.ReadFrom(wire.NewBodyReader(framing, f))
	return body.Bytes(), err
}
