package main

import (
	"bytes"
	"errors"
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
		"me@h.example.com":          {"me", "h.example.com", "22"},
		"h":                         {"", "h", "22"},
		"me@H:2222":                 {"me", "h", "2222"},
		"ssh://me@h:2222/":          {"me", "h", "2222"},
		"first@corp@h":              {"first@corp", "h", "22"},
		"me@[2001:db8::1]:2222":     {"me", "2001:db8::1", "2222"},
		"me@[2001:db8::1]":          {"me", "2001:db8::1", "22"},
		"me@2001:db8::1":            {"me", "2001:db8::1", "22"},
		"":                          {},
		"me@":                       {},
		"me:word@h":                 {},
		"me@h:":                     {},
		"me@h:0":                    {},
		"me@h:65536":                {},
		"me@h/path":                 {},
		"me@h -oProxyCommand=rm":    {},
		"me@[2001:db8::1":           {"me", "2001:db8::1", "22"},
		"me@h$(rm)":                 {},
		"https://hooks.example.com": {},
	} {
		s, err := parseSSH(text)
		if (err != nil) != (want == [3]string{}) || err == nil && [3]string{s.User, s.Host, s.Port} != want {
			t.Errorf("%q: %q %q %q, %v", text, s.User, s.Host, s.Port, err)
		}
	}
}
