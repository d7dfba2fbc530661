// Package acmetest runs a CA for tests: Pebble, Let's Encrypt's own for this. All names lead to 127.0.0.1.
//
// It runs in a process of its own, the test binary started again: it has goroutines that can't be ended, and is told by the
// environment not to sleep between its questions.
package acmetest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// caEnv makes a test binary the CA.
const caEnv = "HOOKTAPE_TEST_CA"

// Main makes this process the CA, and never returns then. TestMain calls it first.
func Main() {
	if os.Getenv(caEnv) == "" {
		return
	}
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// CA is a CA that runs.
type CA struct {
	Directory string // its URL
	RootsFile string // in PEM: who vouches for the CA itself, to whom it speaks TLS
	Stop      func() // ends it; the end of the test does, too

	own    *x509.CertPool // RootsFile
	issued *x509.CertPool // what its certificates rest on
}

// asked is what the process is told, and told what it answers, each in a line of JSON.
type (
	asked struct{ TLSPort, HTTPPort int }
	told  struct {
		Directory   string
		Own, Issued []byte // in PEM
	}
)

// Start starts a CA that asks who answers for a name at these addresses of 127.0.0.1.
func Start(t testing.TB, overTLS, overHTTP string) *CA {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), caEnv+"=1", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0")
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if inErr != nil || outErr != nil {
		t.Fatal(inErr, outErr)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &CA{Stop: sync.OnceFunc(func() {
		in.Close()
		_ = cmd.Wait() // with the race detector it ends badly: Pebble has races
	})}
	t.Cleanup(c.Stop)
	var answer told
	if err := json.NewEncoder(in).Encode(asked{portOf(t, overTLS), portOf(t, overHTTP)}); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(out).Decode(&answer); err != nil {
		t.Fatalf("the CA did not start: %v", err)
	}
	c.Directory, c.RootsFile = answer.Directory, filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(c.RootsFile, answer.Own, 0o600); err != nil {
		t.Fatal(err)
	}
	c.own, c.issued = pool(t, answer.Own), pool(t, answer.Issued)
	return c
}

func portOf(t testing.TB, addr string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func pool(t testing.TB, pem []byte) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate: %q", pem)
	}
	return p
}

// Transport reaches the CA.
func (c *CA) Transport() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.own}}
}

// Trusts is what a sender has who trusts the CA's certificates, and wants to see one for a name.
func (c *CA) Trusts(name string) *tls.Config { return &tls.Config{RootCAs: c.issued, ServerName: name} }
