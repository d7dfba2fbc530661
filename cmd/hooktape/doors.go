package main

import (
	"errors"
	"io/fs"
	"net"
	"strconv"
	"syscall"

	"github.com/hooktape/hooktape/relay/inspect"
)

// doors are the listeners of an agent.
type doors struct {
	receiving, inspecting net.Listener
	control               net.Listener // of the commands
	plain                 net.Listener // of the CA; nil: there is none
}

// addresses are what an agent listens on, each host:port.
type addresses struct {
	receiving, inspecting string
	plain                 string // where a CA is answered over plain HTTP; "": nowhere
}

func (d *doors) addresses() addresses {
	at := addresses{receiving: d.receiving.Addr().String(), inspecting: d.inspecting.Addr().String()}
	if d.plain != nil {
		at.plain = d.plain.Addr().String()
	}
	return at
}

// openDoors opens all listeners, or none.
func (s *service) openDoors() (*doors, error) {
	var d doors
	err := s.open(&d)
	if err != nil {
		d.close()
	}
	return &d, err
}

func (s *service) open(d *doors) (err error) {
	if d.receiving, err = s.listen(s.cfg.Listen, s.flags.listen != ""); err != nil {
		return err
	}
	if d.inspecting, err = s.listen(s.cfg.Inspect, s.flags.inspect != ""); err != nil {
		return err
	}
	if d.control, err = inspect.Listen(s.data); err != nil {
		hint := ""
		switch {
		case errors.Is(err, inspect.ErrNoPlace):
			hint = "the path of the tape is too long for a socket beside it: set XDG_RUNTIME_DIR to a folder of yours, or choose a shorter --data PATH"
		case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
			hint = "it lies beside the tape: let the agent write into that folder, or choose another with --data PATH"
		}
		return cannot(hint, "%w", err)
	}
	d.plain, err = s.listenPlain()
	return err
}

func (d *doors) close() {
	for _, l := range []net.Listener{d.plain, d.control, d.inspecting, d.receiving} {
		if l != nil {
			l.Close()
		}
	}
}

// listen opens a TCP listener. If an address is taken that nobody asked for, and moveOn allows it, the next free port is
// used instead.
func (s *service) listen(address string, asked bool) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	if s.moveOn && !asked && errors.Is(err, syscall.EADDRINUSE) {
		if l, err := listenNear(address); err == nil {
			return l, nil
		}
	}
	return nil, listenError(err, "choose another address with --listen or --inspect")
}

// listenPlain opens the listener for the questions of a CA over plain HTTP; nil: none is wanted.
func (s *service) listenPlain() (net.Listener, error) {
	address := plainAddress(s.cfg)
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, listenError(err, `choose another address for "http" in the acme block`)
	}
	return l, nil
}

// listenError says what to do about an address that can't be listened on.
func listenError(err error, hint string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another program has this port: " + hint + ", port 0 takes any free one"
	case errors.Is(err, syscall.EACCES):
		hint = "ports below 1024 need a privilege: " + hint
	}
	return cannot(hint, "%w", err)
}

// listenNear takes the first free port after a taken one, in steps of two since the defaults are a pair.
func listenNear(address string) (net.Listener, error) {
	const tries = 50
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	for i := 1; i <= tries; i++ {
		if l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(n+2*i))); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}
