package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/provider"
)

// TestEverySampleIsTakenByItsProvider: what trigger sends passes the check of a source of that provider, and has a name.
func TestEverySampleIsTakenByItsProvider(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	config := ""
	sent := 0
	for _, p := range provider.All() {
		if !canSign(p) {
			continue
		}
		u.writes(p.Name+".secret", secretFor(t, p.Name))
		config += fmt.Sprintf("source %q {\n  path = \"/%s\"\n  provider = %q\n  secrets = [file(\"%s.secret\")]\n  allow = [\"127.0.0.0/8\"]\n}\n",
			p.Name, p.Name, p.Name, p.Name)
	}
	agent := u.start("run", "--config", u.writes("hooktape.hcl", config))
	for _, p := range provider.All() {
		samples, err := p.Samples(time.Now(), "1")
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range samples {
			if !canSign(p) {
				break
			}
			u.run("trigger", p.Name, sample.Event, "--to", agent.url+"/"+p.Name, "--secret-file", p.Name+".secret")
			sent++
		}
	}
	lines := strings.Split(strings.TrimSpace(string(u.run("list", "--json", "--limit", "1000"))), "\n")
	if len(lines) != sent {
		t.Errorf("%d records of %d events", len(lines), sent)
	}
	for _, line := range lines {
		checkTaken(t, line)
	}
}

func checkTaken(t *testing.T, line string) {
	t.Helper()
	var rec struct {
		Source, Verdict, Event string
		Verified               bool
	}
	if err := json.Unmarshal([]byte(line), &rec); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	p, _ := provider.Named(rec.Source)
	named := p.Event == "" || rec.Event != ""
	if !rec.Verified || rec.Verdict != "handshake" && (rec.Verdict != "accepted" || !named) {
		t.Errorf("%s: %s", p.Name, line)
	}
}

// canSign says whether anybody with the secret can sign as p: if keys are fetched, only the sender can.
func canSign(p *provider.Provider) bool {
	return p.Scheme != nil && !p.Keyless && p.Needs == nil
}

// secretFor makes a new secret of the form that the provider hands out.
func secretFor(t *testing.T, name string) string {
	t.Helper()
	random := make([]byte, 32)
	rand.Read(random)
	switch name {
	case "discord":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(private)
	case "sendgrid":
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(der)
	case "standard-webhooks", "svix", "clerk":
		return "whsec_" + base64.StdEncoding.EncodeToString(random)
	case "basic":
		return "user:" + hex.EncodeToString(random)
	}
	return hex.EncodeToString(random)
}
