//go:build unix

package config

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Opening a pipe waits for who writes: the agent would never reload again, and check could not be interrupted.
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
