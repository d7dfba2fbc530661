package relay

import (
	"fmt"

	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
)

// Sign says what to change of a request so that it is as the sender of a source would send it now: signed with the first
// secret of the source, with the time of now and a fresh id. body is the decoded one.
func (a *Agent) Sign(name string, head *wire.RequestHead, body []byte) (*provider.Signature, error) {
	src := a.routes.Load().named(name)
	if src == nil {
		return nil, fmt.Errorf("no source %q is configured", name)
	}
	return src.Sign(src.settings(), &provider.Request{
		Head: head, Body: body, URL: provider.RequestURL(src.publicURL, head, false), Time: a.now(),
	})
}
