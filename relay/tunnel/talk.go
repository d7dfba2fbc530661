package tunnel

import (
	"context"
	"fmt"
	"time"
)

// talkTime is how long an end may take for a message that needs no person: the edge may have to write to its tape first.
const talkTime = 30 * time.Second

// Hello is what a laptop says first.
type Hello struct {
	Instance string `cbor:"1,keyasint,omitempty"` // random, fixed while the agent runs: its new link replaces its old one
	TakeOver bool   `cbor:"2,keyasint,omitempty"` // replace the link of another instance, too
	Copies   []Copy `cbor:"3,keyasint,omitempty"` // which requests of the edge's sources it wants, also those that come while it is away
	Probe    string `cbor:"4,keyasint,omitempty"` // random and secret: a request for it at the tunnel's URL comes from the laptop itself
	Version  string `cbor:"5,keyasint,omitempty"` // of the program
	Keeps    bool   `cbor:"6,keyasint,omitempty"` // it takes several requests on a stream, one after another; set by Introduce
}

// Copy asks for the requests of a source of the edge.
type Copy struct {
	Source string `cbor:"1,keyasint,omitempty" json:"source"`
	Where  string `cbor:"2,keyasint,omitempty" json:"where,omitempty"` // an expression; "": all
}

// Refusal says why an edge refuses a link although its token is right.
type Refusal string

// The reasons of an edge.
const (
	Taken  Refusal = "taken"   // another instance has the tunnel
	NoCopy Refusal = "no copy" // it may not have copies of the source, or the expression is wrong
)

// Welcome is the answer of the edge.
type Welcome struct {
	Name    string  `cbor:"1,keyasint,omitempty"` // of the tunnel
	Domain  string  `cbor:"2,keyasint,omitempty"` // of the edge
	Waiting int     `cbor:"3,keyasint,omitempty"` // deliveries for the laptop
	Newest  string  `cbor:"4,keyasint,omitempty"` // id of the edge's newest record
	Refused Refusal `cbor:"5,keyasint,omitempty"` // "": welcome
	Reason  string  `cbor:"6,keyasint,omitempty"` // of Refused, for people
	Version string  `cbor:"7,keyasint,omitempty"` // of the program
}

// Backlog says what becomes of the deliveries that waited for a laptop.
type Backlog string

// The choices.
const (
	DeliverBacklog Backlog = "deliver" // they come first
	HoldBacklog    Backlog = "hold"    // they go on waiting, and only new ones come
	DropBacklog    Backlog = "drop"    // nobody wants them any more
)

// Begin is what the laptop says when it takes requests.
type Begin struct {
	Backlog Backlog `cbor:"1,keyasint,omitempty"`
	UpTo    string  `cbor:"2,keyasint,omitempty"` // id: Backlog is about the deliveries of that record and of older ones
}

// errTalk is the cause when an end does not introduce itself as it should.
var errTalk = fmt.Errorf("%w: it did not say who it is", ErrBroken)

// Introduce is for the laptop: it sends Hello and returns the edge's answer. After an error, of ctx or of the link, the link
// can't be used any more.
func (l *Link) Introduce(ctx context.Context, hello Hello) (Welcome, error) {
	defer context.AfterFunc(ctx, func() { l.cut(context.Cause(ctx)) })()
	inner, err := l.session.OpenStream()
	if err != nil {
		return Welcome{}, l.lost()
	}
	l.talk = &Stream{Stream: inner, link: l}
	var welcome Welcome
	hello.Keeps = true
	if err := l.say(&hello); err != nil {
		return Welcome{}, err
	}
	return welcome, l.hear(&welcome, talkTime)
}

// Begin is for the laptop, after Introduce: from now on it takes requests.
func (l *Link) Begin(b Begin) error { return l.say(&b) }

// Hear is for the edge: it waits for the laptop's Hello.
func (l *Link) Hear() (hello Hello, err error) {
	patience := time.NewTimer(talkTime)
	defer patience.Stop()
	select {
	case l.talk = <-l.accepted:
		return hello, l.hear(&hello, talkTime)
	case <-l.done:
		return hello, l.lost()
	case <-patience.C:
		l.cut(errTalk)
		return hello, l.lost()
	}
}

// Welcome is for the edge, after Hear. Unless it refuses the laptop, it waits for Begin, without a limit: the laptop may have
// to ask a person.
func (l *Link) Welcome(w Welcome) (begin Begin, err error) {
	if err := l.say(&w); err != nil || w.Refused != "" {
		return begin, err
	}
	return begin, l.hear(&begin, 0)
}

// say sends a message.
func (l *Link) say(v any) error {
	_ = l.talk.SetWriteDeadline(time.Now().Add(talkTime))
	if err := writeMessage(l.talk, v); err != nil {
		l.cut(fmt.Errorf("%w: %w", errTalk, err))
		return l.lost()
	}
	return nil
}

// hear waits for a message; with patience 0 as long as it takes.
func (l *Link) hear(v any, patience time.Duration) error {
	var end time.Time
	if patience > 0 {
		end = time.Now().Add(patience)
	}
	_ = l.talk.SetReadDeadline(end)
	if err := readMessage(l.talk, v); err != nil {
		l.cut(fmt.Errorf("%w: %w", errTalk, err))
		return l.lost()
	}
	return nil
}

// acceptTalk takes the one stream that a laptop opens.
func (l *Link) acceptTalk() {
	inner, err := l.session.AcceptStream()
	if err != nil {
		return
	}
	select {
	case l.accepted <- &Stream{Stream: inner, link: l}:
	case <-l.done:
		return
	}
	if _, err := l.session.AcceptStream(); err == nil {
		l.cut(errUninvited)
	}
}
