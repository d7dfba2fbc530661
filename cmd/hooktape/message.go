package main

import (
	"bytes"
	"context"
	"io"

	"github.com/hooktape/hooktape/relay/wire"
)

// shownBody is how much of a body a page shows, shownHex how much of one that is
// not text: enough to see what it is.
const (
	shownBody = 64 << 10
	shownHex  = 1 << 10
	// shownRaw is how many bytes of a message are read for its page: enough for its
	// head, and a body with the overhead of small chunks.
	shownRaw = 1 << 20
)

// message is a request or a response as a page shows it: the beginning of its
// bytes, parsed as far as possible.
type message struct {
	start     string // start line; "" when the bytes are not a message
	head      string // whole head as it came
	fields    wire.Fields
	body      []byte // decoded; its first shownBody bytes
	bodyWhole bool   // body is all of it
	bodyCut   bool   // the sender did not send all of it
	trailers  wire.Fields
	junk      []byte // bytes that never became a message
}

// parseHead finds the head in the first bytes of a message.
type parseHead func(b []byte) (raw string, fields wire.Fields, framing wire.Framing, err error)

func requestHead(b []byte) (string, wire.Fields, wire.Framing, error) {
	h, err := wire.ParseRequestHead(b)
	if err != nil {
		return "", nil, wire.Framing{}, err
	}
	return h.Raw, h.Fields, h.Framing, nil
}

func responseHead(method string) parseHead {
	return func(b []byte) (string, wire.Fields, wire.Framing, error) {
		h, err := wire.ParseResponseHead(b, method)
		if err != nil {
			return "", nil, wire.Framing{}, err
		}
		return h.Raw, h.Fields, h.Framing, nil
	}
}

// readMessage reads the beginning of a message from the tape. With an error, it is what came before that.
func readMessage(ctx context.Context, open func(context.Context, string) (io.ReadCloser, error), id string, parse parseHead) (*message, error) {
	r, err := open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	start, err := io.ReadAll(io.LimitReader(r, shownRaw))
	return parseMessage(start, err == nil && len(start) < shownRaw, parse), err
}

// parseMessage takes a message apart. whole says that b is all of it.
func parseMessage(b []byte, whole bool, parse parseHead) *message {
	raw, fields, framing, err := parse(b)
	if err != nil {
		return &message{junk: b[:min(len(b), shownBody)]}
	}
	line, _, _ := bytes.Cut([]byte(raw), []byte("\n"))
	m := &message{start: string(bytes.TrimRight(line, "\r")), head: raw, fields: fields}
	body := wire.NewBodyReader(framing, bytes.NewReader(b[len(raw):]))
	m.body, err = io.ReadAll(io.LimitReader(body, shownBody+1))
	m.bodyWhole = err == nil && len(m.body) <= shownBody
	m.bodyCut = whole && err != nil
	if m.bodyWhole {
		m.trailers = body.Trailers()
	}
	m.body = m.body[:min(len(m.body), shownBody)]
	return m
}
