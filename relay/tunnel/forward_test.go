package tunnel

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/hooktape/hooktape/relay/wire"
)

// sshServer is an SSH server on loopback that forwards ports, until the test ends.
type sshServer struct {
	t      *testing.T
	addr   string
	config *ssh.ServerConfig
	accept func(port uint32) bool // whether it forwards that port, 0: any; nil: it does
	extra  string                 // a kind of channel that it opens though nobody asked; "": none

	mu    sync.Mutex // guards conns
	conns []ssh.Conn
}

// newKey is a key of its own.
func newKey(t *testing.T) (ed25519.PrivateKey, ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private, signerOf(t, private)
}

func signerOf(t *testing.T, private any) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// newSSHServer has these host keys, and lets in who has the key of a user.
func newSSHServer(t *testing.T, user ssh.PublicKey, hostKeys ...ssh.Signer) *sshServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sshServer{t: t, addr: l.Addr().String(), config: &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if user != nil && bytes.Equal(key.Marshal(), user.Marshal()) {
				return nil, nil
			}
			return nil, errors.New("another key")
		},
	}}
	for _, k := range hostKeys {
		s.config.AddHostKey(k)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.hangUp()
		running.Wait()
	})
	return s
}

// hangUp ends all connections.
func (s *sshServer) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
}

func (s *sshServer) serve(sock net.Conn) {
	defer sock.Close()
	conn, opened, requests, err := ssh.NewServerConn(sock, s.config)
	if err != nil {
		return // the test sees it from the other side
	}
	s.mu.Lock()
	s.conns = append(s.conns, conn)
	s.mu.Unlock()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		for o := range opened {
			_ = o.Reject(ssh.Prohibited, "")
		}
	})
	var listeners []net.Listener
	for r := range requests {
		if r.Type != "tcpip-forward" {
			_ = r.Reply(false, nil)
			continue
		}
		var asked struct {
			Addr string
			Port uint32
		}
		err := ssh.Unmarshal(r.Payload, &asked)
		if err != nil || s.accept != nil && !s.accept(asked.Port) {
			_ = r.Reply(false, nil)
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", asked.Port))
		if err != nil {
			_ = r.Reply(false, nil)
			continue
		}
		listeners = append(listeners, l)
		var answer []byte
		port := uint32(l.Addr().(*net.TCPAddr).Port)
		if asked.Port == 0 {
			answer = ssh.Marshal(struct{ Port uint32 }{port})
		}
		_ = r.Reply(true, answer)
		running.Go(func() { s.forward(conn, l, port) })
		if s.extra != "" {
			running.Go(func() { _, _, _ = conn.OpenChannel(s.extra, nil) })
		}
	}
	for _, l := range listeners {
		_ = l.Close()
	}
}

// forward opens a channel for each connection.
func (s *sshServer) forward(conn ssh.Conn, l net.Listener, port uint32) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		running.Go(func() {
			defer c.Close()
			from := c.RemoteAddr().(*net.TCPAddr)
			ch, requests, err := conn.OpenChannel("forwarded-tcpip", ssh.Marshal(&origin{"", port, from.IP.String(), uint32(from.Port)}))
			if err != nil {
				return
			}
			running.Go(func() { ssh.DiscardRequests(requests) })
			running.Go(func() {
				_, _ = io.Copy(ch, c)
				_ = ch.CloseWrite()
			})
			_, _ = io.Copy(c, ch)
			_ = c.Close()
			_ = ch.Close()
		})
	}
}

// visitor is somebody who may log in to a server: what they have in ~/.ssh.
type visitor struct {
	SSHServer
	dir string
	key ed25519.PrivateKey
}

// newVisitor has a key in a file, and knows the server by these keys.
func newVisitor(t *testing.T, key ed25519.PrivateKey, s *sshServer, known ...ssh.PublicKey) *visitor {
	t.Helper()
	v := &visitor{dir: t.TempDir(), key: key}
	v.KnownHosts, v.KeyFiles = []string{v.file("known_hosts"), v.file("none")}, []string{v.file("id_ed25519"), v.file("none")}
	v.User = "me"
	v.at(t, s.addr)
	v.knows(t, s.addr, known...)
	v.writes(t, "id_ed25519", v.pem(t))
	return v
}

func (v *visitor) at(t *testing.T, address string) {
	t.Helper()
	var err error
	if v.Host, v.Port, err = net.SplitHostPort(address); err != nil {
		t.Fatal(err)
	}
}

func (v *visitor) file(name string) string { return filepath.Join(v.dir, name) }

func (v *visitor) writes(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(v.file(name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (v *visitor) knows(t *testing.T, address string, keys ...ssh.PublicKey) {
	t.Helper()
	var lines strings.Builder
	for _, k := range keys {
		lines.WriteString(knownhosts.Line([]string{address}, k) + "\n")
	}
	v.writes(t, "known_hosts", []byte(lines.String()))
}

// pem is the visitor's private key.
func (v *visitor) pem(t *testing.T) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(v.key, "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

// locked is what can be seen of that key once it has a passphrase: the rest takes seconds to make.
func (v *visitor) locked(t *testing.T) []byte {
	t.Helper()
	bytes := append([]byte("openssh-key-v1\x00"), ssh.Marshal(struct {
		Cipher, KDF, Options string
		Keys                 uint32
		Public, Private      []byte
	}{"aes256-ctr", "bcrypt", "of bcrypt", 1, signerOf(t, v.key).PublicKey().Marshal(), make([]byte, 64)})...)
	return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: bytes})
}

// hasAgent lets an agent have the visitor's key.
func (v *visitor) hasAgent(t *testing.T) {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: v.key, Comment: "of the visitor"}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "agent") // the name of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	v.Agent = filepath.Join(dir, "s")
	l, err := net.Listen("unix", v.Agent)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				_ = agent.ServeAgent(ring, c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
		_ = os.RemoveAll(dir)
	})
}

// acquainted are a server and a visitor that know each other.
func acquainted(t *testing.T) (*sshServer, *visitor) {
	t.Helper()
	_, host := newKey(t)
	private, own := newKey(t)
	s := newSSHServer(t, own.PublicKey(), host)
	return s, newVisitor(t, private, s, host.PublicKey())
}

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

// hears waits for news that are so, and returns all up to them.
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

func (s *sshServer) hostKey() ssh.PublicKey {
	var key ssh.PublicKey
	c, err := ssh.Dial("tcp", s.addr, &ssh.ClientConfig{HostKeyCallback: func(_ string, _ net.Addr, k ssh.PublicKey) error {
		key = k
		return nil
	}})
	if err == nil {
		_ = c.Close()
	}
	return key
}

func TestWhatIsKnownOfAServerDecidesWhetherItIsTrusted(t *testing.T) {
	_, host := newKey(t)
	_, other := newKey(t)
	_, authority := newKey(t)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second := signerOf(t, curve)
	private, own := newKey(t)
	certified := certify(t, authority, host, "127.0.0.1")
	strange := certify(t, authority, host, "elsewhere.example.com")
	tests := []struct {
		name  string
		shows []ssh.Signer
		known string // the lines, ADDR is the server's address as they have it
		keys  []ssh.Signer
		why   func(*HostKeyError) bool // nil: it is trusted
	}{
		{"known", []ssh.Signer{host}, "ADDR 0\n", []ssh.Signer{host}, nil},
		{"known by the second of its keys only", []ssh.Signer{host, second}, "# a comment\n\nADDR 0\n", []ssh.Signer{second}, nil},
		{"known without its port, as OpenSSH has it", []ssh.Signer{host}, "127.0.0.1 0\n", []ssh.Signer{host}, nil},
		{"known by who signs its key", []ssh.Signer{certified, host}, "@cert-authority *.example.com,ADDR 0\n", []ssh.Signer{authority}, nil},
		{"signed for another host", []ssh.Signer{strange, host}, "@cert-authority ADDR 0\n", []ssh.Signer{authority}, func(e *HostKeyError) bool { return e.Err != nil }},
		{"unknown", []ssh.Signer{host}, "elsewhere.example.com 0\n", []ssh.Signer{host}, func(e *HostKeyError) bool { return e.Known == nil && e.Err == nil && !e.Revoked }},
		{"changed", []ssh.Signer{host}, "ADDR 0\n", []ssh.Signer{other}, func(e *HostKeyError) bool { return len(e.Known) == 1 }},
		{"changed, and of another kind", []ssh.Signer{second}, "ADDR 0\n", []ssh.Signer{host}, func(e *HostKeyError) bool { return len(e.Known) == 1 }},
		{"revoked", []ssh.Signer{host}, "ADDR 0\n@revoked * 0\n", []ssh.Signer{host}, func(e *HostKeyError) bool { return e.Revoked }},
		{"not readable", []ssh.Signer{host}, "ADDR ssh-ed25519 nonsense\n", nil, func(e *HostKeyError) bool { return e.Err != nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSSHServer(t, own.PublicKey(), tt.shows...)
			v := newVisitor(t, private, s)
			lines := strings.ReplaceAll(tt.known, "ADDR", knownhosts.Normalize(s.addr))
			for i, k := range tt.keys {
				lines = strings.ReplaceAll(lines, " "+strconv.Itoa(i)+"\n", " "+strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.PublicKey())))+"\n")
			}
			v.writes(t, "known_hosts", []byte(lines))
			link, err := v.dial(t.Context())
			if err == nil {
				link.close()
			}
			refused, isRefused := errors.AsType[*HostKeyError](err)
			if isRefused != (tt.why != nil) || isRefused && !tt.why(refused) || !isRefused && err != nil {
				t.Errorf("got %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), s.addr) {
				t.Errorf("%v does not name the server", err)
			}
		})
	}
}

// certify signs a host's key.
func certify(t *testing.T, authority, host ssh.Signer, name string) ssh.Signer {
	t.Helper()
	cert := &ssh.Certificate{Key: host.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{name}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(cert, host)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func TestWithWhichKeysWeLogIn(t *testing.T) {
	login := func(e *LoginError) func(error) bool {
		return func(err error) bool {
			got, ok := errors.AsType[*LoginError](err)
			return ok && len(got.Offered) == len(e.Offered) && len(got.Locked) == len(e.Locked) && (got.Agent != nil) == (e.Agent != nil)
		}
	}
	file := func(locked bool) func(error) bool {
		return func(err error) bool {
			got, ok := errors.AsType[*KeyFileError](err)
			return ok && got.Locked == locked
		}
	}
	any := errors.New("any")
	tests := []struct {
		name string
		has  func(*testing.T, *visitor)
		why  func(error) bool // nil: it lets us in
	}{
		{"that of a file", func(*testing.T, *visitor) {}, nil},
		{"that of the agent", func(t *testing.T, v *visitor) { v.hasAgent(t); v.KeyFiles = nil }, nil},
		{"a file with a passphrase that the agent has", func(t *testing.T, v *visitor) {
			v.writes(t, "id_ed25519", v.locked(t))
			v.hasAgent(t)
			v.KeyFile = v.file("id_ed25519")
		}, nil},
		{"a file with a passphrase", func(t *testing.T, v *visitor) { v.writes(t, "id_ed25519", v.locked(t)) }, login(&LoginError{Locked: []string{""}})},
		{"that file by its name", func(t *testing.T, v *visitor) {
			v.writes(t, "id_ed25519", v.locked(t))
			v.KeyFile = v.file("id_ed25519")
		}, file(true)},
		{"no file of that name", func(t *testing.T, v *visitor) { v.KeyFile = v.file("none") }, file(false)},
		{"a file that is no key", func(t *testing.T, v *visitor) { v.KeyFile = v.file("known_hosts") }, file(false)},
		{"no key", func(t *testing.T, v *visitor) { v.KeyFiles = nil }, login(&LoginError{})},
		{"no key, and the agent has gone", func(t *testing.T, v *visitor) { v.KeyFiles, v.Agent = nil, v.file("gone") }, login(&LoginError{Agent: any})},
		{"another's key", func(t *testing.T, v *visitor) {
			v.key, _ = newKey(t)
			v.writes(t, "id_ed25519", v.pem(t))
		}, login(&LoginError{Offered: []string{""}})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, v := acquainted(t)
			tt.has(t, v)
			link, err := v.dial(t.Context())
			if err == nil {
				link.close()
			}
			if tt.why == nil && err != nil || tt.why != nil && !tt.why(err) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE KEY") {
				t.Errorf("it tells of the key: %v", err)
			}
		})
	}
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
