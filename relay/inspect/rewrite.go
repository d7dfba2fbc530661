package inspect

import (
	"context"
	"net/http"
	"net/url"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
)

// Rewriter rewrites requests for targets, as the agent does when it delivers. It may be called by many goroutines at
// once.
type Rewriter interface {
	// Rewrite says what to change in a request's head for a target of a source, and which body replaces its own; nil:
	// none does.
	Rewrite(source, target string, v *expr.View) (wire.Edit, []byte, error)
}

// Rewriting is how a target gets a request.
type Rewriting struct {
	Edit wire.Edit `json:"edit"`
	Body []byte    `json:"body"` // null: the request's own
}

// rewrite says how a target gets the request of a record. What is posted is the request's head, then its body without
// chunk framing.
func (s *Server) rewrite(w http.ResponseWriter, r *http.Request) error {
	if s.Rewriter == nil {
		return refuse(Failed, "no agent is running, and the rewrite is in the config: name it with -c FILE")
	}
	name := r.URL.Query().Get("record")
	id, err := s.Store.Find(name)
	if err != nil {
		return notFound(name, err)
	}
	rec, err := s.Store.Get(id)
	if err != nil {
		return notFound(name, err)
	}
	head, body, err := posted(w, r)
	if err != nil {
		return err
	}
	v := &expr.View{Record: rec, Head: head, Body: func() ([]byte, error) { return wire.PlainContent(head.Fields, body, decodedMost) }}
	var made Rewriting
	if made.Edit, made.Body, err = s.Rewriter.Rewrite(r.PathValue("name"), r.URL.Query().Get("target"), v); err != nil {
		return refuse(Failed, "%s", err)
	}
	return reply(w, made)
}

// Rewrite says how a target of a source gets the request of a record. body has no chunk framing.
func (c *Client) Rewrite(ctx context.Context, source, target, record string, head *wire.RequestHead, body []byte) (*Rewriting, error) {
	path := "/v1/sources/" + segment(source) + "/rewriting?" + url.Values{"target": {target}, "record": {record}}.Encode()
	made, err := object[Rewriting](c.do(ctx, http.MethodPost, path, "application/octet-stream", message(head, body)))
	return &made, err
}
