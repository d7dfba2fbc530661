package main

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

func TestAnAppIsWaitedForAndThatIsSaidOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	told := 0
	a := &awaiting{patience: time.Minute, up: make(map[string]chan bool), tell: func(host string) {
		if told++; host != addr {
			t.Errorf("waiting for %s", host)
		}
		if l, err = net.Listen("tcp", addr); err != nil { // it comes up when it is seen to be down
			t.Error(err)
		}
	}}
	defer func() { l.Close() }()
	var all sync.WaitGroup
	for range 3 { // and for what its responses are compared with
		all.Go(func() { a.wait(t.Context(), nil, &url.URL{Scheme: "http", Host: addr}) })
	}
	all.Wait()
	if told != 1 {
		t.Errorf("it was said %d times", told)
	}
}

func TestAnAppIsWaitedForOnlySoLong(t *testing.T) {
	away := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	(&awaiting{up: make(map[string]chan bool)}).wait(t.Context(), away) // not at all
	a := &awaiting{patience: 10 * time.Millisecond, up: make(map[string]chan bool), tell: func(string) {}}
	a.wait(t.Context(), away)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a = &awaiting{patience: time.Hour, up: make(map[string]chan bool), tell: func(string) {}}
	a.wait(ctx, away)
}
