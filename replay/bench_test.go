package replay

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/relay/wire/wiretest"
)

// replayPer is how many sends a sender makes in one turn.
const replayPer = 200

// BenchmarkReplay: recorded requests read, rewritten for their target and sent as fast as possible, their responses
// read and compared with those of then, against as many raw connections that write prebuilt bytes and read the
// responses to their ends, which they look for in the Content-Length.
func BenchmarkReplay(b *testing.B) {
	for _, senders := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			peer, recorded := wiretest.Start(b), wiretest.Request()
			raw := make([]*wiretest.Raw, senders)
			for i := range raw {
				raw[i] = peer.DialApp()
			}
			r := newBenchReplay(b, recorded, Aim{Route: wire.Route{URL: peer.App()}, Timeouts: wire.Timeouts{FirstByte: time.Minute}})
			ours := func() time.Duration { return turn(b, senders, func(int) error { return r.once(b) }) }
			loop := func() time.Duration {
				return turn(b, senders, func(n int) error { return raw[n].Exchange(recorded) })
			}
			wiretest.Compare(b, senders*replayPer, ours, loop)
		})
	}
}

// turn lets all senders send, and says how long it took.
func turn(b *testing.B, senders int, send func(sender int) error) time.Duration {
	began := time.Now()
	var all sync.WaitGroup
	for n := range senders {
		all.Go(func() {
			for range replayPer {
				if err := send(n); err != nil {
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
	return &benchReplay{recorded: recorded, sender: Sender{Client: client}, aim: aim, then: then}
}

func (r *benchReplay) load() (*Request, error) {
	return Parse(bytes.Clone(r.recorded)) // as the tape gives them
}

func (r *benchReplay) once(b *testing.B) error {
	request, err := r.load()
	if err != nil {
		return err
	}
	result, err := r.sender.Send(b.Context(), request, r.aim)
	if err != nil {
		return err
	}
	if result.Err != nil {
		return result.Err
	}
	defer result.Kept.Close()
	if d := Compare(r.then, result.Response, nil); d.Any() {
		return fmt.Errorf("the response differs: %+v", d)
	}
	return nil
}
