package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatTheSSHConfigSaysOfAHost(t *testing.T) {
	tests := []struct {
		name, text string
		user       string
		passed     []string
	}{
		{"a host", "Host box\n  User me\n", "me", nil},
		{"one of several", "Host lab box\n  User me\n", "me", nil},
		{"a tab between", "Host\tlab\tbox\n\tUser me\n", "me", nil},
		{"in quotes", "Host \"box\"\n  User me\n", "me", nil},
		{"beside one in quotes", "host = \"my lab\" \"box\"\n  User me\n", "me", nil},
		{"only in quotes with a blank", "Host \"my box\"\n  User other\n", "", nil},
		{"a comment behind", "Host lab # box\n  User other\n", "", nil},
		{"not this one", "Host * !box\n  User other\nHost *\n  User me\n", "me", nil},
		{"the first says it", "Host box\n  User me\nHost *\n  User other\n", "me", nil},
		{"all", "Match all\n  User me\n", "me", nil},
		{"by Match", "Match originalhost lab,b?x\n  User me\n", "me", nil},
		{"not by Match", "Match host lab\n  User other\nHost box\n  User me\n", "me", nil},
		{"by Match of the name that it was given", "Host box\n  HostName %h.example.com\nMatch host *.example.com,lab\n  User me\n", "me", nil},
		{"not by Match of the one that it had before", "Host box\n  HostName box.example.com\nMatch host box\n  User other\n", "", nil},
		{"by Match before it is given another", "Match host box\n  User me\nHost box\n  HostName box.example.com\n", "me", nil},
		{"excepted by Match", "Match host !b*,*\n  User other\n", "", nil},
		{"under another Match", "Match exec \"true\" # at home\n  User other\nHost box\n  User me\n", "me", []string{"Match exec \"true\" # at home"}},
		{"under more than one", "Match host box user you\n  User other\n", "", []string{"Match host box user you"}},
		{"without an end", "Host \"box", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			h, err := readSSHHost(file, "", "box")
			if err != nil || h.user != tt.user || !slices.Equal(h.passed, tt.passed) {
				t.Errorf("%+v, %v; %s", h, err, cmp.Diff(tt.passed, h.passed))
			}
		})
	}
}
