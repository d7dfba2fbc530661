// Package wiretest is for the benchmarks of packages that send and receive over relay/wire: senders and an app in a
// process of their own, and a comparison with a reference.
//
// The process is the test binary, started again: what it costs is the same for both sides of a comparison, and neither
// its garbage nor its goroutines get between those of the side that is measured.
package wiretest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// peerEnv makes a test binary the peer process.
const peerEnv = "HOOKTAPE_BENCH_PEER"

// Response is what the app answers to every request.
const Response = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}"

// Secret is what Request is signed with: X-Signature is the HMAC-SHA256 of the body.
const Secret = "fakesecret"

// usualBody is how many bytes of JSON a usual webhook has.
const usualBody = 1024

// Request is a usual webhook with 1 KiB of JSON.
func Request() []byte { return RequestOf(usualBody) }

// RequestOf is a webhook with size bytes of JSON; 32 is the least.
func RequestOf(size int) []byte {
	body := `{"event":"order.paid","data":"` + strings.Repeat("x", size-32) + `"}`
	mac := hmac.New(sha256.New, []byte(Secret))
	mac.Write([]byte(body))
	return []byte("POST /hooks/orders HTTP/1.1\r\nHost: hooks.example.com\r\nUser-Agent: bench/1\r\n" +
		"Content-Type: application/json\r\nX-Signature: sha256=" + hex.EncodeToString(mac.Sum(nil)) + "\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// Main makes this process the peer, and never returns then. TestMain calls it first.
func Main() {
	if os.Getenv(peerEnv) == "" {
		return
	}
	if err := runPeer(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Peer is the process beside the benchmark's own.
type Peer struct {
	Body int // how many bytes of JSON the requests of Load have; Start makes them 1 KiB

	b   *testing.B
	in  *json.Encoder
	out *json.Decoder
	app *url.URL
}

// Start starts a peer, which ends with the benchmark.
func Start(b *testing.B) *Peer {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), peerEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	p := &Peer{Body: usualBody, b: b, in: json.NewEncoder(in), out: json.NewDecoder(out)}
	var at string
	if err := p.out.Decode(&at); err != nil {
		b.Fatal(err)
	}
	p.app = &url.URL{Scheme: "http", Host: at}
	return p
}

// App is where the app listens, which answers at once.
func (p *Peer) App() *url.URL { return p.app }

// DialApp connects to the app, for a reference that sends prebuilt bytes from the benchmark's own process. The
// connection is closed with the benchmark.
func (p *Peer) DialApp() *Raw {
	p.b.Helper()
	r, err := dialRaw(p.app.Host)
	if err != nil {
		p.b.Fatal(err)
	}
	p.b.Cleanup(func() { r.conn.Close() })
	return r
}

// Load has Request, with a body of p.Body bytes, sent over many connections, to each as often as each says, each after the answer to the one before,
// and returns how long that took. The connections are kept for the next time.
func (p *Peer) Load(addr string, conns, each int) time.Duration {
	p.b.Helper()
	var r report
	if err := p.in.Encode(order{addr, conns, each, p.Body}); err != nil {
		p.b.Fatal(err)
	}
	if err := p.out.Decode(&r); err != nil {
		p.b.Fatal(err)
	}
	if r.Error != "" {
		p.b.Fatal(r.Error)
	}
	return r.Took
}

// rounds is how many turns each side has in one iteration of a benchmark.
const rounds = 7

// Compare lets both sides do as many exchanges as n says, in turns, so that a machine that is slow for a moment is slow
// for both. What counts is the metric "ratio": the median of how many times the reference's rate ours is.
func Compare(b *testing.B, n int, ours, reference func() time.Duration) {
	b.Helper()
	ours()
	reference() // both are warm now
	var our, their, ratio []float64
	for b.Loop() {
		for range rounds {
			took, tookTheirs := ours(), reference()
			our = append(our, float64(n)/took.Seconds())
			their = append(their, float64(n)/tookTheirs.Seconds())
			ratio = append(ratio, tookTheirs.Seconds()/took.Seconds())
		}
	}
	b.ReportMetric(median(our), "per-s")
	b.ReportMetric(median(their), "reference-per-s")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(0, "ns/op")
}

func median(of []float64) float64 {
	slices.Sort(of)
	return (of[(len(of)-1)/2] + of[len(of)/2]) / 2
}
