package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hooktape/hooktape/relay/acme/acmetest"
)

const certified = "hooks.example.com"

// sender sends webhooks to a name, and trusts what a CA has given.
type sender struct{ http.Client }

func newSender(ca *acmetest.CA, name, addr string) *sender {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return &sender{http.Client{
		Timeout:   patienceOfTests,
		Transport: &http.Transport{TLSClientConfig: ca.Trusts(name), DialContext: dial, DisableKeepAlives: true},
	}}
}

func (s *sender) send(url string) (status int, body string, err error) {
	r, err := s.Post(url, "text/plain", strings.NewReader("paid"))
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return r.StatusCode, string(text), err
}

// verdicts are those of all records, in the order of the alphabet.
func (u *user) verdicts() (verdicts []string) {
	u.t.Helper()
	for _, r := range u.list() {
		verdicts = append(verdicts, r.Verdict)
	}
	slices.Sort(verdicts)
	return verdicts
}

func TestWebhooksComeOverTheCertificateOfACAWhoseQuestionsLeaveNoTrace(t *testing.T) {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		t.Skip("NOT CHECKED: a process can't be told here to trust the test's CA")
	}
	for way, overTLS := range map[string]bool{"TLS-ALPN-01": true, "HTTP-01": false} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			secure, plain := newDetour(t), newDetour(t)
			ca := acmetest.Start(t, secure.Addr, plain.Addr)
			u := newUser(t)
			u.env = append(u.env, "SSL_CERT_FILE="+ca.RootsFile)
			http := ""
			if !overTLS {
				http = `http = "127.0.0.1:0"`
			}
			config := u.writes("hooktape.hcl", fmt.Sprintf(`
tls {
  acme {
    names     = ["%s"]
    directory = "%s"
    %s
  }
}
source "orders" {
  path    = "/orders"
  respond = "ack"
}
`, certified, ca.Directory, http))
			u.start("run", "--config", config)
			if overTLS {
				secure.Lead(u.agent.addr)
			} else {
				secure.Lead("")
				plain.Lead(u.plainAddr())
			}
			u.awaitLog("certificate from the CA in use")
			u.receives(ca)
			want := []string{"accepted", "malformed"}
			if !overTLS {
				u.refusesPlain()
				want = append(want, "no_source")
			}
			ca.Stop()
			if err := u.agent.stop(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if got := u.verdicts(); !slices.Equal(got, want) {
				t.Errorf("on the tape: %v, want %v", got, want)
			}
			if out := string(u.run("check", "--config", config)); !regexp.MustCompile(certified + `: until \d`).MatchString(out) {
				t.Errorf("check says %q", out)
			}
			u.start("run", "--config", config)
			u.receives(ca)
		})
	}
}

// receives sends a webhook, and has a handshake fail to a name that is not listed.
func (u *user) receives(ca *acmetest.CA) {
	u.t.Helper()
	if status, _, err := newSender(ca, certified, u.agent.addr).send("https://" + certified + "/orders"); err != nil || status != 200 {
		u.t.Errorf("the webhook got %d, %v", status, err)
	}
	if c, err := tls.Dial("tcp", u.agent.addr, ca.Trusts("other.example.com")); err == nil {
		c.Close()
		u.t.Error("a name that is not listed has a certificate")
	}
}

// plainAddr is where the agent answers the CA.
func (u *user) plainAddr() string {
	u.t.Helper()
	return u.await(u.agent.out, regexp.MustCompile(`answering the CA on http://(\S+)\n`))[1]
}

// refusesPlain sends a webhook to where only the CA is answered.
func (u *user) refusesPlain() {
	u.t.Helper()
	c := http.Client{Timeout: patienceOfTests, Transport: &http.Transport{DisableKeepAlives: true}}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := c.Post("http://"+u.plainAddr()+"/orders", "text/plain", strings.NewReader("paid"))
	if err != nil {
		u.t.Fatal(err)
	}
	defer r.Body.Close()
	if text, err := io.ReadAll(r.Body); err != nil || r.StatusCode != 404 || !strings.Contains(string(text), "send to https") {
		u.t.Errorf("got %d %q, %v", r.StatusCode, text, err)
	}
}
