package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/store"
)

// subscriptionRetry is how calls that register sources are tried again: providers are down for minutes, and count calls.
var subscriptionRetry = config.Retry{Min: time.Second, Max: 10 * time.Minute}

// errAbandoned is what is said of a registration whose block has left the configuration.
const errAbandoned = "its subscribe block was removed from the config: the provider may still send, cancel the subscription there by hand"

// saidMax is how many bytes of what a provider says about a call that failed are shown.
const saidMax = 200

var (
	// ErrNoSource is returned for a source that is not in the configuration.
	ErrNoSource = errors.New("there is no such source")
	// ErrNoSubscription is returned for a source without a subscribe block.
	ErrNoSubscription = errors.New("it has no subscribe block in the config")
)

// subscriber makes the sources known to their providers, and keeps them so: when the agent starts, when the public URL
// or the configuration changes, and again when a call has failed. What it knows is on the tape.
type subscriber struct {
	wake chan struct{} // one place

	// turn is held by the one who calls providers, as long as that takes: two at once would register everything twice.
	// It guards told.
	turn sync.Mutex
	told map[string]bool // registrations that a provider was told of since the start, by their keys
}

func newSubscriber() *subscriber {
	return &subscriber{wake: make(chan struct{}, 1), told: make(map[string]bool)}
}

func (s *subscriber) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// step is what there is to do about a registration.
type step string

const (
	nothing step = ""
	create  step = "create"
	update  step = "update"
	remove  step = "delete"
)

// wish is what a registration should come to.
type wish struct {
	off    bool   // the provider is to know nothing of it
	url    string // where the provider is to call; "": nobody knows
	digest string // of what else it is told; "": that is not known
	fresh  bool   // it has not been told since the start, though it wants to be
}

// nextStep decides what there is to do.
func nextStep(r *store.Registration, w wish) step {
	switch {
	case w.off && r.URL != "":
		return remove
	case w.off || w.url == "":
		return nothing
	case r.URL == "":
		return create
	case r.URL != w.url, r.Told != w.digest && r.Told != "" && w.digest != "":
		return update
	case w.fresh:
		return create
	}
	return nothing
}

// keepSubscribed looks whenever it is roused or something is due, until ctx ends.
func (a *Agent) keepSubscribed(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.subscriber.wake:
		case <-timer.C:
		}
		var next time.Time
		for _, s := range a.routes.Load().sources {
			if due := a.subscribeDue(ctx, s); !due.IsZero() && (next.IsZero() || due.Before(next)) {
				next = due
			}
		}
		if !next.IsZero() {
			timer.Reset(max(0, next.Sub(a.now())))
		}
	}
}

// subscribeDue does what is due for a source, and says when there is something to do again; zero: when roused.
func (a *Agent) subscribeDue(ctx context.Context, s *source) (next time.Time) {
	a.subscriber.turn.Lock()
	defer a.subscriber.turn.Unlock()
	all, err := a.store.Registrations(s.Name)
	if err != nil {
		a.complain("can't read the state of the subscriptions", targetKey{source: s.Name}, err)
		return a.now().Add(settleRetry)
	}
	all = a.advance(ctx, s, reconcile(s, all))
	for _, r := range all {
		if !r.Next.IsZero() && (next.IsZero() || r.Next.Before(next)) {
			next = r.Next
		}
	}
	return next
}

// Subscribe makes a source known to its provider, or with on false not known any more, and says how its registrations
// are then. It stays so until it is called again, over restarts too. Those that nobody knows how to take back are
// forgotten then. The error is ErrNoSource, ErrNoSubscription, or
// one of the store; what the provider answers is in the registrations.
func (a *Agent) Subscribe(ctx context.Context, name string, on bool) ([]store.Registration, error) {
	i := slices.IndexFunc(a.routes.Load().sources, func(s *source) bool { return s.Name == name })
	if i < 0 {
		return nil, ErrNoSource
	}
	s := a.routes.Load().sources[i]
	a.subscriber.turn.Lock()
	defer a.subscriber.turn.Unlock()
	all, err := a.store.Registrations(name)
	if err != nil {
		return nil, err
	}
	if len(s.Subscribe) == 0 && (on || len(all) == 0) {
		return nil, ErrNoSubscription
	}
	all = reconcile(s, all)
	for i := range all {
		all[i].Off, all[i].Next = !on, time.Time{}
	}
	var forgotten []store.Registration
	if !on {
		all, forgotten = s.forget(all)
	}
	if err := a.store.PutRegistrations(name, all); err != nil { // it holds even if the calls fail
		return nil, err
	}
	defer a.subscriber.rouse() // for what has failed
	return append(a.advance(ctx, s, all), forgotten...), nil
}

// forget takes out the registrations that nobody knows how to take back.
func (s *source) forget(all []store.Registration) (rest, forgotten []store.Registration) {
	for _, r := range all {
		if s.subscription(&r) != nil {
			rest = append(rest, r)
			continue
		}
		r.State, r.Error = store.Unsubscribed, "subscription forgotten without telling the provider, its subscribe block was removed from the config"
		forgotten = append(forgotten, r)
	}
	return rest, forgotten
}

// reconcile are the registrations of a source as its configuration wants them, and behind them those that it has no more:
// they stay as long as the provider may know them.
func reconcile(s *source, known []store.Registration) []store.Registration {
	var all []store.Registration
	for i := range s.Subscribe {
		sub := &s.Subscribe[i]
		for _, each := range sub.Each {
			r := store.Registration{Name: sub.Name, Each: each, State: store.Waiting}
			if j := slices.IndexFunc(known, func(k store.Registration) bool { return same(&k, &r) }); j >= 0 {
				r = known[j]
			}
			all = append(all, r)
		}
	}
	for _, k := range known {
		if !slices.ContainsFunc(all, func(r store.Registration) bool { return same(&k, &r) }) && k.URL != "" {
			all = append(all, k)
		}
	}
	return all
}

// same says whether two registrations are of the same subscription.
func same(a, b *store.Registration) bool { return a.Name == b.Name && maps.Equal(a.Each, b.Each) }

// subscription is the block that a registration is of; nil: it is not in the configuration any more.
func (s *source) subscription(r *store.Registration) *config.Subscription {
	for i := range s.Subscribe {
		if s.Subscribe[i].Name == r.Name {
			return &s.Subscribe[i]
		}
	}
	return nil
}

// advance does what is due, one registration after another, and writes down what came of each.
func (a *Agent) advance(ctx context.Context, s *source, all []store.Registration) []store.Registration {
	for i := range all {
		if r := &all[i]; ctx.Err() == nil && !a.now().Before(r.Next) && a.take(ctx, s, r) {
			a.keepRegistrations(s, all)
		}
	}
	gone := func(r store.Registration) bool { return r.URL == "" && !s.wants(&r) }
	if slices.ContainsFunc(all, gone) {
		all = slices.DeleteFunc(all, gone)
		a.keepRegistrations(s, all)
	}
	return all
}

func (a *Agent) keepRegistrations(s *source, all []store.Registration) {
	if err := a.store.PutRegistrations(s.Name, all); err != nil {
		a.complain("can't write the state of the subscriptions", targetKey{source: s.Name}, err)
	}
}

// wants says whether a registration is in the configuration.
func (s *source) wants(r *store.Registration) bool {
	sub := s.subscription(r)
	return sub != nil && slices.ContainsFunc(sub.Each, func(each map[string]string) bool { return maps.Equal(each, r.Each) })
}

// take does the next step of a registration, and says whether that changed it.
func (a *Agent) take(ctx context.Context, s *source, r *store.Registration) bool {
	before := *r
	sub := s.subscription(r)
	if sub == nil {
		r.State, r.Error, r.Next, r.Failures = store.Abandoned, errAbandoned, time.Time{}, 0
		return r.State != before.State
	}
	key := s.Name + "\x00" + r.Name + "\x00" + fmt.Sprint(r.Each)
	w := wish{off: r.Off || !s.wants(r), url: s.callbackURL(sub), fresh: sub.Always && !a.subscriber.told[key]}
	w.digest = sub.Digest(s.paramsFor(sub, r, w.url))
	if what := nextStep(r, w); what != nothing {
		a.register(ctx, s, sub, r, what, w.url)
		if r.Failures == 0 {
			a.subscriber.told[key], r.Told = true, w.digest
		}
		return true
	}
	r.Next, r.Failures = time.Time{}, 0
	switch {
	case w.off:
		r.State, r.Error = store.Unsubscribed, ""
	case w.url == "":
		r.State, r.Error = store.Waiting, "there is no public_url to give to the provider"
	default:
		r.State, r.Error = store.Subscribed, ""
	}
	return r.State != before.State || r.Error != before.Error
}

// callbackURL is where the provider is to call; "" where nobody knows.
func (s *source) callbackURL(sub *config.Subscription) string {
	switch {
	case s.publicURL == "":
		return ""
	case sub.Path != "":
		return s.publicURL + sub.Path
	}
	return s.publicURL + s.Path
}

// register makes the calls of a step and notes what came of them.
func (a *Agent) register(ctx context.Context, s *source, sub *config.Subscription, r *store.Registration, what step, url string) {
	e := &enrolment{agent: a, source: s, sub: sub, registration: r, params: s.paramsFor(sub, r, url)}
	err := e.run(ctx, what)
	if ctx.Err() != nil && err != nil {
		return // cut short by our own stop
	}
	r.Time = a.now()
	if err != nil {
		r.Failures++
		r.State, r.Error = store.Unregistered, err.Error()
		r.Next = a.now().Add(max(min(e.after, retryAfterMax), backoff(subscriptionRetry, r.Failures, a.jitter())))
		const phrase = "provider can't be told where to send, will try again"
		if tell, _ := a.complaints.again(complaint{phrase, targetKey{s.Name, r.Name}}, 1, a.now()); tell {
			a.log.Error(phrase, "source", s.Name, "subscription", r.Label(), "step", what, "record", r.Record, "error", err)
		}
		return
	}
	r.Error, r.Failures, r.Next = "", 0, time.Time{}
	if what == remove {
		r.State, r.URL, r.ID = store.Unsubscribed, "", ""
		a.log.Info("told the provider to send no more", "source", s.Name, "subscription", r.Label())
		return
	}
	r.State, r.URL = store.Subscribed, url
	a.log.Info("told the provider where to send", "source", s.Name, "subscription", r.Label(), "step", what, "url", a.hidden().Target(url))
}

// paramsFor are what the calls of a registration know.
func (s *source) paramsFor(sub *config.Subscription, r *store.Registration, url string) map[string]string {
	params := maps.Clone(s.setting.Params)
	if params == nil {
		params = make(map[string]string)
	}
	maps.Copy(params, sub.Params)
	maps.Copy(params, r.Each)
	params["url"] = url
	if len(s.setting.Secrets) > 0 {
		params["secret"] = s.setting.Secrets[0]
	}
	if r.ID != "" {
		params["subscription"] = r.ID
	}
	return params
}

// enrolment is the calls of one step.
type enrolment struct {
	agent        *Agent
	source       *source
	sub          *config.Subscription
	registration *store.Registration
	params       map[string]string
	after        time.Duration // that the provider asked to wait
}

// run makes the calls of a step. One that changes or takes back what the provider has forgotten is not needed.
func (e *enrolment) run(ctx context.Context, what step) error {
	r := e.registration
	if what == remove && e.sub.Delete == nil {
		return nil
	}
	if e.sub.Login != nil {
		v, err := e.do(ctx, "login", e.sub.Login)
		if err != nil {
			return fmt.Errorf("login: %w", err)
		}
		if e.sub.Access != nil {
			if e.params["access"], err = e.sub.Access.String(v); err != nil {
				return fmt.Errorf("login: %w", err)
			}
		}
	}
	if what == update && (e.sub.Update == nil || e.sub.ID != nil && r.ID == "") {
		what = create
	}
	switch what {
	case remove:
		if _, err := e.do(ctx, remove, e.sub.Delete); err != nil && !e.forgotten() {
			return err
		}
		return nil
	case update:
		_, err := e.do(ctx, update, e.sub.Update)
		if err == nil || !e.forgotten() {
			return err
		}
	}
	return e.create(ctx)
}

// forgotten says whether the last response was that there is no such subscription.
func (e *enrolment) forgotten() bool {
	return e.registration.Status == http.StatusNotFound || e.registration.Status == http.StatusGone
}

func (e *enrolment) create(ctx context.Context) error {
	v, err := e.do(ctx, create, e.sub.Create)
	if err != nil {
		if v != nil && e.exists(v) {
			_, err = e.do(ctx, update, e.sub.Update)
		}
		return err
	}
	if e.sub.ID == nil {
		return nil
	}
	id, err := e.sub.ID.String(v)
	if err == nil && id == "" {
		err = errors.New("the response has no id of the subscription")
	}
	e.registration.ID = id
	return err
}

// exists says whether a subscription could not be made because there is one, which can be changed.
func (e *enrolment) exists(v *expr.View) bool {
	if e.sub.Exists == nil || e.sub.Update == nil || e.sub.ID != nil {
		return false
	}
	there, err := e.sub.Exists.Bool(v)
	return there && err == nil
}

// do makes a call. Where a response came, v sees it, also beside an error.
func (e *enrolment) do(ctx context.Context, what step, c *config.Call) (v *expr.View, err error) {
	r := e.registration
	r.Status = 0
	v = &expr.View{Record: &store.Record{Source: e.source.Name}, Params: e.params}
	u, headers, body, err := c.Request(v)
	if err != nil {
		return nil, err
	}
	got, err := e.agent.call(ctx, &call{
		source: e.source.Name, event: "subscription." + string(what), method: c.Method, url: u, headers: headers, body: body,
	})
	if got != nil {
		r.Record = got.record
	}
	if err != nil {
		return nil, err
	}
	r.Status = got.head.Status
	v.Response = &expr.Response{Head: got.head, Body: func() ([]byte, error) { return got.body, nil }}
	if c.Succeeded(v) {
		return v, nil
	}
	e.after = retryAfter(got.head.Fields, e.agent.now())
	return v, got.failure(e.agent.hidden())
}

// failure is what a provider said to a call that did not succeed, with the secrets of these names masked.
func (r *reply) failure(names mask.Names) error {
	contentType, _ := r.head.Fields.Get("Content-Type")
	said := strings.Fields(string(names.Body(contentType, r.body[:min(len(r.body), saidMax)])))
	if len(said) == 0 {
		return fmt.Errorf("the provider answered %d", r.head.Status)
	}
	return fmt.Errorf("the provider answered %d: %s", r.head.Status, strings.Join(said, " "))
}
