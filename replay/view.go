package replay

import (
	"sync"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// View is what expressions see of the request, and of a response to it; rec is its
// record, and response may be nil.
func (r *Request) View(rec *store.Record, response *Response) *expr.View {
	v := &expr.View{Record: rec, Head: r.Head, Body: sync.OnceValues(func() ([]byte, error) {
		body, err := r.Whole()
		if err != nil {
			return nil, err
		}
		return wire.PlainContent(r.Head.Fields, body, signedMax)
	})}
	if response != nil {
		v.Response = &expr.Response{Head: &wire.ResponseHead{Status: response.Status, Fields: response.Fields}, Body: response.Body}
	}
	return v
}
