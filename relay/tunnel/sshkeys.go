package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// A LoginError is an SSH server that accepts none of our keys.
type LoginError struct {
	Server  SSHServer
	Offered []string // which keys, with their fingerprints; nil: the server does not ask for keys, or there are none
	Locked  []string // key files with a passphrase that nobody has entered
	Agent   error    // why the agent gave no keys; nil: it did, or there is none
}

func (e *LoginError) Error() string {
	at := fmt.Sprintf("%s does not let %s in", e.Server.Address(), e.Server.User)
	switch {
	case len(e.Offered) > 0:
		return at + ": it accepts none of " + strings.Join(e.Offered, ", ")
	case len(e.Locked) > 0:
		return at + " without a key: " + strings.Join(e.Locked, ", ") + " has a passphrase, and the agent does not have it"
	case e.Agent != nil:
		return fmt.Sprintf("%s without a key, and the SSH agent can't be asked: %v", at, e.Agent)
	}
	return at + " without a key, and there is no key to offer"
}

// A KeyFileError is a key file that can't be used.
type KeyFileError struct {
	File   string
	Locked bool // it has a passphrase, and the agent does not have the key
	Err    error
}

func (e *KeyFileError) Error() string {
	if e.Locked {
		return "key " + e.File + " has a passphrase, and the agent does not have it"
	}
	return "key " + e.File + ": " + e.Err.Error()
}

func (e *KeyFileError) Unwrap() error { return e.Err }

// keys are what we can log in with.
type keys struct {
	signers  []ssh.Signer
	names    []string // of signers
	offered  []string // names, once the server has asked
	locked   []string // files with a passphrase whose keys are not among signers
	agent    net.Conn // nil: there is none
	agentErr error
}

// offer is called when the server asks for keys.
func (k *keys) offer() ([]ssh.Signer, error) {
	k.offered = k.names
	return k.signers, nil
}

// close ends the connection to the agent.
func (k *keys) close() {
	if k.agent != nil {
		_ = k.agent.Close()
	}
}

func (k *keys) add(name string, s ssh.Signer) {
	k.signers = append(k.signers, s)
	k.names = append(k.names, fmt.Sprintf("%s (%s)", name, ssh.FingerprintSHA256(s.PublicKey())))
}

// has returns the signer for a public key; nil: there is none.
func (k *keys) has(public ssh.PublicKey) ssh.Signer {
	for _, s := range k.signers {
		if public != nil && string(s.PublicKey().Marshal()) == string(public.Marshal()) {
			return s
		}
	}
	return nil
}

// keys gathers the keys of the agent and the files.
func (s *SSHServer) keys(ctx context.Context) (*keys, error) {
	k := new(keys)
	k.addAgent(ctx, s.Agent)
	if s.KeyFile != "" {
		if err := k.only(s.KeyFile); err != nil {
			k.close()
			return nil, err
		}
		return k, nil
	}
	for _, file := range s.KeyFiles {
		signer, public, err := readKey(file)
		switch {
		case err == nil && k.has(signer.PublicKey()) == nil:
			k.add(file, signer)
		case isLocked(err) && k.has(public) == nil:
			k.locked = append(k.locked, file)
		}
	}
	return k, nil
}

// addAgent adds the keys of an agent. An agent that does not answer in time is skipped: it may be at the far end of a
// dead connection.
func (k *keys) addAgent(ctx context.Context, socket string) {
	if socket == "" {
		return
	}
	if k.agent, k.agentErr = (&net.Dialer{Timeout: shakeTime}).DialContext(ctx, "unix", socket); k.agentErr != nil {
		return
	}
	defer context.AfterFunc(ctx, k.close)()
	_ = k.agent.SetDeadline(time.Now().Add(shakeTime))
	signers, err := agent.NewClient(k.agent).Signers()
	_ = k.agent.SetDeadline(time.Time{}) // a person may have to allow the use of a key
	if err != nil {
		k.agentErr = err
		return
	}
	for _, s := range signers {
		name := "a key of the agent"
		if of, ok := s.PublicKey().(*agent.Key); ok && of.Comment != "" {
			name = "the agent's " + of.Comment
		}
		k.add(name, s)
	}
}

// only keeps just the key of a file. If that has a passphrase, the agent may have the key.
func (k *keys) only(file string) error {
	signer, public, err := readKey(file)
	if isLocked(err) {
		if signer = k.has(public); signer == nil {
			return &KeyFileError{File: file, Locked: true, Err: err}
		}
		err = nil
	}
	if err != nil {
		return &KeyFileError{File: file, Err: err}
	}
	k.signers, k.names = nil, nil
	k.add(file, signer)
	return nil
}

// readKey reads a private key. If it has a passphrase, there may still be its public part.
func readKey(file string) (signer ssh.Signer, public ssh.PublicKey, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		if of, ok := errors.AsType[*fs.PathError](err); ok {
			err = of.Err
		}
		return nil, nil, err
	}
	signer, err = ssh.ParsePrivateKey(b)
	if locked, ok := errors.AsType[*ssh.PassphraseMissingError](err); ok {
		return nil, locked.PublicKey, err
	}
	if err != nil {
		return nil, nil, errors.New("it is not a readable private key") // the parser's own error could reveal something of the key
	}
	return signer, signer.PublicKey(), nil
}

func isLocked(err error) bool {
	_, locked := errors.AsType[*ssh.PassphraseMissingError](err)
	return locked
}
