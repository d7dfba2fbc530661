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

// signed is the request as its sender would send it now, where that is asked for.
func (r *replayer) signed(ctx context.Context, rec *inspect.Playable, request *replay.Request) (*replay.Request, error) {
	if r.resign == nil {
		return request, nil
	}
	return request.Signed(func(head *wire.RequestHead, body []byte) (*provider.Signature, error) {
		return r.resign(ctx, rec, head, body)
	})
}
