package wiretest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// order is what a peer is told to do, in a line of JSON.
type order struct {
	Addr              string
	Conns, Each, Body int
}

// report is what it answers.
type report struct {
	Took  time.Duration
	Error string
}

// runPeer is the peer process: it tells the address of its app, then obeys orders until there are no more.
func runPeer(in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	go serveApp(l)
	reports := json.NewEncoder(out)
	if err := reports.Encode(l.Addr().String()); err != nil {
		return err
	}
	s := senders{conns: make(map[string][]*Raw)}
	for orders := json.NewDecoder(in); ; {
		var o order
		if err := orders.Decode(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		var r report
		if r.Took, err = s.load(o); err != nil {
			r.Error = err.Error()
		}
		if err := reports.Encode(r); err != nil {
			return err
		}
	}
}

// senders send prebuilt bytes.
type senders struct {
	conns map[string][]*Raw // by address
}

// Raw is a connection whose sender makes no more of it than has to be: prebuilt bytes are written, and their answer is
// read to its end.
type Raw struct {
	conn net.Conn
	buf  []byte
}

func dialRaw(addr string) (*Raw, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Raw{conn, make([]byte, 8<<10)}, nil
}

func (s *senders) load(o order) (time.Duration, error) {
	for len(s.conns[o.Addr]) < o.Conns {
		c, err := dialRaw(o.Addr)
		if err != nil {
			return 0, err
		}
		s.conns[o.Addr] = append(s.conns[o.Addr], c)
	}
	request := RequestOf(o.Body)
	began := time.Now()
	errs := make([]error, o.Conns)
	var all sync.WaitGroup
	for i, c := range s.conns[o.Addr][:o.Conns] {
		all.Go(func() {
			for range o.Each {
				if errs[i] = c.Exchange(request); errs[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return time.Since(began), errors.Join(errs...)
}

// Exchange sends a request and reads its answer, which must be a 200 and say how long it is.
func (r *Raw) Exchange(request []byte) error {
	if _, err := r.conn.Write(request); err != nil {
		return err
	}
	answer, err := readMessage(r.conn, r.buf)
	if err == nil && !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
		err = fmt.Errorf("answer %q", answer)
	}
	return err
}

// readMessage reads one message that has a Content-Length and fits into buf.
func readMessage(c net.Conn, buf []byte) ([]byte, error) {
	for n, size := 0, 0; ; {
		m, err := c.Read(buf[n:])
		n += m
		if err != nil {
			return nil, err
		}
		if size == 0 {
			size = messageSize(buf[:n])
		}
		if size > 0 && n >= size {
			return buf[:n], nil
		}
		if n == len(buf) {
			return nil, fmt.Errorf("a message without an end: %q", buf[:256])
		}
	}
}

// messageSize is how long the message is that b begins with; 0 while its head is not whole.
func messageSize(b []byte) int {
	head, _, whole := bytes.Cut(b, []byte("\r\n\r\n"))
	if !whole {
		return 0
	}
	_, length, _ := bytes.Cut(head, []byte("Content-Length: "))
	length, _, _ = bytes.Cut(length, []byte("\r\n"))
	body, _ := strconv.Atoi(string(length))
	return len(head) + len("\r\n\r\n") + body
}

// serveApp answers every request at once. It costs as little as can be.
func serveApp(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 8<<10)
			for {
				if _, err := readMessage(c, buf); err != nil {
					return
				}
				if _, err := io.WriteString(c, Response); err != nil {
					return
				}
			}
		}()
	}
}
