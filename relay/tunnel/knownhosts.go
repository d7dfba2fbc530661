package tunnel

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// A HostKeyError is an SSH server whose key is not the one that known_hosts has for it.
type HostKeyError struct {
	Server  SSHServer
	Key     string   // type and fingerprint of the server's key
	Known   []string // where known_hosts has other keys for it; nil: the host is unknown
	Revoked bool     // known_hosts says that the key must not be trusted
	Err     error    // of a host certificate, or of known_hosts itself; nil otherwise
}

func (e *HostKeyError) Error() string {
	at := e.Server.Address()
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%s can't be trusted: %v", at, e.Err)
	case e.Revoked:
		return fmt.Sprintf("the key of %s was revoked: %s, at %s", at, e.Key, strings.Join(e.Known, ", "))
	case len(e.Known) > 0:
		return fmt.Sprintf("the key of %s has changed: it shows %s, and another one is known from %s", at, e.Key, strings.Join(e.Known, ", "))
	}
	return fmt.Sprintf("%s is not a known host: it shows %s", at, e.Key)
}

// knownHosts is what the files say of the keys of servers.
type knownHosts struct {
	look        ssh.HostKeyCallback
	authorities map[string]bool   // keys that sign keys of hosts
	unread      []string          // lines that can't be read, each with its place and why: they are skipped, as in OpenSSH
	stands      map[string]string // by copies without these lines: the original file
}

// readKnownHosts reads the files that are there.
func readKnownHosts(files []string) (*knownHosts, error) {
	k := &knownHosts{authorities: make(map[string]bool), stands: make(map[string]string)}
	var there []string
	for _, file := range files {
		b, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		}
		legible, all := k.read(file, b)
		if all {
			there = append(there, file)
			continue
		}
		copied, err := copyOf(legible)
		defer os.Remove(copied)
		if err != nil {
			return nil, err
		}
		k.stands[copied] = file
		there = append(there, copied)
	}
	look, err := knownhosts.New(there...)
	if err != nil {
		return nil, err
	}
	k.look = look
	return k, nil
}

// read goes through the lines of a file. In legible, those that can't be read are empty; all says that there are none.
func (k *knownHosts) read(file string, b []byte) (legible []byte, all bool) {
	all = true
	number := 0
	for line := range bytes.Lines(b) {
		number++
		authority, err := readKnownHost(line)
		switch {
		case err != nil:
			k.unread = append(k.unread, fmt.Sprintf("%s:%d: %s", file, number, strings.TrimPrefix(err.Error(), "ssh: ")))
			line, all = []byte("\n"), false
		case authority != nil:
			k.authorities[string(authority.Marshal())] = true
		}
		legible = append(legible, line...)
	}
	return legible, all
}

// readKnownHost reads a line: authority is its key if that signs keys of hosts. The error is why knownhosts would refuse
// the whole file because of that line.
func readKnownHost(line []byte) (authority ssh.PublicKey, err error) {
	if len(line) > longestKnownHost {
		return nil, fmt.Errorf("it has more than %d bytes", longestKnownHost)
	}
	if text := bytes.Trim(line, " \t\r\n"); len(text) == 0 || text[0] == '#' {
		return nil, nil
	}
	marker, hosts, key, _, _, err := ssh.ParseKnownHosts(line)
	switch {
	case err == io.EOF:
		return nil, errors.New("it has only one word")
	case err != nil:
		return nil, err
	case marker == "revoked": // on all hosts
		return nil, nil
	case marker == "cert-authority":
		authority = key
	case marker != "":
		return nil, fmt.Errorf("@%s is not a known marker", marker)
	}
	return authority, checkHosts(strings.Join(hosts, ","))
}

// longestKnownHost is the most bytes of a line that knownhosts accepts.
const longestKnownHost = bufio.MaxScanTokenSize - 1

// checkHosts says what is wrong with the hosts of a line.
func checkHosts(hosts string) error {
	if strings.HasPrefix(hosts, "|") {
		return checkHash(hosts)
	}
	for pattern := range strings.SplitSeq(hosts, ",") {
		host, not := strings.CutPrefix(pattern, "!")
		if not && host == "" {
			return errors.New("a ! stands before no host")
		}
		if _, _, err := net.SplitHostPort(host); err != nil && strings.HasPrefix(host, "[") {
			return err
		}
	}
	return nil
}

// checkHash says what is wrong with the hash of a host: |1|salt|hash.
func checkHash(host string) error {
	parts := strings.Split(host, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return errors.New("its hashed host name is malformed")
	}
	for _, part := range parts[2:] {
		if _, err := base64.StdEncoding.DecodeString(part); err != nil {
			return fmt.Errorf("its hashed host name is malformed: %w", err)
		}
	}
	return nil
}

// copyOf writes a temporary file with that text, since knownhosts only reads files.
func copyOf(text []byte) (name string, err error) {
	f, err := os.CreateTemp("", "hooktape-known-hosts-")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	return f.Name(), errors.Join(err, f.Close())
}

// certificates and plain are the algorithms of host keys that are asked for, the best first.
var (
	certificates = []string{
		ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
		ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
	}
	plain = []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
	}
)

// algorithms are those to ask a server for: first those for which its key is known. Otherwise it would show another of its
// keys, and that would look like a changed key.
func (k *knownHosts) algorithms(address string) []string {
	var first []string
	for _, known := range k.of(address) {
		switch kind := known.Key.Type(); {
		case k.authorities[string(known.Key.Marshal())]:
			first = append(first, certificates...)
		case kind == ssh.KeyAlgoRSA:
			first = append(first, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			first = append(first, kind)
		}
	}
	first = append(first, plain...)
	var all []string
	for _, a := range first {
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// of are the known keys for an address.
func (k *knownHosts) of(address string) []knownhosts.KnownKey {
	none, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		return nil
	}
	var all []knownhosts.KnownKey
	for _, at := range []string{address, anyPort(address)} {
		if known, ok := errors.AsType[*knownhosts.KeyError](k.look(at, addr(at), none)); ok {
			all = append(all, known.Want...)
		}
	}
	return all
}

// anyPort is the address whose key OpenSSH accepts too, if none is known for the address with its port.
func anyPort(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return net.JoinHostPort(host, "22")
}

// check says why a server with this key is not to be trusted; nil: it is.
func (k *knownHosts) check(s *SSHServer, remote net.Addr, key ssh.PublicKey) error {
	err := k.look(s.Address(), remote, key)
	if err == nil {
		return nil
	}
	no := &HostKeyError{Server: *s, Key: key.Type() + " " + ssh.FingerprintSHA256(key)}
	unknown, isUnknown := errors.AsType[*knownhosts.KeyError](err)
	if isUnknown && len(unknown.Want) == 0 && k.look(anyPort(s.Address()), remote, key) == nil {
		return nil
	}
	revoked, isRevoked := errors.AsType[*knownhosts.RevokedError](err)
	switch {
	case isRevoked:
		no.Revoked, no.Known = true, []string{k.placeOf(revoked.Revoked)}
	case isUnknown:
		for _, known := range unknown.Want {
			if !k.authorities[string(known.Key.Marshal())] { // an authority's key is not a host's
				no.Known = append(no.Known, k.placeOf(known))
			}
		}
	default:
		no.Err = err
	}
	return no
}

// placeOf is where a key stands, for people.
func (k *knownHosts) placeOf(key knownhosts.KnownKey) string {
	file := key.Filename
	if original, copied := k.stands[file]; copied {
		file = original
	}
	return fmt.Sprintf("%s:%d (%s %s)", file, key.Line, key.Key.Type(), ssh.FingerprintSHA256(key.Key))
}
