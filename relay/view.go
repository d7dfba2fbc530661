package relay

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// view is what expressions see of a request. A body that is in pieces is read when the first of them looks at it, and
// takes of the memory that there is for such bodies until held is given back. One that was sent in gzip or deflate is
// decoded for them.
func (a *Agent) view(m message, held *holding) *expr.View { return a.viewOf(m, a.body(m, held), held) }

// body gives the body of a request as it was sent but for chunk framing, and reads it once only.
func (a *Agent) body(m message, held *holding) func() ([]byte, error) {
	if m.raw.Pieces.IsZero() && !m.head.Framing.Chunked { // it is there
		body, err := a.wholeBody(m.head.Framing, m.raw, int64(len(m.head.Raw)), m.rec.BodySize, held)
		return func() ([]byte, error) { return body, err }
	}
	return sync.OnceValues(func() ([]byte, error) {
		return a.wholeBody(m.head.Framing, m.raw, int64(len(m.head.Raw)), m.rec.BodySize, held)
	})
}

// viewOf is view over a body that others use too.
func (a *Agent) viewOf(m message, body func() ([]byte, error), held *holding) *expr.View {
	src := a.routes.Load().named(m.rec.Source)
	view := &expr.View{Record: m.rec, Head: m.head, Body: body}
	most := config.Default().Limits.MaxBody
	if src != nil {
		view.Params, most = src.Setting.Params, src.MaxBody
	}
	if wire.IsCoded(m.head.Fields) {
		view.Body = sync.OnceValues(func() ([]byte, error) { return a.decoded(m.head.Fields, body, decodedFactor*most, held) })
	}
	return view
}

// decodedFactor is how many times the largest body of a source a decoded one may be.
const decodedFactor = 8

// decoded is a body without its content coding. What can't be decoded is taken as it is.
func (a *Agent) decoded(fields wire.Fields, read func() ([]byte, error), most int64, held *holding) ([]byte, error) {
	body, err := read()
	if err != nil {
		return nil, err
	}
	size, err := wire.ContentSize(fields, body, most)
	switch {
	case errors.Is(err, wire.ErrContentTooLarge):
		return nil, err
	case err != nil:
		return body, nil
	case size > inlineMost && !held.take(a.memory.Load().whole, copies*size):
		return nil, errNoRoom
	}
	return wire.DecodeContent(fields, body, size)
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
