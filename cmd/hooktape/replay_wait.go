package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"
)

// awaiting waits for targets to come up, each once.
type awaiting struct {
	patience time.Duration // 0: nobody is waited for
	tell     func(host string)

	mu sync.Mutex           // guards up
	up map[string]chan bool // by host and port; closed when it is waited for no more
}

const (
	// probeEvery is how often it is looked whether a target is up.
	probeEvery = 100 * time.Millisecond
	// probeTimeout is how long a connection may take that is only to see.
	probeTimeout = time.Second
)

// wait returns when a target takes connections, or patience is over: then the send says why it is away.
func (a *awaiting) wait(ctx context.Context, target *url.URL) {
	if a.patience == 0 {
		return
	}
	addr := hostPort(target)
	a.mu.Lock()
	over, known := a.up[addr]
	if !known {
		over = make(chan bool)
		a.up[addr] = over
	}
	a.mu.Unlock()
	if known {
		<-over
		return
	}
	defer close(over)
	a.probe(ctx, addr)
}

func (a *awaiting) probe(ctx context.Context, addr string) {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	for told := false; ctx.Err() == nil; told = true {
		dialer := net.Dialer{Timeout: probeTimeout}
		if conn, err := dialer.DialContext(ctx, "tcp", addr); err == nil {
			conn.Close()
			return
		}
		if !told {
			a.tell(addr)
		}
		select {
		case <-time.After(probeEvery):
		case <-ctx.Done():
		}
	}
}

// hostPort is where a URL is connected to.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func (r *replayer) newAwaiting() *awaiting {
	return &awaiting{patience: r.wait, up: make(map[string]chan bool), tell: func(addr string) {
		fmt.Fprintf(r.env.stderr, "waiting up to %v for %s\n", r.wait, addr)
	}}
}
