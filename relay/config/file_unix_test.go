//go:build unix

package config

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Opening a pipe waits for a writer: the agent would never reload again, and check could not be interrupted.
func TestAPipeIsRefusedAtOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "hooktape.hcl")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	refused := make(chan error, 1)
	go func() {
		_, err := Load(pipe, environment)
		refused <- err
	}()
	select {
	case err := <-refused:
		if err == nil {
			t.Error("it was taken for a file")
		}
	case <-time.After(patient):
		t.Fatal("it is waited for")
	}
}

// A secret need not be in a file at all: --token-file <(pass show token).
func TestASecretMayComeThroughAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "token")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(pipe, []byte("t0ken\r\n\n"), 0o600) }()
	secret, err := ReadSecret(pipe)
	if err != nil || secret != "t0ken" {
		t.Fatalf("%q, %v", secret, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}
