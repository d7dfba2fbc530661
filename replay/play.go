package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/replay/tape"
	"github.com/hooktape/hooktape/store"
)

// TestingT is what Play needs of a *testing.T. It keeps package testing out of programs that have this package in them.
type TestingT[T any] interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Run(name string, f func(T)) bool
}

// PlayOptions say what Play plays a tape at, and what is right.
type PlayOptions struct {
	Handler http.Handler // the app: it is served on a port of this machine meanwhile
	URL     string       // in its place: where the app is
	// Path takes the place of the source's path at the beginning of the recorded ones, as that of a target does; it is put
	// behind URL. Where neither has one, requests come at the recorded paths.
	Path    string
	Rules   *Rules        // what does not count when responses are compared; nil: what IgnoreFile says, in the folder of the test
	Timeout time.Duration // of each response, to its last byte; 0: a minute
	// Update makes the responses that come the ones that are right from now on: the file is written anew with them, masked
	// where the file is. A test has a flag for it: var update = flag.Bool("update", false, "...").
	Update bool
	// Prepare changes a request before it is sent, as with Request.With or Request.Signed. Nil: it is sent as recorded.
	Prepare func(*Request) (*Request, error)
	// Wants chooses recordings. Nil: those that were accepted, were meant for the app, and are whole.
	Wants func(*tape.Recording) bool
}

// Play plays the tape file at path at an app: a subtest for each recording, in their order, sends the recorded bytes and
// compares the response with what was recorded of the app: see Compare. It is called in a test:
//
//	func TestOrders(t *testing.T) {
//		replay.Play(t, "testdata/orders.warc", replay.PlayOptions{Handler: newApp(), Update: *update})
//	}
//
// A recording that got no response then, and a tape that has nothing to play, fail.
func Play[T TestingT[T]](t T, path string, o PlayOptions) {
	t.Helper()
	if o.Update {
		if err := tape.Appendable(path); err != nil {
			t.Fatalf("%s can't be updated: %v", path, err)
		}
	}
	read, err := OpenTape(path)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer read.Close()
	if first, all := read.Damage(); all > 0 {
		t.Fatalf("%s is damaged in %d places: %v", path, all, errors.Join(first...))
	}
	if o.Rules == nil {
		o.Rules = new(Rules)
		if err := o.Rules.ReadFile(IgnoreFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%v", err)
		}
	}
	if info := read.Info(); info.Masked {
		if o.Rules, err = o.Rules.Masked(info.Hidden); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	p, err := newPlayer(o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer p.close()
	n, played := 0, 0
	for r, err := range read.Recordings() {
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if p.wants(r) {
			played++
			t.Run(subtestName(r), func(t T) {
				t.Helper()
				playOne(t, p, n, r)
			})
		}
		n++
	}
	if played == 0 {
		t.Fatalf("%s has nothing to play", path)
	}
	if len(p.came) > 0 {
		did, err := tape.Accept(path, nil, p.next)
		if err != nil {
			t.Fatalf("%v", err)
		}
		t.Logf("%s: %d responses are new, %d of them masked", path, did.Responses, did.Masked)
	}
}

// subtestName is short, and the same whenever the tape is.
func subtestName(r *tape.Recording) string {
	path, _, _ := strings.Cut(r.Target, "?")
	return strings.TrimSpace(r.Event + " " + r.Method + " " + path)
}

// player plays a tape at an app.
type player struct {
	o      PlayOptions
	to     *url.URL
	sender Sender
	server *http.Server    // nil: the app runs elsewhere
	served chan struct{}   // closed when the server has ended
	came   map[int]*Result // what is recorded from now on, by the places of recordings in the file
}

func newPlayer(o PlayOptions) (*player, error) {
	p := &player{o: o, sender: Sender{Client: new(wire.Client)}, came: map[int]*Result{}}
	text := o.URL
	if o.Handler != nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		p.server, p.served = &http.Server{Handler: o.Handler}, make(chan struct{})
		go func() {
			defer close(p.served)
			_ = p.server.Serve(l) // it ends when it is closed
		}()
		text = "http://" + l.Addr().String()
	}
	text += o.Path
	var err error
	if p.to, err = url.Parse(text); err != nil || p.to.Host == "" {
		p.close()
		return nil, fmt.Errorf("play at %q: neither a handler nor a URL", mask.Names(nil).Target(text))
	}
	return p, nil
}

func (p *player) close() {
	p.sender.Client.Close()
	if p.server != nil {
		_ = p.server.Close() // what is under way belongs to a test that is over
		<-p.served
	}
	for _, result := range p.came {
		_ = result.Kept.Close() // a temporary file: the test is over whether it goes or not
	}
}

func (p *player) wants(r *tape.Recording) bool {
	if p.o.Wants != nil {
		return p.o.Wants(r)
	}
	return r.Whole() && !r.Undelivered && (!r.Known || store.Verdict(r.Verdict) == store.Accepted)
}

// playOne plays a recording, the n-th of its file.
func playOne[T TestingT[T]](t T, p *player, n int, r *tape.Recording) {
	t.Helper()
	result, err := p.send(t.Context(), r)
	if err != nil {
		t.Fatalf("%s: %v", r.ID, err)
	}
	keep := false
	defer func() {
		if !keep {
			_ = result.Kept.Close() // a temporary file: the test is over whether it goes or not
		}
	}()
	found, err := p.compare(r, result)
	switch {
	case p.o.Update && (err != nil || found.Any()):
		keep = true
		p.came[n] = result
	case err != nil:
		t.Fatalf("%s: %v", r.ID, err)
	case found.Any():
		t.Errorf("%s %s, recorded as %s, got another response:\n%s", r.Method, r.Target, cmp.Or(r.ID, "one of another tool"), found.words("  "))
	}
}

// playTimeout is how long a response may take: shorter than go test waits for all of them.
const playTimeout = time.Minute

// send sends a recorded request.
func (p *player) send(ctx context.Context, r *tape.Recording) (*Result, error) {
	request, err := Load(r.Request.Open)
	if err == nil && p.o.Prepare != nil {
		request, err = p.o.Prepare(request)
	}
	if err != nil {
		return nil, err
	}
	wait := cmp.Or(p.o.Timeout, playTimeout)
	route := wire.Route{Prefix: r.Base + r.Path, URL: p.to}
	if p.to.EscapedPath() == "" {
		route.Prefix = r.Base // the recorded path stays
	}
	result, err := p.sender.Send(ctx, request, Aim{Route: route, Timeouts: wire.Timeouts{Write: wait, FirstByte: wait, Total: wait}})
	if err == nil && result.Err != nil {
		err = errors.Join(result.Err, result.Kept.Close())
	}
	return result, err
}

// errNoBaseline says that there is nothing to compare a response with.
var errNoBaseline = errors.New("no response of the app was recorded: with Update, what comes is recorded")

// compare compares a response with the recorded one.
func (p *player) compare(r *tape.Recording, now *Result) (Difference, error) {
	found, ok := responseOf(r)
	if !ok || r.Known && baseline(r) < 0 { // hooktape's own answer says nothing about the app
		return Difference{}, errNoBaseline
	}
	then, err := ReadThen(found.block.Open, r.Method)
	if err != nil {
		return Difference{}, err
	}
	return Compare(then, now.Response, p.o.Rules), nil
}

// next is the response that takes the place of the recorded one.
func (p *player) next(n int, r *tape.Recording) ([]tape.NewResponse, error) {
	result := p.came[n]
	if result == nil {
		return nil, nil
	}
	return []tape.NewResponse{{Of: baseline(r), Now: &tape.Attempt{
		Source: r.Source, Target: mockSource, URL: result.URL.String(), Time: tape.Time{Time: result.Time}, Head: []byte(result.Head),
		Status: result.Response.Status, FirstByte: int64(result.FirstByte), Duration: int64(result.Duration),
		HeadSize: result.Response.HeadSize, Response: tape.Opened(result.Kept.Size(), result.Kept.Open),
	}}}, nil
}
