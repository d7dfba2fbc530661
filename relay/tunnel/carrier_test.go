package tunnel

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// TestALineThatIsSlowToTakeAPingIsNotGivenUp: after much that the kernel has yet to send there may be no room for one byte.
func TestALineThatIsSlowToTakeAPingIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		go func() {
			if r, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
				_, _ = new(websocket.Upgrader).Upgrade(&hijacker{far}, r, nil)
			}
		}()
		dialer := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil }}
		ws, answer, err := dialer.DialContext(t.Context(), "ws://edge/", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		timing := Timing{Ping: time.Second}.withDefaults()
		c := newCarrier(ws, timing)
		time.Sleep(timing.Ping + writeTime/2) // the far end takes nothing meanwhile
		go func() { _, _ = io.Copy(io.Discard, far) }()
		time.Sleep(2 * timing.Ping)
		h := frameHeader{1: kindWindow, 11: 1}
		if _, err := c.Write(h[:]); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if err := c.failure(); err != nil {
			t.Errorf("the line was given up: %v", err)
		}
		_ = c.Close()
	})
}

// TestAFrameThatIsBegunIsWritten: the other end takes nothing of a frame before it is whole, so it must not stop after a
// header that was the last to fit.
func TestAFrameThatIsBegunIsWritten(t *testing.T) {
	for short := range 2 * len(frameHeader{}) {
		synctest.Test(t, func(t *testing.T) {
			c := new(carrier)
			c.room.L, c.due.L = &c.mu, &c.mu
			write := func(size int) { // as yamux does
				var header frameHeader
				binary.BigEndian.PutUint32(header[8:], uint32(size))
				for _, p := range [][]byte{header[:], make([]byte, size)} {
					if n, err := c.Write(p); n != len(p) || err != nil {
						t.Fatal(n, err)
					}
				}
			}
			write(gatherMost - len(frameHeader{}) - short)
			write(1 << 10)

			written := make(chan struct{})
			go func() {
				write(1)
				close(written)
			}()
			synctest.Wait()
			select {
			case <-written:
				t.Error("more waits than may")
			default:
			}
			if message, ok := c.gather(nil); !ok || len(message) <= gatherMost {
				t.Errorf("%d bytes were taken", len(message))
			}
			<-written
		})
	}
}
