package tunnel

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// protocolName is what the subprotocols of all versions begin with.
	protocolName = "hooktape."
	// protocolField says which version an edge speaks, when it refuses another.
	protocolField = "Hooktape-Protocol"
	// shakeTime bounds connecting and the handshakes of TLS and of the websocket.
	shakeTime = 15 * time.Second
	// reasonMost is how many bytes are read of a refusal.
	reasonMost = 1 << 10
	// bufferSize is what a websocket is read and written by: a message that fits is one write.
	bufferSize = 64 << 10
)

// ErrToken is why Dial fails when the edge does not take the token.
var ErrToken = errors.New("the edge does not accept this token")

// ErrNoEdge is why Dial fails when what answers is no edge, or none that takes tunnels.
var ErrNoEdge = errors.New("no hooktape edge answers at this URL")

// ErrPlain is why Dial fails where the URL has no TLS and does not stay on this machine.
var ErrPlain = errors.New("TLS is required: give a URL that begins with https://")

// A MismatchError says that the ends speak different versions of the protocol.
type MismatchError struct{ Laptop, Edge int }

func (e *MismatchError) Error() string {
	return fmt.Sprintf("the edge speaks version %d of the tunnel, this program version %d", e.Edge, e.Laptop)
}

// Upgrade says which end is to be upgraded.
func (e *MismatchError) Upgrade() string {
	if e.Edge < e.Laptop {
		return "the edge"
	}
	return "this machine"
}

// A StatusError is an edge, or something before it, that answers something else than it should.
type StatusError struct {
	Status int
	Reason string // the first line of the body
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("the edge answers %d %s", e.Status, http.StatusText(e.Status))
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// A Dialer opens links from a laptop.
type Dialer struct {
	URL    *url.URL // of the edge, http or https; its path, if it has one, comes before Path
	Token  string
	TLS    *tls.Config // nil: the system's roots
	Timing Timing
	Answer string // to probes of the edge
}

// Dial opens a link. The error is a *MismatchError or *StatusError, or wraps ErrToken, ErrNoEdge or ErrPlain, where the
// edge could be reached and says so.
func (d *Dialer) Dial(ctx context.Context) (*Link, error) {
	at := *d.URL
	if at.Scheme != "https" && !loopback(at.Hostname()) {
		return nil, ErrPlain
	}
	at.Scheme = map[string]string{"https": "wss"}[at.Scheme]
	if at.Scheme == "" {
		at.Scheme = "ws"
	}
	at.Path = strings.TrimRight(at.Path, "/") + Path
	ws := &websocket.Dialer{
		NetDialContext: (&net.Dialer{}).DialContext, Proxy: http.ProxyFromEnvironment, TLSClientConfig: d.TLS, HandshakeTimeout: shakeTime,
		Subprotocols: []string{protocolName + strconv.Itoa(version)}, ReadBufferSize: bufferSize, WriteBufferSize: bufferSize,
	}
	conn, answer, err := ws.DialContext(ctx, at.String(), http.Header{"Authorization": {"Bearer " + d.Token}})
	if err != nil {
		return nil, refused(err, answer)
	}
	if conn.Subprotocol() != protocolName+strconv.Itoa(version) {
		_ = conn.Close()
		return nil, ErrNoEdge
	}
	return newLink(conn, laptopSide, d.Timing, d.Answer)
}

// loopback says whether what is sent to a host stays on this machine.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// refused is the error of a handshake that came to nothing; answer is nil when there was none.
func refused(err error, answer *http.Response) error {
	if answer == nil {
		return err
	}
	defer answer.Body.Close()
	edge, isEdge := strconv.Atoi(answer.Header.Get(protocolField))
	switch {
	case isEdge != nil && answer.StatusCode < http.StatusInternalServerError && answer.StatusCode != http.StatusTooManyRequests:
		return fmt.Errorf("%w: it answers %s", ErrNoEdge, answer.Status)
	case answer.StatusCode == http.StatusUnauthorized:
		return ErrToken
	case answer.StatusCode == http.StatusUpgradeRequired:
		return &MismatchError{Laptop: version, Edge: edge}
	}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, reasonMost))
	line, _, _ := strings.Cut(string(text), "\n")
	return &StatusError{Status: answer.StatusCode, Reason: strings.TrimPrefix(line, "hooktape: ")}
}

// Token is the token of a request for a tunnel; "" when it has none.
func Token(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Asks says whether a request asks for a tunnel, in any version.
func Asks(r *http.Request) bool {
	for _, p := range websocket.Subprotocols(r) {
		if strings.HasPrefix(p, protocolName) {
			return websocket.IsWebSocketUpgrade(r)
		}
	}
	return false
}

// Mismatch is the version that a request asks for where this program does not speak it, and whether that is so.
func Mismatch(r *http.Request) (*MismatchError, bool) {
	e := &MismatchError{Edge: version}
	for _, p := range websocket.Subprotocols(r) {
		if n, err := strconv.Atoi(strings.TrimPrefix(p, protocolName)); err == nil && strings.HasPrefix(p, protocolName) {
			if n == version {
				return nil, false
			}
			e.Laptop = max(e.Laptop, n)
		}
	}
	return e, true
}

// Fields are those of every answer of an edge to a request for a tunnel that it refuses: they tell a laptop that there is
// an edge, and its version.
func Fields() http.Header { return http.Header{protocolField: {strconv.Itoa(version)}} }

// Upgrade makes a link of the connection that a request for a tunnel came on. It owns the connection, also when it fails.
func Upgrade(conn net.Conn, r *http.Request, timing Timing) (*Link, error) {
	u := websocket.Upgrader{
		HandshakeTimeout: shakeTime, ReadBufferSize: bufferSize, WriteBufferSize: bufferSize,
		Subprotocols: []string{protocolName + strconv.Itoa(version)},
		CheckOrigin:  func(*http.Request) bool { return true }, // a browser has no token
		Error:        func(http.ResponseWriter, *http.Request, int, error) {},
	}
	ws, err := u.Upgrade(&hijacker{conn}, r, nil)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return newLink(ws, edgeSide, timing, "")
}

// hijacker hands a connection to the upgrader, which asks for nothing else.
type hijacker struct{ net.Conn }

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.Conn, bufio.NewReadWriter(bufio.NewReader(h.Conn), bufio.NewWriter(h.Conn)), nil
}
func (h *hijacker) Header() http.Header { return http.Header{} }
func (h *hijacker) WriteHeader(int)     {}
