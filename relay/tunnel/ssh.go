package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
)

// errSlow is why we give up on a server that makes no progress.
var errSlow = errors.New("it did not answer as an SSH server does")

// loginTime bounds logging in: a person may have to touch a key, or to allow the SSH agent to use one.
const loginTime = 2 * time.Minute

// An SSHServer says how to reach an SSH server, and how the two of us recognise each other.
type SSHServer struct {
	Host string // name or address, without brackets
	Port string
	User string

	KnownHosts []string // files in OpenSSH's format; missing ones are skipped
	Agent      string   // socket of an SSH agent; "": there is none
	KeyFiles   []string // the usual ones, tried after those of the agent; missing ones are skipped
	KeyFile    string   // the only one to log in with; "": any that the server accepts

	Timing Timing

	// unread is told, if there are any, of lines of KnownHosts that can't be read. Nil: nobody is.
	unread func(lines []string)
}

// Address is host and port.
func (s *SSHServer) Address() string { return net.JoinHostPort(s.Host, s.Port) }

// dial connects, makes sure that it is the known server, and logs in. The error is a *KeyFileError, *LoginError or
// *HostKeyError if the server refuses us or is another one.
func (s *SSHServer) dial(ctx context.Context) (*sshLink, error) {
	known, err := readKnownHosts(s.KnownHosts)
	if err != nil {
		return nil, &HostKeyError{Server: *s, Err: err}
	}
	if len(known.unread) > 0 && s.unread != nil {
		s.unread(known.unread)
	}
	keys, err := s.keys(ctx)
	if err != nil {
		return nil, err
	}
	defer keys.close()
	sock, err := (&net.Dialer{Timeout: shakeTime}).DialContext(ctx, "tcp", s.Address())
	if err != nil {
		return nil, err
	}
	return s.shake(ctx, newWatched(sock), known, keys)
}

// shake turns a connection into a link. It owns the connection, even when it fails.
func (s *SSHServer) shake(ctx context.Context, sock *watched, known *knownHosts, keys *keys) (*sshLink, error) {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	patience := time.AfterFunc(shakeTime, func() { giveUp(errSlow) })
	defer patience.Stop()
	defer context.AfterFunc(ctx, func() {
		keys.close() // it may be the agent that we wait for
		_ = sock.Close()
	})()
	var asked, trusted bool
	var distrust error
	conn, opened, requests, err := ssh.NewClientConn(sock, s.Address(), &ssh.ClientConfig{
		User: s.User, Auth: []ssh.AuthMethod{ssh.PublicKeysCallback(keys.offer)}, HostKeyAlgorithms: known.algorithms(s.Address()),
		HostKeyCallback: func(_ string, remote net.Addr, key ssh.PublicKey) error {
			err := known.check(s, remote, key)
			if !asked { // it is asked again whenever the keys of the connection are renewed
				asked, trusted, distrust = true, err == nil, err
				patience.Reset(loginTime)
			}
			return err
		},
	})
	switch {
	case err == nil:
		return newSSHLink(sock, conn, opened, requests, s.Timing.withDefaults()), nil
	case distrust != nil:
		return nil, distrust
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case trusted && !isBroken(err):
		return nil, &LoginError{Server: *s, Offered: keys.offered, Locked: keys.locked, Agent: keys.agentErr}
	}
	return nil, err
}

// isBroken says whether a connection has ended, or did not go on: nothing was refused.
func isBroken(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded)
}
