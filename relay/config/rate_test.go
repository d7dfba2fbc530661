package config

import (
	"testing"
	"time"
)

func TestARateIsANumberInATime(t *testing.T) {
	for text, want := range map[string]Rate{
		"10/s": {10, time.Second}, "600/m": {600, time.Minute}, "1 / h": {1, time.Hour},
	} {
		if got, err := ParseRate(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "600", "/m", "0/m", "-1/s", "1.5/s", "600/min", "600/m/m", "99999999999/s", "many/s"} {
		if got, err := ParseRate(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestLimitsArrive(t *testing.T) {
	cfg, err := load(t, `
limits {
  memory      = "1GiB"
  connections = 10
  head        = "8KiB"
}
source "a" {
  path = "/"
  rate = "5/s"
}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Limits{MaxBody: 32 << 20, Memory: 1 << 30, Connections: 10, Head: 8 << 10}
	if cfg.Limits != want || cfg.Sources[0].Rate != (Rate{5, time.Second}) {
		t.Errorf("%+v, %v", cfg.Limits, cfg.Sources[0].Rate)
	}
}
