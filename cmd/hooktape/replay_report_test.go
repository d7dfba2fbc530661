package main

import (
	"context"
	"errors"
	"testing"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/replay"
	tapefile "github.com/hooktape/hooktape/replay/tape"
)

func TestABodyThatWasSentInPlaceOfTheRecordedOneCountsWhileItWaits(t *testing.T) {
	body := make([]byte, 1<<10)
	for _, c := range []struct {
		p    played
		want int64
	}{
		{played{}, 0},
		{played{now: &replay.Result{}}, 0},
		{played{now: &replay.Result{Body: body}}, 1 << 10},
		{played{now: &replay.Result{Body: body}, beside: &replay.Result{Body: body}}, 2 << 10},
		{played{now: &replay.Result{Body: make([]byte, unreportedBytes+1)}}, unreportedBytes},
	} {
		if n := c.p.inMemory(); n != c.want {
			t.Errorf("%d bytes, want %d", n, c.want)
		}
	}
}

func TestAnInterruptDoesNotPassForTheEndOfWhatWasAccepted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	a := &accepting{ctx: ctx, next: func() (inspect.Playable, error, bool) {
		interrupt()
		return inspect.Playable{}, nil, false
	}}
	if _, err := a.accepted(0, new(tapefile.Recording)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
