package replay

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
)

// BenchmarkReplay: recorded requests read, rewritten for their target and sent as fast as possible, their responses
// read and compared with those of then, against a loop of raw connections that write prebuilt bytes and read as many
// bytes as the response has. Both take turns; what counts is the ratio.
func BenchmarkReplay(b *testing.B) {
	for _, senders := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) { compareWithLoop(b, senders) })
	}
}

const (
	replayPer  = 100 // sends of a sender in one turn
	replayTurn = 4   // turns of each side in one iteration
)

var benchResponse = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}")

func compareWithLoop(b *testing.B, senders int) {
	app := startBenchApp(b)
	body := `{"event":"order.paid","data":"` + strings.Repeat("x", 1024-32) + `"}`
	recorded := fmt.Appendf(nil, "POST /hooks/orders HTTP/1.1\r\nHost: hooks.example.com\r\nUser-Agent: bench/1\r\n"+
		"Content-Type: application/json\r\nX-Signature: sha256=0123456789abcdef\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	aim := Aim{Route: wire.Route{URL: app}, Timeouts: wire.Timeouts{FirstByte: time.Minute}}
	client := &wire.Client{MaxIdle: senders}
	b.Cleanup(client.Close)
	sender := &Sender{Client: client}
	conns := make([]net.Conn, senders)
	for i := range conns {
		conn, err := net.Dial("tcp", app.Host)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		conns[i] = conn
	}
	then, err := ReadThen(bytes.NewReader(benchResponse), "POST")
	if err != nil {
		b.Fatal(err)
	}
	ours := func(int) error { return replayOnce(b, sender, recorded, aim, then) }
	loop := func(n int) error { return writeAndRead(conns[n], recorded) }
	turn(b, senders, ours)
	turn(b, senders, loop)
	var ourTime, loopTime time.Duration
	turns := 0
	for b.Loop() {
		for range replayTurn {
			ourTime += turn(b, senders, ours)
			loopTime += turn(b, senders, loop)
			turns++
		}
	}
	sends := float64(turns * senders * replayPer)
	b.ReportMetric(sends/ourTime.Seconds(), "sends/s")
	b.ReportMetric(sends/loopTime.Seconds(), "reference-sends/s")
	b.ReportMetric(loopTime.Seconds()/ourTime.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
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

func replayOnce(b *testing.B, s *Sender, recorded []byte, aim Aim, then *Response) error {
	request, err := Load(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(recorded)), nil })
	if err != nil {
		return err
	}
	result, err := s.Send(b.Context(), request, aim)
	if err != nil {
		return err
	}
	if result.Err != nil {
		return result.Err
	}
	defer result.Kept.Close()
	if d := Compare(then, result.Response); d.Any() {
		return fmt.Errorf("the response differs: %+v", d)
	}
	return nil
}

func writeAndRead(conn net.Conn, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	buf := make([]byte, len(benchResponse))
	_, err := io.ReadFull(conn, buf)
	return err
}

// startBenchApp is an app that costs as little as can be.
func startBenchApp(b *testing.B) *url.URL {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &wire.Server{Serve: func(x *wire.Exchange) {
		io.Copy(io.Discard, x)
		x.Write(benchResponse)
	}}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(l) }()
	b.Cleanup(func() {
		s.Close()
		<-ran
	})
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}
