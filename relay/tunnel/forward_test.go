package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/hooktape/hooktape/relay/wire"
)

// running is a Forward that runs until the test ends.
type running struct {
	*Forward
	t    *testing.T
	news chan Change
}

func run(t *testing.T, f *Forward, handle func(*wire.Exchange)) *running {
	t.Helper()
	r := &running{f, t, make(chan Change, 100)}
	f.Tell = func(c Change) { r.news <- c }
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- f.Run(ctx) }()
	serve(t, f, handle)
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	return r
}

// hears waits for the news it wants, and returns everything up to it.
func (r *running) hears(what string, is func(Change) bool) (all []Change) {
	r.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case c := <-r.news:
			if all = append(all, c); is(c) {
				return all
			}
		case <-timeout:
			r.t.Fatalf("it never heard that %s: %+v", what, all)
		}
	}
}

func last[T any](all []T) T { return all[len(all)-1] }

func isUp(c Change) bool { return c.Up }

// answering tells what comes, and probes who they are.
func answering(arrived chan<- string) func(*wire.Exchange) {
	return func(x *wire.Exchange) {
		c := x.Conn.(*Channel)
		if answer, own := c.AnswerTo(x.Head.Path()); own {
			_, _ = x.Write(wire.AppendResponse(nil, wire.Answer{Status: 200, Body: []byte(answer), Close: true}))
			return
		}
		body, err := io.ReadAll(x)
		arrived <- fmt.Sprintf("%s%s|%s|%v", x.Head.Raw, body, x.Remote, err)
		_, _ = x.Write(wire.AppendResponse(nil, wire.Answer{Status: 200, Body: bytes.Repeat([]byte("x"), len(body))}))
	}
}

func TestConnectionsToThePortOfAnSSHServerComeHereByteForByte(t *testing.T) {
	_, v := acquainted(t)
	arrived := make(chan string, 1)
	r := run(t, NewForward(v.SSHServer, 0), answering(arrived))
	found := last(r.hears("its URL is public", func(c Change) bool { return c.URL != "" }))
	at := strings.TrimPrefix(found.URL, "http://")
	if _, port, _ := net.SplitHostPort(at); port == "0" || port != strconv.Itoa(found.Port) {
		t.Fatalf("found %+v", found)
	}
	body := strings.Repeat("0123456789abcdef", 3<<20/16) // more than the window of a channel
	for _, request := range []string{
		"POST /a//b?x=%zz HTTP/1.1\r\nhOST:  h \r\nX-Dup: 1\r\nx-dup: 2\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: t\r\n\r\n",
		fmt.Sprintf("POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"GET " + ProbePath + "of-somebody-else HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET " + ProbePath + " HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		_ = c.(*net.TCPConn).CloseWrite() // and still hears the answer
		answer, err := io.ReadAll(c)
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.")) {
			t.Errorf("got %.40q, %v", answer, err)
		}
		if got, want := receive(t, arrived), request+"|"+c.LocalAddr().String()+"|<nil>"; got != want {
			t.Errorf("%.80q came as %.80q", want, got)
		}
		_ = c.Close()
	}
}

func TestALostPortIsAskedForAgainAndEachChangeToldOnce(t *testing.T) {
	s, v := acquainted(t)
	var held atomic.Bool // the server has the port, and does not give it
	s.accept = func(uint32) bool { return !held.Load() }
	between := detourTo(t, s.addr)
	v.knows(t, between.Addr, s.hostKey())
	v.at(t, between.Addr)
	v.Timing = Timing{Ping: 20 * time.Millisecond, Silence: 500 * time.Millisecond}
	arrived := make(chan string, 1)
	r := run(t, NewForward(v.SSHServer, 0), answering(arrived))
	port := last(r.hears("it is up", isUp)).Port

	held.Store(true)
	between.Mute()
	lost := last(r.hears("the link is lost", func(c Change) bool { return !c.Up && c.URL == "" && !c.Unheard }))
	if !errors.Is(lost.Err, errSilent) {
		t.Errorf("the link was lost because of %v", lost.Err)
	}
	between.Lead(s.addr)
	barred := last(r.hears("the port is held", func(c Change) bool { return c.Barred }))
	if _, ok := errors.AsType[*HeldError](barred.Err); !ok {
		t.Errorf("it was barred because of %v", barred.Err)
	}
	held.Store(false)
	news := r.hears("it is up again", isUp)
	up := last(news)
	if up.Port != port || up.First || up.Away <= 0 || len(news) != 1 {
		t.Errorf("then came %+v", news)
	}
	go func() { _, _ = http.Get("http://127.0.0.1:" + strconv.Itoa(port) + "/again") }()
	receive(t, arrived)
}

func TestAPortThatCannotBeHadEndsItUnlessAnotherWillDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	tests := []struct {
		name   string
		port   int
		accept func(uint32) bool
		want   *PortError
	}{
		{"taken", port, nil, &PortError{Port: port}},
		{"nothing is forwarded", port, func(uint32) bool { return false }, &PortError{Port: port, Any: true}},
		{"nor any", 0, func(uint32) bool { return false }, &PortError{Any: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, v := acquainted(t)
			s.accept = tt.accept
			err := NewForward(v.SSHServer, tt.port).Run(t.Context())
			if got, ok := errors.AsType[*PortError](err); !ok || *got != *tt.want {
				t.Errorf("got %v", err)
			}
		})
	}
	_, v := acquainted(t)
	f := NewForward(v.SSHServer, port)
	f.Moves = true
	r := run(t, f, answering(make(chan string, 1)))
	if up := last(r.hears("it is up", isUp)); up.Port == port || up.Port == 0 {
		t.Errorf("it has port %d", up.Port)
	}
}

func TestAfterTheFirstTimeARefusalIsToldAndWaitedOut(t *testing.T) {
	s, v := acquainted(t)
	r := run(t, NewForward(v.SSHServer, 0), answering(make(chan string, 1)))
	r.hears("it is up", isUp)
	known, err := os.ReadFile(v.file("known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	v.writes(t, "known_hosts", nil)
	s.hangUp()
	barred := last(r.hears("the host is not known", func(c Change) bool { return c.Barred }))
	if _, ok := errors.AsType[*HostKeyError](barred.Err); !ok {
		t.Errorf("it was barred because of %v", barred.Err)
	}
	v.writes(t, "known_hosts", known)
	if news := r.hears("it is up again", isUp); len(news) != 1 {
		t.Errorf("told too much: %+v", news)
	}
}

func TestAServerThatOpensWhatNobodyAskedForIsCutOff(t *testing.T) {
	s, v := acquainted(t)
	s.extra = "session"
	r := run(t, NewForward(v.SSHServer, 0), answering(make(chan string, 1)))
	r.hears("it is up", isUp)
	lost := last(r.hears("it is cut off", func(c Change) bool { return c.Err != nil && !c.Unheard }))
	if !errors.Is(lost.Err, ErrBroken) {
		t.Errorf("the link was lost because of %v", lost.Err)
	}
}

// stuckChannel is a channel that can't be answered.
type stuckChannel struct{ until <-chan struct{} }

func (c stuckChannel) Accept() (ssh.Channel, <-chan *ssh.Request, error) {
	<-c.until
	return nil, nil, io.EOF
}
func (c stuckChannel) Reject(ssh.RejectionReason, string) error { <-c.until; return io.EOF }
func (c stuckChannel) ChannelType() string                      { return "forwarded-tcpip" }
func (c stuckChannel) ExtraData() []byte                        { return nil }

// TestAStuckLineHoldsUpNothingThatTheServerSays: its keepalives must not wait for a channel that is turned away.
func TestAStuckLineHoldsUpNothingThatTheServerSays(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	l := &sshLink{sock: newWatched(near), knocks: make(chan ssh.NewChannel), unwanted: make(chan ssh.NewChannel, 2), done: make(chan struct{})}
	opened, until := make(chan ssh.NewChannel), make(chan struct{})
	l.running.Go(func() { l.take(opened) })
	l.running.Go(l.dismiss)
	for range channelsDismissed + 4 { // nobody lets them in; so many are being turned away, two are to be, and then the link is cut
		select {
		case opened <- stuckChannel{until}:
		case <-time.After(patience):
			t.Fatal("it waits")
		}
	}
	close(opened)
	close(until)
	close(l.done)
	l.running.Wait()
	if err := l.cause(); !errors.Is(err, errFlood) {
		t.Errorf("it ended because of %v", err)
	}
}

// keptChannel is a channel that its server closes whenever it likes.
type keptChannel struct {
	stuckChannel
	ssh.Channel
	accepted *atomic.Int32
	closed   <-chan *ssh.Request
}

func (c keptChannel) Accept() (ssh.Channel, <-chan *ssh.Request, error) {
	c.accepted.Add(1)
	return c, c.closed, nil
}
func (c keptChannel) Close() error { return nil }

func TestChannelsThatAreTurnedAwayAndThatTheServerKeepsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &sshLink{unwanted: make(chan ssh.NewChannel, channelsWaiting), done: make(chan struct{})}
		l.running.Go(l.dismiss)
		var accepted atomic.Int32
		closed := make(chan *ssh.Request)
		for range 2 * channelsDismissed {
			l.turnAway(keptChannel{accepted: &accepted, closed: closed})
		}
		synctest.Wait()
		if n := accepted.Load(); n != channelsDismissed {
			t.Errorf("%d are open", n)
		}
		close(closed)
		synctest.Wait()
		if n := accepted.Load(); n != 2*channelsDismissed {
			t.Errorf("%d were turned away when the server had closed them", n)
		}
		close(l.done)
		l.running.Wait()
	})
}

func TestAChannelHasDeadlinesAndASenderThatTakesNothingIsLetGo(t *testing.T) {
	_, v := acquainted(t)
	f := NewForward(v.SSHServer, 0)
	f.Tell = func(Change) {}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	up := make(chan int, 1)
	f.Tell = func(c Change) {
		if c.Up {
			up <- c.Port
		}
	}
	f.Public = &url.URL{Scheme: "http", Host: "127.0.0.1:1"} // so that no probe comes
	go func() { ran <- f.Run(ctx) }()
	defer func() { cancel(); <-ran }()
	sender, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(receive(t, up)))
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	c, err := f.Accept()
	if err != nil {
		t.Fatal(err)
	}
	soon := func() time.Time { return time.Now().Add(50 * time.Millisecond) }
	_ = c.SetReadDeadline(soon())
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading ended with %v", err)
	}
	for err = nil; err == nil; {
		_ = c.SetWriteDeadline(soon())
		_, err = c.Write(make([]byte, 1<<20))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("writing ended with %v", err)
	}
	_ = c.Close()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed forward accepts: %v", err)
	}
}

func TestASenderIsNamedByAnAddressOrNotAtAll(t *testing.T) {
	server := addr("192.0.2.1:22")
	for from, want := range map[origin]addr{
		{SenderAddr: "198.51.100.7", SenderPort: 4711}:        "198.51.100.7:4711",
		{SenderAddr: "2001:db8::1", SenderPort: 1}:            "[2001:db8::1]:1",
		{SenderAddr: "::ffff:198.51.100.7", SenderPort: 1}:    "198.51.100.7:1",
		{SenderAddr: "fe80::1%\x1b[31m", SenderPort: 1}:       "[fe80::1]:1",
		{SenderAddr: "host.example.com", SenderPort: 1}:       server,
		{SenderAddr: "198.51.100.7", SenderPort: 1 << 16}:     server,
		{SenderAddr: "198.51.100.7\r\nX: y", SenderPort: 471}: server,
	} {
		if got := from.remote(server); got != want {
			t.Errorf("%+v: %q, not %q", from, got, want)
		}
	}
}
