package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	account "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/hooktape/hooktape/relay/tunnel"
)

// forwardPort is the port to ask an SSH server for if none is given. It is fixed, and that of the agent itself, so that
// the public URL is the same at the next start, and can stay with providers.
const forwardPort = 7070

// forwardFlags say which SSH server makes http reachable, and on which port.
type forwardFlags struct {
	ssh, key string
	port     int

	chosen func(flag string) bool // whether a flag was given
}

func (f *forwardFlags) register(c *cobra.Command) {
	f.chosen = c.Flags().Changed
	c.Flags().StringVar(&f.ssh, "ssh", "", "[USER@]HOST[:PORT] of an SSH server, or its name in ~/.ssh/config: a port there is forwarded here")
	c.Flags().IntVar(&f.port, "ssh-port", forwardPort, "the port on the SSH server; 0: the server chooses (also if the default is taken there)")
	c.Flags().StringVar(&f.key, "ssh-key", "", "private key to log in with (default: those of the SSH agent, then of ~/.ssh/config, else ~/.ssh/id_*)")
}

// check finds what is wrong with the flags.
func (f *forwardFlags) check(edge string) error {
	for _, name := range []string{"ssh-port", "ssh-key"} {
		if f.ssh == "" && f.chosen(name) {
			return misused("give it with --ssh USER@HOST", "--%s needs an SSH server", name)
		}
	}
	if f.ssh != "" && edge != "" {
		return misused("", "--ssh and --edge exclude each other")
	}
	if f.port < 0 || f.port > 1<<16-1 {
		return misused("", "--ssh-port %d: ports go from 1 to 65535, and 0 lets the server choose", f.port)
	}
	return nil
}

// forward is what the flags say; nil: there is no SSH server. publicURL is what senders use; "": the server's port.
func (f *forwardFlags) forward(e *env, publicURL string) (*tunnel.Forward, error) {
	if f.ssh == "" {
		return nil, nil
	}
	s, err := parseSSH(f.ssh)
	if err != nil {
		return nil, err
	}
	s.Agent, _ = e.lookup("SSH_AUTH_SOCK")
	s.KeyFile = f.key
	s.KnownHosts = []string{"/etc/ssh/ssh_known_hosts"}
	home, _ := e.lookup("HOME")
	if profile, _ := e.lookup("USERPROFILE"); home == "" {
		home = profile // on Windows
	}
	if home != "" {
		own := func(name string) string { return filepath.Join(home, ".ssh", name) }
		s.KnownHosts = append([]string{own("known_hosts")}, s.KnownHosts...)
		s.KeyFiles = []string{own("id_ed25519"), own("id_ecdsa"), own("id_rsa")}
		said, err := readSSHHost(own("config"), home, s.Host)
		if err != nil {
			fmt.Fprintf(e.stderr, "~/.ssh/config can't be read and is ignored: %s\n", clean(err.Error()))
		}
		for _, line := range said.passed {
			fmt.Fprintf(e.stderr, "the section under %q of ~/.ssh/config is not supported and is ignored\n", clean(line))
		}
		if err := said.apply(&s); err != nil {
			return nil, err
		}
	}
	s.Host, s.Port = strings.ToLower(s.Host), cmp.Or(s.Port, "22") // as known_hosts has it
	if s.User == "" {
		if s.User, err = loginName(); err != nil {
			return nil, misused("give it as in --ssh USER@"+s.Host, "can't find out which user to log in as: %w", err)
		}
	}
	forward := tunnel.NewForward(s, f.port)
	forward.Moves = !f.chosen("ssh-port")
	if publicURL != "" {
		if forward.Public, err = url.Parse(publicURL); err != nil {
			return nil, err // agentFlags.check has refused anything else
		}
	}
	return forward, nil
}

// parseSSH reads [ssh://][user@]host[:port]; an IPv6 address with a port needs brackets. What is missing is "".
func parseSSH(text string) (s tunnel.SSHServer, err error) {
	const hint = "give it as in --ssh me@hooks.example.com, with :2222 behind it if sshd has another port than 22, or by its name in ~/.ssh/config"
	rest := strings.TrimPrefix(text, "ssh://")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		s.User, rest = rest[:i], rest[i+1:]
		if strings.Contains(s.User, ":") {
			return s, misused(hint, "--ssh takes no password, it logs in with keys")
		}
	}
	rest = strings.TrimSuffix(rest, "/")
	s.Host = strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]")
	if strings.Count(rest, ":") == 1 || strings.Contains(rest, "]:") {
		if s.Host, s.Port, err = net.SplitHostPort(rest); err != nil {
			return s, misused(hint, "--ssh %q: %w", text, err)
		}
		if !isPort(s.Port) {
			return s, misused(hint, "--ssh %q is not the user and host of an SSH server", text)
		}
	}
	if !isHost(s.Host) {
		return s, misused(hint, "--ssh %q is not the user and host of an SSH server", text)
	}
	return s, nil
}

// isHost says whether a text may be a host's name or address.
func isHost(text string) bool {
	return text != "" && !strings.ContainsAny(text, " \t\r\n/@[]'\"\\$`&;|<>?#")
}

// isPort says whether a text is a port.
func isPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0
}

// loginName is the name of the user who runs this, as an SSH server may know it.
func loginName() (string, error) {
	u, err := account.Current()
	if err != nil {
		return "", err
	}
	return u.Username[strings.LastIndexByte(u.Username, '\\')+1:], nil // Windows puts a domain before it
}

// forwardError gives a refusal of the SSH server its exit code and hint.
func forwardError(s *tunnel.SSHServer, err error) error {
	if err == nil {
		return nil
	}
	return cannot(forwardHint(s, err), "forward a port of %s: %w", s.Host, err)
}

// forwardHint says what to do about an SSH server that refuses.
func forwardHint(s *tunnel.SSHServer, err error) string {
	known, isKnown := errors.AsType[*tunnel.HostKeyError](err)
	login, isLogin := errors.AsType[*tunnel.LoginError](err)
	file, isFile := errors.AsType[*tunnel.KeyFileError](err)
	port, isPort := errors.AsType[*tunnel.PortError](err)
	_, isHeld := errors.AsType[*tunnel.HeldError](err)
	at := s.User + "@" + s.Host
	if s.Port != "22" {
		at = "-p " + s.Port + " " + at
	}
	switch {
	case isKnown && (known.Err != nil || known.Revoked):
		return ""
	case isKnown && known.Known == nil:
		return "compare that fingerprint with the one that the host's owner gives you, then let ssh add it to known_hosts: ssh " + at
	case isKnown:
		return "somebody may be intercepting the connection. Only if you know that the host has a new key: ssh-keygen -R '" + knownhosts.Normalize(s.Address()) + "', then ssh " + at
	case isFile && file.Locked:
		return "ssh-add " + file.File
	case isFile:
		return "--ssh-key must name a private key file, as ssh-keygen writes it"
	case isLogin && len(login.Offered) > 0:
		return "ssh-copy-id " + at + " installs a key there; --ssh-key FILE offers only the key in FILE"
	case isLogin && len(login.Locked) > 0:
		return "ssh-add " + login.Locked[0]
	case isLogin:
		return "ssh-keygen makes a key, ssh-copy-id " + at + " installs it there"
	case isPort && port.Any:
		return "its sshd_config needs AllowTcpForwarding yes (or remote), and PermitListen must allow the port; authorized_keys may restrict it too"
	case isPort:
		return "choose another port with --ssh-port; below 1024 only root may forward there"
	case isHeld:
		return "ClientAliveInterval 15 in its sshd_config makes it drop lost connections sooner"
	}
	return ""
}

// forward tells a developer of changes of the link to an SSH server.
func (s *screen) forward(f *tunnel.Forward) func(tunnel.Change) {
	host := f.Server.Host
	return func(c tunnel.Change) {
		switch {
		case c.URL != "":
			fmt.Fprintln(s, s.ink.green("public address "+c.URL))
		case c.Unread != nil:
			for _, line := range c.Unread {
				s.note("a line of known_hosts can't be read and is ignored: %s", clean(line))
			}
		case c.Unheard:
			s.note("no public address yet, still trying: %s", clean(c.Err.Error()))
			s.note("so far only %s itself can send here, to http://127.0.0.1:%d", host, c.Port)
			s.note("hint: %s", publicHint(f, c.Err))
		case c.Up && c.First:
		case c.Up:
			s.note("the link to %s is back after %s", host, c.Away.Round(time.Second))
		case c.Barred:
			s.note("%s can be reached again but refuses, still trying: %s", host, clean(c.Err.Error()))
			if hint := forwardHint(&f.Server, c.Err); hint != "" {
				s.note("hint: %s", hint)
			}
		case c.First:
			s.note("%s can't be reached, still trying: %s", host, clean(c.Err.Error()))
		default:
			s.note("the link to %s has been down since %s, senders can't reach this agent: %s", host, time.Now().Format(time.TimeOnly), clean(c.Err.Error()))
		}
	}
}

// publicHint says how to make the port of an SSH server public when no request comes round.
func publicHint(f *tunnel.Forward, err error) string {
	elsewhere := errors.Is(err, tunnel.ErrElsewhere)
	switch {
	case f.Public != nil:
		return "the server at the public URL must pass requests on to that address"
	case elsewhere:
		return "another program uses that port on the server: choose another with --ssh-port"
	}
	return "set GatewayPorts clientspecified (or yes) in its sshd_config, reload sshd, and start this again; " +
		"if it is set already, a firewall may be blocking the port"
}
