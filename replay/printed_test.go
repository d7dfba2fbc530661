package replay_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
)

// printed stands in for a *testing.T whose tests may fail: it prints what becomes of them.
type printed struct {
	to     io.Writer // nil: stdout
	name   string    // of a subtest, with what is behind it
	failed bool
}

func (p *printed) Helper()                  {}
func (p *printed) Context() context.Context { return context.Background() }

func (p *printed) Logf(format string, args ...any) {
	to := p.to
	if to == nil {
		to = os.Stdout
	}
	fmt.Fprintf(to, p.name+format+"\n", args...)
}

func (p *printed) Errorf(format string, args ...any) {
	p.failed = true
	p.Logf(format, args...)
}

func (p *printed) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	runtime.Goexit()
}

// Run runs a subtest, to its end or its first fatal failure.
func (p *printed) Run(name string, f func(*printed)) bool {
	sub := &printed{to: p.to, name: name + ": "}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(sub)
	}()
	<-ended
	if !sub.failed {
		sub.Logf("ok")
	}
	p.failed = p.failed || sub.failed
	return !sub.failed
}
