package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hooktape/hooktape/relay/tunnel"
)

func TestWhatAnEdgeSaysMovesNoCursor(t *testing.T) {
	said := errors.New("go away\x1b[2J\r")
	for _, c := range []tunnel.Change{{First: true, Err: said}, {Err: said}, {Unheard: true, Err: said}} {
		var b bytes.Buffer
		(&screen{Writer: &b}).uplink(c)
		if shown := b.String(); strings.ContainsAny(shown, "\x1b\r") || !strings.Contains(shown, `go away\x1b[2J\x0d`) {
			t.Errorf("%+v is shown as %q", c, shown)
		}
	}
}

func TestWhatAnSSHServerIsCalled(t *testing.T) {
	for text, want := range map[string][3]string{
		"me@h.example.com":          {"me", "h.example.com", ""},
		"h":                         {"", "h", ""},
		"me@H:2222":                 {"me", "H", "2222"},
		"ssh://me@h:2222/":          {"me", "h", "2222"},
		"first@corp@h":              {"first@corp", "h", ""},
		"me@[2001:db8::1]:2222":     {"me", "2001:db8::1", "2222"},
		"me@[2001:db8::1]":          {"me", "2001:db8::1", ""},
		"me@2001:db8::1":            {"me", "2001:db8::1", ""},
		"":                          {},
		"me@":                       {},
		"me:word@h":                 {},
		"me@h:":                     {},
		"me@h:0":                    {},
		"me@h:65536":                {},
		"me@h/path":                 {},
		"me@h -oProxyCommand=rm":    {},
		"me@[2001:db8::1":           {"me", "2001:db8::1", ""},
		"me@h$(rm)":                 {},
		"https://hooks.example.com": {},
	} {
		s, err := parseSSH(text)
		if (err != nil) != (want == [3]string{}) || err == nil && [3]string{s.User, s.Host, s.Port} != want {
			t.Errorf("%q: %q %q %q, %v", text, s.User, s.Host, s.Port, err)
		}
	}
}

func TestWhatTheConfigOfSSHSaysOfAHost(t *testing.T) {
	home := t.TempDir()
	config := filepath.Join(home, "config")
	text := `User anybody
Host lab *.lab
  HostName %h.example.com
  Port 2222
  User me
  IdentityFile ~/keys/lab
  IdentityFile "%d/%r-%h"
Host plain
Host jump
  ProxyJump gate
Host none
  ProxyCommand none
Host wrong
  Port ssh
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := "/usual"
	labs := filepath.Join(home, "keys/lab") + " " + home + "/anybody-lab.example.com"
	for given, want := range map[string]string{
		"lab":         "anybody@lab.example.com:2222 " + labs, // the first value counts
		"you@lab:22":  "you@lab.example.com:22 " + labs,
		"plain":       "anybody@plain: " + keys,
		"none":        "anybody@none: " + keys,
		"elsewhere:1": "anybody@elsewhere:1 " + keys,
		"jump":        "",
		"wrong":       "",
	} {
		s, err := parseSSH(given)
		if err != nil {
			t.Fatal(err)
		}
		s.KeyFiles = []string{keys}
		said, err := readSSHHost(config, home, s.Host)
		if err != nil {
			t.Fatal(err)
		}
		err = said.apply(&s)
		got := fmt.Sprintf("%s@%s:%s %s", s.User, s.Host, s.Port, strings.Join(s.KeyFiles, " "))
		if (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("%s: %s, %v", given, got, err)
		}
	}
	if said, err := readSSHHost(filepath.Join(home, "none"), home, "lab"); err != nil || said.name != "" {
		t.Errorf("without a file: %+v, %v", said, err)
	}
}
