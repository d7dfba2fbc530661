package store_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hooktape/hooktape/store"
)

// BenchmarkReceive puts the same net/http server in front of the store and of groupFile: this is what a durable receive
// costs beside all else that a server does. The metric to look at is ratio.
func BenchmarkReceive(b *testing.B) {
	for _, connections := range []int{64, 256} {
		b.Run(fmt.Sprint(connections), func(b *testing.B) {
			s := openStore(b, tape(b), store.Options{})
			g, err := newGroupFile(filepath.Join(b.TempDir(), "lines"))
			noError(b, err)
			var file sync.WaitGroup
			file.Go(func() {
				if err := g.run(); err != nil {
					b.Error(err)
				}
			})
			toStore := newSenders(b, connections, func() { appendDocument(b, s) })
			toFile := newSenders(b, connections, func() { g.append(document) })
			var stored, filed, rounds float64
			for b.Loop() {
				stored += 1 / toStore.send(connections*20)
				filed += 1 / toFile.send(connections*20)
				rounds++
			}
			g.close()
			file.Wait()
			st := s.Stats()
			b.ReportMetric(rounds/stored, "receives/s")
			b.ReportMetric(rounds/filed, "lines/s")
			b.ReportMetric(filed/stored, "ratio")
			b.ReportMetric(float64(st.Changes)/float64(st.Commits), "group")
		})
	}
}

// senders are connections to a server that is theirs alone, which reads each request and calls keep before it answers.
type senders struct {
	b     *testing.B
	idle  chan *bufio.ReadWriter
	bytes []byte
	n     int
}

func newSenders(b *testing.B, n int, keep func()) *senders {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			b.Error(err)
		}
		keep()
		w.WriteHeader(http.StatusOK)
	}))
	b.Cleanup(server.Close)
	s := &senders{b: b, n: n, idle: make(chan *bufio.ReadWriter, n)}
	s.bytes = fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(document), document)
	for range n {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		noError(b, err)
		b.Cleanup(func() { c.Close() })
		s.idle <- bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c))
	}
	return s
}

func (s *senders) send(total int) float64 {
	return many(s.n, total, func() {
		c := <-s.idle
		defer func() { s.idle <- c }()
		c.Write(s.bytes)
		c.Flush()
		if resp, err := http.ReadResponse(c.Reader, nil); err != nil || resp.StatusCode != http.StatusOK {
			s.b.Error(resp, err)
		}
	})
}
