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

// wait returns when all targets take connections, or patience is over: then the send says why one is away. A target may
// be nil.
func (a *awaiting) wait(ctx context.Context, targets ...*url.URL) {
	var all sync.WaitGroup
	for _, target := range targets {
		if target != nil && a.patience > 0 {
			all.Go(func() { a.waitFor(ctx, hostPort(target)) })
		}
	}
	all.Wait()
}

// waitFor waits for a host and port. Of many who wait for the same, one looks.
func (a *awaiting) waitFor(ctx context.Context, addr string) {
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
	_ = a.until(ctx, addr, func(ctx context.Context) error {
		dialer := net.Dialer{Timeout: probeTimeout}
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// until tries something with addr again and again until it succeeds or patience is over: then the error is its last one.
func (a *awaiting) until(ctx context.Context, addr string, try func(context.Context) error) error {
	trying, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	err := try(ctx)
	for told := false; err != nil && trying.Err() == nil; told = true {
		if !told {
			a.tell(addr)
		}
		select {
		case <-time.After(probeEvery):
		case <-trying.Done():
			return err
		}
		if again := try(trying); again == nil || trying.Err() == nil { // else it says only that time is over
			err = again
		}
	}
	return err
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
