package inspect

import (
	"context"
	"iter"
	"net/http"

	"github.com/hooktape/hooktape/store"
)

// Subscriber registers sources with their providers: a running agent, or a command
// that knows the configuration.
type Subscriber interface {
	// Subscribe registers a source or, if on is false, takes that back. The error
	// is about the source; how the calls went is in the registrations.
	Subscribe(ctx context.Context, source string, on bool) ([]store.Registration, error)
}

// subscribe and unsubscribe send the registrations of a source, one a line, once
// its provider was told.
func (s *Server) subscribe(w http.ResponseWriter, r *http.Request) error {
	return s.changeSubscription(w, r, true)
}

func (s *Server) unsubscribe(w http.ResponseWriter, r *http.Request) error {
	return s.changeSubscription(w, r, false)
}

func (s *Server) changeSubscription(w http.ResponseWriter, r *http.Request, on bool) error {
	if s.Subscriber == nil {
		return refuse(Misused, "no agent is running, and no config is given that says how")
	}
	registrations, err := s.Subscriber.Subscribe(r.Context(), r.PathValue("name"), on)
	if err != nil {
		return refuse(Misused, "source %q: %s", r.PathValue("name"), err)
	}
	return sendLines(w, func(line func(any) error) error {
		for _, registration := range registrations {
			if err := line(registration); err != nil {
				return err
			}
		}
		return nil
	})
}

// Subscribe registers a source with its provider, and returns its registrations.
func (c *Client) Subscribe(ctx context.Context, source string) iter.Seq2[store.Registration, error] {
	return c.changeSubscription(ctx, source, "subscribe")
}

// Unsubscribe takes the registrations of a source back, and returns what they are
// then.
func (c *Client) Unsubscribe(ctx context.Context, source string) iter.Seq2[store.Registration, error] {
	return c.changeSubscription(ctx, source, "unsubscribe")
}

func (c *Client) changeSubscription(ctx context.Context, source, verb string) iter.Seq2[store.Registration, error] {
	return lines[store.Registration](func() (*http.Response, error) {
		return c.do(ctx, http.MethodPost, "/v1/sources/"+segment(source)+"/"+verb, "", nil)
	})
}
