package replay

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/relay/wire/wiretest"
)

// replayPer is how many sends a sender makes in one turn.
const replayPer = 200

// BenchmarkReplay: a Run that has recorded requests read, rewritten for their target and sent as fast as possible, their
// responses read and compared with those of then, against as many connections that write prebuilt bytes and read the
// responses to their ends, in two ways.
func BenchmarkReplay(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(GCPercent)) // as the command has it
	for _, senders := range []int{1, 16, 64} {
		for _, reference := range []struct {
			name string
			dial func(*testing.B, *wiretest.Peer) exchange
		}{{"raw", dialRaw}, {"http", dialHTTP}} {
			b.Run(fmt.Sprintf("senders=%d/reference=%s", senders, reference.name), func(b *testing.B) {
				peer, recorded := wiretest.Start(b), wiretest.Request()
				conns := make([]exchange, senders)
				for i := range conns {
					conns[i] = reference.dial(b, peer)
				}
				r := newBenchReplay(b, recorded, Aim{Route: wire.Route{URL: peer.App()}, Timeouts: wire.Timeouts{FirstByte: time.Minute}})
				ours := func() time.Duration { return r.turn(senders) }
				loop := func() time.Duration { return loopTurn(b, conns, recorded) }
				wiretest.Compare(b, senders*replayPer, ours, loop)
			})
		}
	}
}

// exchange sends a request over a connection of its own, and reads the response.
type exchange func(request []byte) error

// dialRaw parses nothing of the responses but their Content-Length.
func dialRaw(_ *testing.B, peer *wiretest.Peer) exchange { return peer.DialApp().Exchange }

// dialHTTP has net/http read the responses, as a client does that was written in an hour.
func dialHTTP(b *testing.B, peer *wiretest.Peer) exchange {
	conn, err := net.Dial("tcp", peer.App().Host)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	in := bufio.NewReader(conn)
	return func(request []byte) error {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if _, err = io.Copy(io.Discard, response.Body); err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", response.StatusCode)
		}
		return err
	}
}

// loopTurn lets all connections send, and says how long it took.
func loopTurn(b *testing.B, conns []exchange, request []byte) time.Duration {
	began := time.Now()
	var all sync.WaitGroup
	for _, exchange := range conns {
		all.Go(func() {
			for range replayPer {
				if err := exchange(request); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

// benchReplay replays one record.
type benchReplay struct {
	b        *testing.B
	recorded []byte
	sender   Sender
	aim      Aim
	then     *Response
}

func newBenchReplay(b *testing.B, recorded []byte, aim Aim) *benchReplay {
	client := new(wire.Client)
	b.Cleanup(client.Close)
	then, err := ReadThen(opener(wiretest.Response), "POST")
	if err != nil {
		b.Fatal(err)
	}
	return &benchReplay{b: b, recorded: recorded, sender: Sender{Client: client}, aim: aim, then: then}
}

// turn replays with so many senders, and says how long it took.
func (r *benchReplay) turn(senders int) time.Duration {
	shots := func(yield func(Shot, error) bool) {
		for range senders * replayPer {
			if !yield(&benchShot{benchReplay: r}, nil) {
				return
			}
		}
	}
	began := time.Now()
	if err := Run(r.b.Context(), shots, Options{Concurrency: senders}); err != nil {
		r.b.Error(err)
	}
	return time.Since(began)
}

// benchShot is the record on its way.
type benchShot struct {
	*benchReplay
	request *Request
}

func (s *benchShot) Recorded() (at time.Time, key string) { return time.Time{}, "" }

func (s *benchShot) Prepare(context.Context) (err error) {
	s.request, err = Parse(bytes.Clone(s.recorded)) // as the tape gives them
	return err
}

func (s *benchShot) Send(context.Context, time.Time) error {
	_, err := s.send()
	return err
}

// send does not end with its turn: the next one has the connections, as the reference has its own.
func (s *benchShot) send() (*Result, error) {
	result, err := s.sender.Send(s.b.Context(), s.request, s.aim)
	if err != nil {
		return nil, err
	}
	if result.Err != nil {
		return nil, result.Err
	}
	defer result.Kept.Close()
	if d := Compare(s.then, result.Response, nil); d.Any() {
		return nil, fmt.Errorf("the response differs: %+v", d)
	}
	return result, nil
}
