package main

import (
	"testing"

	"github.com/hooktape/hooktape/relay/config"
)

func TestWhereSendersReachASource(t *testing.T) {
	const base = "http://127.0.0.1:7070"
	for _, test := range []struct{ public, own, host, want string }{
		{"", "", "", "http://127.0.0.1:7070/p"},
		{"", "", "hooks.example.com", "http://hooks.example.com:7070/p"},
		{"https://hooks.example.com/in", "", "other.example.com", "https://hooks.example.com/in/p"},
		{"https://hooks.example.com", "https://own.example.com", "", "https://own.example.com/p"},
	} {
		got := sourceURL(&config.Config{PublicURL: test.public}, &config.Source{Path: "/p", Host: test.host, PublicURL: test.own}, base)
		if got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}
