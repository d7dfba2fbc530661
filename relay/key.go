package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/provider"
)

// keyPause is the time between two questions for a key, on average, since senders make us ask with signatures that are wrong.
// keyBurst is how many may come at once: a key that has just been asked for may be replaced a moment later. keyRetry is the
// least time after a question that had no answer: then all wait for it.
const (
	keyPause = 10 * time.Second
	keyBurst = 3
	keyRetry = time.Second
)

// errNoKeyYet is why nothing can be checked before the first answer.
var errNoKeyYet = errors.New("it was not asked for yet")

// handedKey is a secret that the provider of a source hands out. It is asked for when the agent begins, from time to
// time, and when checks begin to fail. It is only ever in memory.
type handedKey struct {
	from   config.KeyFrom
	client *http.Client
	now    func() time.Time
	asking singleflight.Group
	urged  *rate.Limiter // questions because of signatures

	mu     sync.Mutex // guards the fields below; never held while the provider is asked
	secret string     // the last that was had; "": none yet
	err    error      // why the last question had no answer
	asked  time.Time  // when it ended
}

func newHandedKey(from config.KeyFrom, now func() time.Time) *handedKey {
	return &handedKey{
		from: from, now: now, err: errNoKeyYet, urged: rate.NewLimiter(rate.Every(keyPause), keyBurst),
		client: &http.Client{Timeout: fetchPatience, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
		}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// same says whether it is asked for in the same way.
func (k *handedKey) same(from *config.KeyFrom) bool {
	return k.from.URL.String() == from.URL.String() && slices.Equal(k.from.Headers, from.Headers) && k.from.Path == from.Path &&
		k.from.Every == from.Every
}

// current is the secret as far as it is known; "": not at all.
func (k *handedKey) current() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.secret
}

// renew is the secret after used has failed: another one that came meanwhile, or what the provider says now. The error
// says why it can't be had. The last answer stands where it was asked for too often.
func (k *handedKey) renew(ctx context.Context, used string) (string, error) {
	k.mu.Lock()
	secret, err, asked := k.secret, k.err, k.asked
	k.mu.Unlock()
	switch since := k.now().Sub(asked); {
	case secret != used && secret != "":
		return secret, nil
	case err != nil && !asked.IsZero() && since >= 0 && since < keyRetry:
		return secret, err
	case err == nil && !k.urged.AllowN(k.now(), 1):
		return secret, nil
	}
	return k.ask(ctx)
}

// ask asks the provider, once for all who want to know.
func (k *handedKey) ask(ctx context.Context) (string, error) {
	secret, err, _ := k.asking.Do("", func() (any, error) {
		secret, err := k.fetch(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.asked, k.err = k.now(), err
		if err == nil {
			k.secret = secret
		}
		return k.secret, err
	})
	return secret.(string), err
}

func (k *handedKey) fetch(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.from.URL.String(), nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "application/json")
	for _, f := range k.from.Headers {
		r.Header.Set(f.Name, f.Value)
	}
	answer, err := answerTo(k.client, r)
	if err != nil {
		return "", err
	}
	found := gjson.GetBytes(answer, k.from.Path)
	if !gjson.ValidBytes(answer) || found.Type != gjson.String || found.Str == "" {
		return "", fmt.Errorf("the answer of %s has no %s", r.URL.Host, k.from.Path)
	}
	return found.Str, nil
}

// due is when it is to be asked for again though nobody needs it.
func (k *handedKey) due() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.asked.IsZero():
		return time.Time{}
	case k.err != nil:
		return k.asked.Add(keyPause) // requests ask more often
	}
	return k.asked.Add(k.from.Every)
}

// keepKeys asks for the keys of all sources as they fall due, until ctx ends.
func (a *Agent) keepKeys(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-a.newKeys:
		}
		next := a.now().Add(keyPause)
		var asking sync.WaitGroup
		for _, s := range a.routes.Load().sources {
			if s.key != nil && !s.key.due().After(a.now()) {
				asking.Go(func() { a.askKey(ctx, s) })
			}
		}
		asking.Wait()
		for _, s := range a.routes.Load().sources {
			if s.key != nil && s.key.due().Before(next) {
				next = s.key.due()
			}
		}
		timer.Reset(max(0, next.Sub(a.now())))
	}
}

func (a *Agent) askKey(ctx context.Context, s *source) {
	before := s.key.current()
	now, err := s.key.ask(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		a.complain("key can't be fetched, requests that can't be checked without it get 503", targetKey{source: s.Name}, err)
	case now != before:
		a.log.Info("key was handed out", "source", s.Name)
	}
}

// keyFor is the key of a source that has one: that from before, if it is asked for in the same way. Agent.mu is held.
func (a *Agent) keyFor(src *config.Source) *handedKey {
	if src.KeyFrom == nil {
		return nil
	}
	if before := a.routes.Load(); before != nil {
		if s := before.named(src.Name); s != nil && s.key != nil && s.key.same(src.KeyFrom) {
			return s.key
		}
	}
	return newHandedKey(*src.KeyFrom, a.now)
}

// settings are what the source says about its provider, with the secret that was handed out.
func (s *source) settings() *provider.Setting {
	if s.key == nil {
		return &s.setting
	}
	setting := s.setting
	if secret := s.key.current(); secret != "" {
		setting.Secrets = append([]string{secret}, setting.Secrets...)
	}
	return &setting
}
