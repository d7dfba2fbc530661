package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/wire"
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

func TestABodyThatHasNoRoomBeforeItIsSentIsMadeThen(t *testing.T) {
	bodies := make(chan string, 1)
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
	}))
	defer app.Close()
	to, err := url.Parse(app.URL)
	if err != nil {
		t.Fatal(err)
	}
	edit, err := replay.ParseSet("body=paid")
	if err != nil {
		t.Fatal(err)
	}
	client := new(wire.Client)
	defer client.Close()
	for _, room := range []int64{4, 3} {
		r := &replayer{
			flags: new(replayFlags), judge: new(judge), targets: new(awaiting), sender: replay.Sender{Client: client}, early: semaphore.NewWeighted(room),
			report: &reporter{came: make(chan played, 1), room: semaphore.NewWeighted(unreportedBytes)},
		}
		s := &shot{
			of: r, rec: &inspect.Playable{Raw: []byte("POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")},
			variation: &variation{edits: []replay.Edit{edit}}, aim: aim{Aim: replay.Aim{Route: wire.Route{URL: to}}},
		}
		if err := s.Prepare(t.Context()); err != nil || (s.request == nil) != (room < 4) {
			t.Fatalf("room for %d: %v, %+v", room, err, s.request)
		}
		if err := s.Send(t.Context(), time.Time{}); err != nil || s.unfit != "" {
			t.Fatalf("room for %d: %v, %s", room, err, s.unfit)
		}
		p := <-r.report.came
		if got := <-bodies; got != "paid" || p.now.Kept.Close() != nil || !r.early.TryAcquire(room) {
			t.Errorf("room for %d: sent %q, and gave back its room or not", room, got)
		}
	}
}
