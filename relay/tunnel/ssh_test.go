package tunnel

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

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
		{"known by who signs keys, and shows one that is not signed", []ssh.Signer{host}, "@cert-authority ADDR 0\n", []ssh.Signer{authority},
			func(e *HostKeyError) bool { return e.Known == nil && e.Err == nil }},
		{"known between lines that can't be read", []ssh.Signer{host}, "ADDR ssh-ed25519 nonsense\nADDR\n@none ADDR 0\nADDR 0\nADDR ssh-rsa AAAA\n",
			[]ssh.Signer{host}, nil},
		{"known between lines whose hosts are none, and one that is too long", []ssh.Signer{host},
			"|1|no|hash 0\n|1|AAAA 0\n|2|AAAA|AAAA 0\n[half 0\n[::1] 0\nx,! 0\n\v\nADDR 0\n#" + strings.Repeat("long", 20_000) + "\n",
			[]ssh.Signer{host}, nil},
		{"changed, behind a line that can't be read", []ssh.Signer{host}, "nonsense ssh-rsa AAAA\nADDR 0\n", []ssh.Signer{other},
			func(e *HostKeyError) bool { return len(e.Known) == 1 && strings.Contains(e.Known[0], "known_hosts:2 ") }},
		{"revoked behind a line that can't be read", []ssh.Signer{host}, "nonsense\nADDR 0\n@revoked * 0\n", []ssh.Signer{host},
			func(e *HostKeyError) bool { return e.Revoked && strings.Contains(e.Known[0], "known_hosts:3 ") }},
		{"in a line that can't be read", []ssh.Signer{host}, "ADDR ssh-ed25519 nonsense\n", nil,
			func(e *HostKeyError) bool { return e.Known == nil && e.Err == nil }},
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

func TestLinesOfKnownHostsThatCannotBeReadAreNamedOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte("# a comment\n\nh ssh-ed25519 nonsense\n@none h ssh-ed25519 AAAA\nword\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var told []string
	f := NewForward(SSHServer{Host: "127.0.0.1", Port: "0", KnownHosts: []string{file}}, 0)
	f.Tell = func(c Change) { told = append(told, c.Unread...) }
	for range 2 {
		if _, _, err := f.connect(t.Context()); err == nil {
			t.Error("port 0 is there")
		}
	}
	if len(told) != 3 || !strings.HasPrefix(told[0], file+":3: ") || !strings.HasPrefix(told[2], file+":5: ") {
		t.Errorf("told %q", told)
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

// mute is an agent that stops answering, at first or when it should sign, until end is closed.
type mute struct {
	agent.Agent
	lists      bool
	asked, end chan struct{}
}

func (m *mute) List() ([]*agent.Key, error) {
	if m.lists {
		return m.Agent.List()
	}
	return nil, m.hang()
}

func (m *mute) Sign(ssh.PublicKey, []byte) (*ssh.Signature, error) { return nil, m.hang() }

func (m *mute) hang() error {
	m.asked <- struct{}{}
	<-m.end
	return errors.New("it was mute")
}

func TestAnAgentThatSaysNothingHoldsUpNoStop(t *testing.T) {
	for _, lists := range []bool{false, true} {
		_, v := acquainted(t)
		ring := agent.NewKeyring()
		if err := ring.Add(agent.AddedKey{PrivateKey: v.key}); err != nil {
			t.Fatal(err)
		}
		m := &mute{ring, lists, make(chan struct{}, 1), make(chan struct{})}
		v.asks(t, m)
		t.Cleanup(func() { close(m.end) }) // before the agent is waited for
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- NewForward(v.SSHServer, 0).Run(ctx) }()
		receive(t, m.asked)
		cancel()
		if err := receive(t, ran); err != nil {
			t.Errorf("Run returned %v", err)
		}
	}
}
