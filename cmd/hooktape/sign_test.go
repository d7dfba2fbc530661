package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAConfigFileIsNotReadForEachRequestThatIsSigned(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hooktape.hcl")
	text := `source "github" {
  path     = "/"
  provider = "github"
  secrets  = [env("SECRET")]
}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reads := 0
	c := &configured{config: file, lookup: func(string) (string, bool) { reads++; return "s3cret", true }}
	read := func() {
		t.Helper()
		if _, _, err := c.source("github"); err != nil {
			t.Fatal(err)
		}
	}
	read()
	once := reads
	c.since = time.Now().Add(time.Hour) // however slow this machine is
	read()
	if once == 0 || reads != once {
		t.Errorf("read %d times, then %d", once, reads)
	}
	c.since = time.Now().Add(-2 * freshTime)
	if read(); reads == once {
		t.Error("what has changed since is never seen")
	}
}
