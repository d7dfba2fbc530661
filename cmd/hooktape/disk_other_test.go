//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

func cmdSmallDisk(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Fatalf("a small disk is mounted on Linux only")
}
