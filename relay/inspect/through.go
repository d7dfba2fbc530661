package inspect

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// throughProtocol is what the connection of a request for a tunnel is upgraded to: HTTP/1.1 with the laptop, whose side
// comes in pieces.
const throughProtocol = "hooktape-tunnel"

// errNoTunnels is the answer when no agent runs.
func errNoTunnels() *Problem {
	return refuse(Failed, "no agent is running, and laptops are connected to the agent")
}

// through turns the request's connection into one to the laptop of a tunnel, for a record that is sent again.
func (s *Server) through(w http.ResponseWriter, r *http.Request) error {
	if s.Agent == nil {
		return errNoTunnels()
	}
	s.joined.Add(1) // first of all: when stopping, the listener waits for requests, and then for joined
	defer s.joined.Done()
	name, q := r.PathValue("name"), r.URL.Query()
	id, err := s.Store.Find(name)
	if err != nil {
		return notFound(name, err)
	}
	far, err := s.Agent.Through(r.Context(), id, q.Get("source"), q.Get("target"))
	if err != nil {
		return refuse(Failed, "%s", err)
	}
	defer far.Close()
	near, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer context.AfterFunc(r.Context(), func() { _ = near.Close() })()
	if _, err := io.WriteString(near, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+throughProtocol+"\r\n\r\n"); err == nil {
		join(near, in, far)
	}
	_ = near.Close() // an error would have nobody to go to
	return nil
}

// join carries bytes between two connections until one has ended, then closes both; in reads what near sends. It tells
// near when it was far that ended.
func join(near net.Conn, in io.Reader, far net.Conn) {
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(laptopWriter{far}, in)
		_ = far.Close()
	})
	out := pieceWriter{to: near}
	if _, err := io.Copy(&out, far); err == nil {
		_ = out.end()
	}
	_ = near.Close()
	both.Wait()
}

// untakenTime is how long a laptop may take nothing of what is sent to it. Only once it has taken everything does it show
// that nobody waits for its response any more.
const untakenTime = 10 * time.Minute

// A laptopWriter writes to a laptop, and allows each write untakenTime.
type laptopWriter struct{ net.Conn }

func (w laptopWriter) Write(p []byte) (int, error) {
	_ = w.SetWriteDeadline(time.Now().Add(untakenTime))
	return w.Conn.Write(p)
}

// Through opens a connection to the laptop of a tunnel that is a target of a source, for one request: that of a record
// which is sent again. Reading returns io.EOF only when the laptop has ended it. The error is a *Problem when the laptop
// is not there, or no agent runs.
func (c *Client) Through(ctx context.Context, record, source, target string) (net.Conn, error) {
	if c.dial == nil {
		return nil, errNoTunnels()
	}
	path := recordPath(record, "/through") + "?" + url.Values{"source": {source}, "target": {target}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://hooktape"+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", throughProtocol)
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	in := bufio.NewReader(conn)
	err = switched(conn, in, r)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &pieces{Conn: conn, in: in}, nil
}

// switched asks for another protocol.
func switched(out io.Writer, in *bufio.Reader, r *http.Request) error {
	if err := r.Write(out); err != nil {
		return err
	}
	response, err := http.ReadResponse(in, r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	return problemIn(response)
}
