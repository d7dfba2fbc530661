package tunnel

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
)

// TestAFrameThatIsBegunIsWritten: nothing is taken of a frame before it is whole, so it must not wait where its header was
// the last that had room.
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
