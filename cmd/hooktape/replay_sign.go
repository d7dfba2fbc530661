package main

import (
	"context"
	"errors"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/replay"
)

// resigning signs requests again as their senders would now.
type resigning func(ctx context.Context, rec *inspect.Playable, head *wire.RequestHead, body []byte) (*provider.Signature, error)

// resigning is as the flags say, else as the agent or the config file says, else as in the tape file.
func (r *replayer) resigning() (resigning, error) {
	if !r.flags.sender.given() {
		return func(ctx context.Context, rec *inspect.Playable, head *wire.RequestHead, body []byte) (*provider.Signature, error) {
			if rec.Source == "" {
				return nil, errors.New("it has no source, whose sender could sign it: name one with --provider")
			}
			return r.tape.Sign(ctx, rec.Source, rec.ID.String(), head, body)
		}, nil
	}
	p, setting, err := r.flags.sender.sender()
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, rec *inspect.Playable, head *wire.RequestHead, body []byte) (*provider.Signature, error) {
		return p.Sign(setting, &provider.Request{Head: head, Body: body, URL: provider.RequestURL("", head, rec.TLS), Time: r.env.now()})
	}, nil
}

// signed is the request as its sender would send it now, where that is asked for. In a session there are requests that
// nobody signs, pages and calls to APIs beside webhooks: these are sent as they were recorded. Who names one is told.
func (r *replayer) signed(ctx context.Context, rec *inspect.Playable, request *replay.Request) (*replay.Request, error) {
	if r.resign == nil {
		return request, nil
	}
	signed, err := request.Signed(func(head *wire.RequestHead, body []byte) (*provider.Signature, error) {
		return r.resign(ctx, rec, head, body)
	})
	if problem, ok := errors.AsType[*inspect.Problem](err); ok && problem.Kind == inspect.Unsigned && r.flags.session() {
		r.unsigned.Add(1)
		return request, nil
	}
	return signed, err
}
