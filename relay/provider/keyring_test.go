package provider

import (
	"strings"
	"sync"
	"testing"
)

func TestAPreparedSettingChecksLikeAnyOther(t *testing.T) {
	p, err := Custom{Header: "X-Signature"}.Provider()
	if err != nil {
		t.Fatal(err)
	}
	prepared := Setting{Secrets: []string{"first", "second"}}.Prepared()
	send := func(secret, body string) *Request {
		r := request(t, "POST", "/", body)
		g, err := p.Scheme.Sign(r, &Setting{Secrets: []string{secret}}, "")
		if err != nil {
			t.Fatal(err)
		}
		return applied(r, g)
	}
	var all sync.WaitGroup
	for n := range 8 {
		body := strings.Repeat("x", 100*n)
		right, second, wrong := send("first", body), send("second", body), send("third", body)
		all.Go(func() {
			for range 200 { // each goes over states that others have used
				if f := p.Verify(right, &prepared); f != nil {
					t.Error("the first secret:", f)
				}
				if f := p.Verify(second, &prepared); f != nil {
					t.Error("the second secret:", f)
				}
				if f := p.Verify(wrong, &prepared); f == nil || f.Kind != Mismatch {
					t.Error("another secret:", f)
				}
			}
		})
	}
	all.Wait()
	other := prepared
	other.Secrets = []string{"third"}
	if f := p.Verify(send("third", "hello"), &other); f != nil {
		t.Error("with the secrets replaced:", f)
	}
	if f := p.Verify(send("first", "hello"), &other); f == nil {
		t.Error("a secret that is there no more was taken")
	}
}
