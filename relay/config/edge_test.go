package config

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/hooktape/hooktape/store"
)

const team = `
edge {
  domain = "Hooks.Example.COM"
  tunnel "alice" {
    token_hash = "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    sources    = ["stripe"]
  }
}
source "stripe" {
  path    = "/stripe"
  respond = "target"
  target "alice" {
    url = "http://127.0.0.1:3000"
  }
}
`

func TestTunnelsAreSourcesWithTheirOwnAddresses(t *testing.T) {
	cfg, err := load(t, team)
	if err != nil {
		t.Fatal(err)
	}
	token := store.Token{Name: "bob", Hash: sha256.Sum256([]byte("b"))}
	with, refused := cfg.WithTunnels([]store.Token{token, {Name: "stripe"}, {Name: "alice", Hash: token.Hash}}, nil)
	if len(cfg.Sources) != 1 || len(cfg.Edge.Tunnels) != 1 || len(cfg.Edge.Tunnels[0].Hashes) != 1 {
		t.Errorf("the configuration itself was changed: %+v", cfg)
	}
	if len(refused) != 1 || refused["stripe"] == nil {
		t.Errorf("refused %v", refused)
	}
	if n := len(with.Edge.Tunnels); n != 2 || len(with.Edge.Tunnels[0].Hashes) != 2 {
		t.Fatalf("%d tunnels: %+v", n, with.Edge.Tunnels)
	}
	for _, name := range []string{"alice", "bob"} {
		s := with.Source(name)
		if s == nil || s.Tunnel != name || s.Host != name+".hooks.example.com" || s.Respond != RespondTarget || s.Patience != tunnelPatience ||
			len(s.Targets) != 1 || s.Targets[0].Tunnel != name || s.Targets[0].Concurrency != 1 || s.PublicURL != "https://hooks.example.com/t/"+name {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestALaptopGetsCopiesOfTheSourcesOfItsTunnelAlone(t *testing.T) {
	cfg, err := load(t, team)
	if err != nil {
		t.Fatal(err)
	}
	with, _ := cfg.WithTunnels([]store.Token{{Name: "bob"}}, nil)
	for _, tt := range []struct {
		tunnel, source, where, why string
	}{
		{"alice", "stripe", "", ""},
		{"alice", "stripe", `event == "paid"`, ""},
		{"alice", "stripe", "event ==", "is not valid"},
		{"alice", "stripe", `env("TOKEN") == "x"`, "is not valid"},
		{"alice", "nothing", "", "may not have copies"},
		{"bob", "stripe", "", "may not have copies"},
		{"carol", "stripe", "", "no such tunnel"},
	} {
		want := store.Copy{Source: tt.source, Where: tt.where}
		err := with.CheckCopy(tt.tunnel, want)
		if (err == nil) != (tt.why == "") || err != nil && !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%+v: %v", tt, err)
		}
		got, _ := cfg.WithTunnels(nil, map[string][]store.Copy{tt.tunnel: {want}})
		targets := got.Source("stripe").Targets
		switch {
		case tt.why != "" && len(targets) != 1:
			t.Errorf("%+v: %d targets", tt, len(targets))
		case tt.why == "" && (len(targets) != 2 || targets[1].Name != "alice-copy" || !targets[1].Copy || targets[1].Tunnel != "alice" ||
			(targets[1].When != nil) != (tt.where != "")):
			t.Errorf("%+v: %+v", tt, targets)
		}
	}
	twice := []store.Copy{{Source: "stripe", Where: "true"}, {Source: "stripe", Where: "true"}}
	if got, refused := cfg.WithTunnels(nil, map[string][]store.Copy{"alice": twice}); len(got.Source("stripe").Targets) != 2 || refused["alice"] == nil {
		t.Errorf("asked for twice: %+v, %v", got.Source("stripe").Targets, refused)
	}
	if len(cfg.Source("stripe").Targets) != 1 {
		t.Error("the configuration itself was changed")
	}
}

func TestAnUplinkIsRead(t *testing.T) {
	cfg, err := load(t, `
uplink {
  edge  = "https://hooks.example.com/sub"
  token = env("TOKEN")
  copy "stripe" { where = json.livemode == false }
  copy "github" {}
}`)
	if err != nil {
		t.Fatal(err)
	}
	u := cfg.Uplink
	if u.Edge.String() != "https://hooks.example.com/sub" || u.Token != "hush hush" || u.Backlog != "deliver" || len(u.Copies) != 2 ||
		u.Copies[0].Where != "json.livemode == false" || u.Copies[1].Where != "" {
		t.Errorf("%+v", u)
	}
}
