package relay

import (
	"testing"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

func TestTheLongestPathOfTheHostWins(t *testing.T) {
	var sources []*source
	for _, s := range []config.Source{
		{Name: "all", Path: "/"},
		{Name: "hooks", Path: "/hooks"},
		{Name: "iiko", Path: "/hooks/iiko"},
		{Name: "shop", Host: "shop.example.com", Path: "/"},
		{Name: "shop-hooks", Host: "shop.example.com", Path: "/hooks"},
	} {
		sources = append(sources, &source{Source: s})
	}
	r := newRoutes(sources, nil)
	for _, c := range []struct{ host, path, want string }{
		{"a.example.com", "/", "all"},
		{"a.example.com", "/hooks", "hooks"},
		{"a.example.com", "/hooks/", "hooks"},
		{"a.example.com", "/hooksandmore", "all"},
		{"a.example.com", "/hooks/iiko/7", "iiko"},
		{"a.example.com", "/hooks/iikoo", "hooks"},
		{"shop.example.com", "/hooks/iiko", "shop-hooks"},
		{"SHOP.example.com:8080", "/x", "shop"},
		{"", "/hooks", "hooks"},
		{"[::1]:7070", "*", "all"},
	} {
		if got := r.match(c.host, c.path); got == nil || got.Name != c.want {
			t.Errorf("%s%s: %v, want %s", c.host, c.path, got, c.want)
		}
	}
	if got := newRoutes(sources[1:3], nil).match("a.example.com", "/other"); got != nil {
		t.Errorf("no source takes /other, got %s", got.Name)
	}
}

func TestAHeadIsJudgedBeforeItsBody(t *testing.T) {
	src := &config.Source{Methods: []string{"POST", "PUT"}, MaxBody: 100}
	for _, c := range []struct {
		name    string
		src     *config.Source
		method  string
		length  int64
		verdict store.Verdict
		status  int
	}{
		{"a listed method", src, "PUT", 100, store.Accepted, 0},
		{"another method", src, "GET", 0, store.MethodNotAllowed, 405},
		{"methods are told apart by case", src, "post", 0, store.MethodNotAllowed, 405},
		{"no list takes all", &config.Source{MaxBody: 1}, "BREW", 0, store.Accepted, 0},
		{"too long by its own word", src, "POST", 101, store.TooLarge, 413},
		{"no source", nil, "POST", 1 << 40, store.NoSource, 404},
	} {
		h := &wire.RequestHead{Method: c.method, Target: "/x", Framing: wire.Framing{Length: c.length}}
		got := checkHead(c.src, h, "192.0.2.1:1234", nil)
		if got.verdict != c.verdict || got.status != c.status || got.refused() && got.reason == "" {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
