package tunnel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/hooktape/hooktape/relay/wire"
)

// socket opens a websocket to an edge that is no link.
func socket(t *testing.T, at *url.URL) *websocket.Conn {
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"hooktape.1"}, HandshakeTimeout: patience}
	ws, answer, err := d.DialContext(t.Context(), "ws://"+at.Host+Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	t.Cleanup(func() { _ = ws.Close() })
	return ws
}

// frame is a yamux frame.
func frame(kind byte, flags uint16, stream uint32, data []byte) []byte {
	b := []byte{0, kind}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

const binaryMessage, textMessage = websocket.BinaryMessage, websocket.TextMessage

func TestABrokenLaptopIsCutOff(t *testing.T) {
	open := func(stream uint32) []byte { return frame(kindWindow, flagSYN, stream, nil) }
	tests := []struct {
		name string
		kind int
		send []byte
		why  error // nil: any
	}{
		{"text", textMessage, open(1), errText},
		{"no frame", binaryMessage, []byte("GET / HTTP/1.1\r\n\r\n"), errNonsense},
		{"a ping, of which a flood costs a goroutine each", binaryMessage, frame(kindPing, flagSYN, 0, nil), errNonsense},
		{"that nothing may be opened", binaryMessage, frame(kindGoAway, 0, 0, nil), errNonsense},
		{"a message that is too large", binaryMessage, make([]byte, messageMost+1), errTooLarge},
		{"a second stream", binaryMessage, append(open(1), open(3)...), errUninvited},
		{"more than the window of a stream", binaryMessage, append(open(1), frame(kindData, 0, 1, make([]byte, 300<<10))...), nil},
		{"an endless hello", binaryMessage, append(open(1), frame(kindData, 0, 1, []byte{0xff, 0xff, 0xff, 0xff})...), errTalk},
		{"a hello that is none", binaryMessage, append(open(1), frame(kindData, 0, 1, []byte{0, 0, 0, 1, 0x1f})...), errTalk},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEdge(t, Timing{})
			ws := socket(t, e.url)
			at := receive(t, e.links)
			_ = ws.WriteMessage(tt.kind, tt.send) // it may be cut off before it has sent all
			_, _ = at.Hear()
			select {
			case <-at.Done():
			case <-time.After(patience):
				t.Fatal("the link lives on")
			}
			if err := at.Err(); err == nil || tt.why != nil && !errors.Is(err, tt.why) {
				t.Errorf("the link ended because of %v, not %v", err, tt.why)
			}
		})
	}
}

// brokenEdge takes a link of the laptop and sends bytes of its own.
func brokenEdge(t *testing.T, send []byte) *url.URL {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, func(x *wire.Exchange) {
		r, err := x.Request()
		if err != nil {
			t.Error(err)
			return
		}
		u := websocket.Upgrader{Subprotocols: []string{"hooktape.1"}}
		ws, err := u.Upgrade(&hijacker{x.Hijack()}, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		if err := ws.WriteMessage(websocket.BinaryMessage, send); err != nil {
			t.Error(err)
		}
		for err == nil {
			_, _, err = ws.NextReader()
		}
	})
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

func TestABrokenEdgeIsCutOff(t *testing.T) {
	streams := func(n int) (all []byte) {
		for i := range n {
			all = append(all, frame(kindWindow, flagSYN, uint32(2*i+2), nil)...)
		}
		return all
	}
	for name, send := range map[string][]byte{
		"too many streams":       streams(backlog + 1),
		"an endless preface":     append(streams(1), frame(kindData, 0, 2, []byte{0xff, 0xff, 0xff, 0xff})...),
		"a preface that is none": append(streams(1), frame(kindData, 0, 2, []byte{0, 0, 0, 1, 0x1f})...),
		"no frame":               bytes.Repeat([]byte("nonsense"), 10),
	} {
		t.Run(name, func(t *testing.T) {
			laptop := dial(t, brokenEdge(t, send), Timing{})
			select {
			case <-laptop.Done():
			case <-time.After(patience):
				t.Fatal("the link lives on")
			}
			if laptop.Err() == nil {
				t.Error("it does not say why")
			}
		})
	}
}

// TestAStreamThatTheEdgeCutsOffEndsAlone: a laptop that stood still for so long learns all at once of a stream and of its
// end.
func TestAStreamThatTheEdgeCutsOffEndsAlone(t *testing.T) {
	preface, err := new(Preface).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	send := slices.Concat(
		frame(kindWindow, flagSYN, 2, nil), frame(kindWindow, flagFIN, 2, nil), frame(kindWindow, flagRST, 2, nil),
		frame(kindWindow, flagSYN, 4, nil), frame(kindData, 0, 4, preface[:1]), frame(kindWindow, flagRST, 4, nil),
		frame(kindWindow, flagSYN, 6, nil), frame(kindData, 0, 6, preface),
	)
	laptop := dial(t, brokenEdge(t, send), Timing{})
	if _, err := laptop.Accept(); err != nil {
		t.Errorf("the next one did not come: %v", err)
	}
	laptop.mu.Lock()
	defer laptop.mu.Unlock()
	if laptop.cause != nil {
		t.Errorf("the link was cut: %v", laptop.cause)
	}
}

func TestAnEdgeThatSendsNonsenseBehindARequestIsCutOff(t *testing.T) {
	at, laptop := ends(t, Timing{})
	serve(t, listener{laptop}, func(x *wire.Exchange) { _, _ = io.WriteString(x, hello) })
	s, err := at.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	preface, err := new(Preface).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(append(preface, get...)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(s, make([]byte, len(hello))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte{0, 0, 0, 1, 0x1f}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-laptop.Done():
	case <-time.After(patience):
		t.Fatal("the link lives on")
	}
	if err := laptop.Err(); !errors.Is(err, errGarbled) {
		t.Errorf("it ended because of %v", err)
	}
}

func TestMessagesHaveWholeFramesAndAnIdleEndGivesSignsOfLife(t *testing.T) {
	e := newEdge(t, Timing{Ping: 10 * time.Millisecond})
	ws := socket(t, e.url)
	at := receive(t, e.links)
	_ = ws.SetReadDeadline(time.Now().Add(patience))
	s, err := at.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	for i := range 50 {
		n, err := io.WriteString(s, strings.Repeat("x", 100*i+1))
		if err != nil {
			t.Fatal(err)
		}
		sent += n
	}
	got := 0
	for first := true; got < sent; first = false {
		_, message, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var f frames
		_ = f.scan(message, func(h frameHeader) error { got += int(h.length()); return nil })
		if !f.between() {
			t.Fatalf("a message of %d bytes ends within a frame", len(message))
		}
		if first && got == 0 {
			t.Error("the opening of a stream went without its preface")
		}
	}
	errEnough := errors.New("enough")
	pings := 0
	ws.SetPingHandler(func(string) error {
		if pings++; pings == 3 {
			return errEnough
		}
		return nil
	})
	if _, _, err := ws.ReadMessage(); !errors.Is(err, errEnough) {
		t.Errorf("after %d pings: %v", pings, err)
	}
}

func TestTLSIsRequiredBeyondThisMachine(t *testing.T) {
	for at, plain := range map[string]bool{
		"http://hooks.example.com": true, "http://192.0.2.1": true, "http://localhost.example.com": true,
		"http://127.0.0.1:1": false, "http://[::1]:1": false, "http://localhost:1": false,
	} {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nothing is to be reached
		if _, err := (&Dialer{URL: u}).Dial(ctx); err == nil || errors.Is(err, ErrPlain) != plain {
			t.Errorf("%s: %v", at, err)
		}
	}
}

func TestAnEdgeSaysWhichEndIsToBeUpgraded(t *testing.T) {
	for offer, want := range map[string]string{"hooktape.1": "", "hooktape.0": "this machine", "hooktape.2, hooktape.3": "the edge"} {
		r := &http.Request{Header: http.Header{"Sec-Websocket-Protocol": {offer}}}
		e, mismatch := Mismatch(r)
		if mismatch != (want != "") || mismatch && e.Upgrade() != want {
			t.Errorf("%s: %v, %v", offer, e, mismatch)
		}
	}
}

func TestWhyALaptopIsTurnedAway(t *testing.T) {
	tests := []struct {
		name   string
		answer wire.Answer
		check  func(error) bool
	}{
		{"wrong token", wire.Answer{Status: http.StatusUnauthorized}, func(err error) bool { return errors.Is(err, ErrToken) }},
		{"other version", wire.Answer{Status: http.StatusUpgradeRequired}, func(err error) bool {
			e, ok := errors.AsType[*MismatchError](err)
			return ok && e.Laptop == 1 && e.Edge == 1
		}},
		{"something else", wire.Answer{Status: http.StatusNotFound}, func(err error) bool { return errors.Is(err, ErrNoEdge) }},
		{"too often", wire.Answer{Status: http.StatusTooManyRequests, Body: []byte("hooktape: slowly\n")}, func(err error) bool {
			e, ok := errors.AsType[*StatusError](err)
			return ok && e.Status == 429 && e.Reason == "slowly"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if tt.answer.Status != http.StatusNotFound {
				tt.answer.Fields = wire.Fields{{Name: protocolField, Value: "1"}}
			}
			serve(t, l, func(x *wire.Exchange) { _, _ = x.Write(wire.AppendResponse(nil, tt.answer)) })
			_, err = (&Dialer{URL: &url.URL{Scheme: "http", Host: l.Addr().String()}}).Dial(t.Context())
			if !tt.check(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}
