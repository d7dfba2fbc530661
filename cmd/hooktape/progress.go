package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	// progressEvery is how often a bar is drawn again.
	progressEvery = 100 * time.Millisecond
	// progressWidth is the length of a bar in characters.
	progressWidth = 24
)

// progress is a bar on a terminal that shows how far a command has got. Only one goroutine at a time may use it.
type progress struct {
	to    io.Writer // nil: not a terminal, so nothing is shown
	now   func() time.Time
	drawn time.Time
}

// progress makes a bar on stderr.
func (e *env) progress() *progress {
	p := &progress{now: e.now}
	if isTerminal(e.stderr) {
		p.to = e.stderr
	}
	return p
}

// show draws how much of all is done; all is 0 when that is not known.
func (p *progress) show(done, all int64, about func() string) {
	if p.to == nil {
		return
	}
	now := p.now()
	if now.Sub(p.drawn) < progressEvery {
		return
	}
	p.drawn = now
	fmt.Fprintf(p.to, "\r\x1b[K%s%s", bar(done, all), about())
}

// bar is the bar itself; "" when its end is not known.
func bar(done, all int64) string {
	if all <= 0 {
		return ""
	}
	n := int(min(done, all) * progressWidth / all)
	return fmt.Sprintf("[%s%s] %3d%%  ", strings.Repeat("=", n), strings.Repeat(" ", progressWidth-n), min(done, all)*100/all)
}

// hide takes the bar away, until it is shown again.
func (p *progress) hide() {
	if p.to != nil && !p.drawn.IsZero() {
		fmt.Fprint(p.to, "\r\x1b[K")
		p.drawn = time.Time{}
	}
}
