package tunnel

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
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

// newSSHServer makes a server with these host keys that lets in whoever has the key of a user.
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

// visitor is somebody who may log in to a server, with what is in their ~/.ssh.
type visitor struct {
	SSHServer
	dir string
	key ed25519.PrivateKey
}

// newVisitor makes a visitor with a key in a file, who knows the server by these keys.
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
	whole := v.file(name + ".new") // nobody reads half of it
	if err := os.WriteFile(whole, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(whole, v.file(name)); err != nil {
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

// locked is the public part of that key once it has a passphrase: making the rest takes seconds.
func (v *visitor) locked(t *testing.T) []byte {
	t.Helper()
	bytes := append([]byte("openssh-key-v1\x00"), ssh.Marshal(struct {
		Cipher, KDF, Options string
		Keys                 uint32
		Public, Private      []byte
	}{"aes256-ctr", "bcrypt", "of bcrypt", 1, signerOf(t, v.key).PublicKey().Marshal(), make([]byte, 64)})...)
	return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: bytes})
}

// hasAgent gives the visitor an agent that has their key.
func (v *visitor) hasAgent(t *testing.T) {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: v.key, Comment: "of the visitor"}); err != nil {
		t.Fatal(err)
	}
	v.asks(t, ring)
}

// asks runs an agent for the visitor.
func (v *visitor) asks(t *testing.T, of agent.Agent) {
	t.Helper()
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
				_ = agent.ServeAgent(of, c)
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
