package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hooktape/hooktape/relay/acme/acmetest"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/relay/wire/port"
)

func TestMain(m *testing.M) {
	acmetest.Main()
	goleak.VerifyTestMain(m)
}

// rig is a Keeper between a CA and servers that show its certificates.
type rig struct {
	*Keeper
	t        *testing.T
	ca       *acmetest.CA
	way      *way // to the CA
	ahead    time.Duration
	told     []Outcome
	addr     string // over TLS
	refusals chan struct{}
}

// way leads to the CA, counts orders, and may be cut.
type way struct {
	http.RoundTripper
	orders atomic.Int64
	cut    atomic.Bool
}

func (w *way) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.cut.Load() {
		return nil, errors.New("the way is cut")
	}
	answer, err := w.RoundTripper.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "/order-plz") && answer.StatusCode == http.StatusCreated {
		w.orders.Add(1) // others are repeated: Pebble refuses good nonces now and then
	}
	return answer, err
}

func (w *way) CloseIdleConnections() { w.RoundTripper.(*http.Transport).CloseIdleConnections() }

// newRig starts the servers. The CA always reaches them over HTTP, and over TLS if overTLS says so; the Keeper knows of HTTP
// if overHTTP says so.
func newRig(t *testing.T, overTLS, overHTTP bool) *rig {
	r := &rig{t: t, refusals: make(chan struct{}, 100)}
	secure, plain := listen(t), listen(t)
	closed, err := port.Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closed.Release)
	asked := secure.Addr().String()
	if !overTLS {
		asked = closed.Addr
	}
	r.addr = secure.Addr().String()
	r.ca = acmetest.Start(t, asked, plain.Addr().String())
	r.way = &way{RoundTripper: r.ca.Transport()}
	t.Cleanup(r.way.CloseIdleConnections)
	r.Keeper = New(Options{
		Now: func() time.Time { return time.Now().Add(r.ahead) }, Jitter: func() float64 { return 0 },
		CA: r.way, HTTP: overHTTP, Tell: func(o Outcome) { r.told = append(r.told, o) },
	})
	serve(t, secure, &wire.Server{
		TLS: &tls.Config{GetCertificate: r.Certificate}, Aside: r.Aside,
		Serve:  func(x *wire.Exchange) { answer(x, 200, "hello") },
		Refuse: func(*wire.Refusal) []byte { r.refusals <- struct{}{}; return nil },
	})
	serve(t, plain, &wire.Server{Serve: func(x *wire.Exchange) {
		if text, ok := r.Answer(x.Head.Host(), x.Head.Path()); ok {
			answer(x, 200, text)
			return
		}
		answer(x, 404, "no")
	}})
	return r
}

func answer(x *wire.Exchange, status int, body string) {
	_, _ = x.Write(wire.AppendResponse(nil, wire.Answer{Status: status, Body: []byte(body), Close: !x.KeepAlive()}))
}

func listen(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serve(t *testing.T, l net.Listener, s *wire.Server) {
	ran := make(chan error, 1)
	go func() { ran <- s.Run(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-ran
	})
}

// settings are for names, in a folder of the test's own.
func (r *rig) settings(folder string, names ...string) Settings {
	return Settings{Names: names, Directory: r.ca.Directory, Email: "ops@example.com", Folder: folder}
}

// leaf is the certificate that a sender to a name sees, who trusts the CA.
func (r *rig) leaf(name string) (*x509.Certificate, error) {
	c, err := tls.Dial("tcp", r.addr, r.ca.Trusts(name))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

// last is the last outcome that was told.
func (r *rig) last() Outcome {
	r.t.Helper()
	if len(r.told) == 0 {
		r.t.Fatal("nothing was told")
	}
	return r.told[len(r.told)-1]
}

// obtain orders until all names have new certificates: on a machine that is busy Pebble may wait for a name in vain.
func (r *rig) obtain() (quiet time.Duration) {
	r.t.Helper()
	const tries = 5
	for range tries {
		before := len(r.told)
		quiet = r.round(r.t.Context())
		if !slices.ContainsFunc(r.told[before:], func(o Outcome) bool { return o.Failed > 0 }) {
			return quiet
		}
		r.t.Logf("once more after %v", r.last().Err)
		r.Retry()
	}
	r.t.Fatalf("told %+v", r.last())
	return 0
}

// of is the last outcome of a name.
func (r *rig) of(name string) (last Outcome) {
	for _, o := range r.told {
		if o.Name == name {
			last = o
		}
	}
	return last
}

const (
	hooks = "hooks.example.com"
	alice = "alice.hooks.example.com"
)

func TestListedNamesGetCertificatesOverTLSAndOthersNone(t *testing.T) {
	t.Parallel()
	r := newRig(t, true, false)
	folder := filepath.Join(t.TempDir(), "certificates")
	r.Want(r.settings(folder, hooks, alice))
	if _, err := r.leaf(hooks); err == nil {
		t.Error("there was a certificate before it was ordered")
	}
	<-r.refusals
	if quiet := r.obtain(); quiet != longest {
		t.Errorf("quiet for %v", quiet)
	}
	if n := len(r.refusals); n != 0 {
		t.Errorf("%d questions of the CA were told as failed handshakes", n)
	}
	for _, name := range []string{hooks, alice} {
		leaf, err := r.leaf(name)
		if o := r.of(name); err != nil || o.Err != nil || !leaf.Equal(o.Leaf) || !o.Next.Equal(renewal(leaf)) {
			t.Errorf("%s: %v, told %+v", name, err, o)
		}
	}
	orders := r.way.orders.Load()
	for _, name := range []string{"bob.hooks.example.com", "example.com", "127.0.0.1"} {
		if _, err := r.leaf(name); err == nil {
			t.Errorf("%s has a certificate", name)
		}
	}
	if r.round(t.Context()); r.way.orders.Load() != orders {
		t.Errorf("%d orders, %d before", r.way.orders.Load(), orders)
	}
	r.checkModes(folder)

	again := New(Options{Now: r.o.Now, CA: r.way, Tell: r.o.Tell})
	again.Want(r.settings(folder, alice, "new.example.com"))
	again.Restore()
	if leaves := again.Leaves(); !leaves[alice].Equal(r.of(alice).Leaf) || leaves["new.example.com"] != nil || len(leaves) != 2 || !r.last().Kept {
		t.Errorf("after a restart there are %v, told %+v", leaves, r.last())
	}
	if kept := Kept(r.settings(folder, hooks, "new.example.com")); len(kept) != 1 || !kept[hooks].Equal(r.of(hooks).Leaf) {
		t.Errorf("kept %v", kept)
	}
	r.Want(r.settings(folder, alice))
	if _, err := r.leaf(hooks); err == nil {
		t.Error("a name that is not listed any more has a certificate")
	}
	if _, err := r.leaf(alice); err != nil {
		t.Error(err)
	}
}

// checkModes checks that nobody else can read what is stored.
func (r *rig) checkModes(folder string) {
	r.t.Helper()
	files := 0
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else {
			files++
		}
		if err == nil && info.Mode().Perm() != want {
			r.t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil || files != 3 {
		r.t.Errorf("%d files, %v", files, err)
	}
}

func TestOverHTTPWhereTheCADoesNotComeOverTLS(t *testing.T) {
	t.Parallel()
	r := newRig(t, false, false)
	r.Want(r.settings(t.TempDir(), hooks))
	r.round(t.Context())
	if o := r.last(); !strings.HasPrefix(fmt.Sprint(o.Err), "the CA could not verify that the name leads here: tls-alpn-01: ") || o.Failed != 1 || o.Leaf != nil {
		t.Fatalf("told %+v", o)
	}
	r.o.HTTP = true
	r.ahead += pauseMost
	r.obtain()
	o := r.last()
	if leaf, err := r.leaf(hooks); err != nil || o.Err != nil || !leaf.Equal(o.Leaf) || o.Before < 1 {
		t.Errorf("%v, told %+v", err, o)
	}
	if _, ok := r.Answer("bob.example.com", r.questions[hooks].path); ok {
		t.Error("the answer is given at another name")
	}
	if _, ok := r.Answer(hooks, "/.well-known/acme-challenge/guess"); ok {
		t.Error("a guess is answered")
	}
}

func TestCertificatesAreRenewedAndUsedOnWhileTheyCanNotBe(t *testing.T) {
	t.Parallel()
	r := newRig(t, true, false)
	s := r.settings(t.TempDir(), hooks)
	r.Want(s)
	r.obtain()
	first, orders := r.last().Leaf, r.way.orders.Load()
	r.ahead = time.Until(first.NotAfter) - renewBefore - time.Hour
	r.round(t.Context())
	if r.way.orders.Load() != orders {
		t.Error("renewed too early")
	}

	r.way.cut.Store(true)
	r.ahead += 2 * time.Hour
	told := len(r.told)
	for n := range 2 {
		quiet := r.round(t.Context())
		o := r.last()
		if leaf, err := r.leaf(hooks); err != nil || !leaf.Equal(first) || !o.Leaf.Equal(first) || o.Err == nil || o.Failed != n+1 {
			t.Fatalf("%v, told %+v", err, o)
		}
		if want := pauseLeast << n / 2; quiet > want || quiet < want/2 {
			t.Errorf("quiet for %v after %d failures", quiet, n+1)
		}
		r.round(t.Context())
		if len(r.told) != told+n+1 {
			t.Errorf("asked again at once")
		}
		r.ahead += pauseMost
	}
	r.way.cut.Store(false)
	r.ahead -= pauseMost
	r.Retry()
	r.obtain()
	o := r.last()
	if leaf, err := r.leaf(hooks); err != nil || leaf.Equal(first) || !leaf.Equal(o.Leaf) || o.Before < 2 {
		t.Fatalf("%v, told %+v", err, o)
	}

	r.way.cut.Store(true)
	s.Directory += "?trial"
	r.Want(s)
	if r.round(t.Context()); r.last().Err == nil || !r.last().Leaf.Equal(o.Leaf) {
		t.Errorf("with another CA told %+v", r.last())
	}
}

func TestKeepOrdersWhatIsWantedWhileItRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t, true, false)
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan Outcome, 1)
	r.o.Tell = func(o Outcome) { told <- o }
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Keep(ctx)
	}()
	r.Want(r.settings(t.TempDir(), hooks))
	o := <-told
	for ; o.Err != nil; o = <-told {
		t.Logf("once more after %v", o.Err)
		r.Retry()
	}
	if o.Name != hooks {
		t.Errorf("told %+v", o)
	}
	if _, err := r.leaf(hooks); err != nil {
		t.Error(err)
	}
	cancel()
	<-ended
}

func TestWhatCanNotBeKeptIsUsedAllTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t, true, false)
	s := r.settings(t.TempDir(), hooks)
	if _, err := accountKey(t.Context(), s.cache()); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(string(s.cache()), hooks, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.Want(s)
	r.obtain()
	orders := r.way.orders.Load()
	if o := r.last(); o.Err == nil || o.Failed != 0 || !strings.Contains(o.Err.Error(), "keep it in ") {
		t.Errorf("told %+v", o)
	}
	if _, err := r.leaf(hooks); err != nil {
		t.Error(err)
	}
	if r.round(t.Context()); r.way.orders.Load() != orders {
		t.Error("it was ordered again")
	}
}

func TestAClockThatIsAheadOrdersNoCertificateAfterAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t, true, false)
	r.ahead = 100 * 365 * 24 * time.Hour
	r.Want(r.settings(t.TempDir(), hooks))
	quiet := r.obtain()
	if o := r.last(); o.Leaf == nil || !o.Leaf.NotAfter.Before(r.o.Now()) {
		t.Fatalf("told %+v", o)
	}
	if quiet <= 0 {
		t.Errorf("quiet for %v", quiet)
	}
	r.ahead += pauseMost
	if r.round(t.Context()); r.last().Leaf.Equal(r.told[0].Leaf) {
		t.Error("it was never ordered again")
	}
}

func TestAQuestionAboutANameThatWasTakenOffTheListIsNotAnswered(t *testing.T) {
	k := New(Options{})
	k.Want(Settings{Names: []string{alice}})
	k.expect(hooks, question{cert: new(tls.Certificate), path: "/asked", answer: "yes"}) // by an order that was under way
	if _, ok := k.Answer(hooks, "/asked"); ok {
		t.Error("it is answered over HTTP")
	}
	if _, err := k.answerOverTLS(&tls.ClientHelloInfo{ServerName: hooks}); err == nil {
		t.Error("it is answered over TLS")
	}
}

// deadCA is a CA that can't be reached, and something that happens while it is tried.
type deadCA struct{ meanwhile func() }

func (d *deadCA) RoundTrip(*http.Request) (*http.Response, error) {
	d.meanwhile()
	return nil, errors.New("nobody is there")
}

func TestAnOrderThatFailsUnderSettingsOfBeforeIsMadeAtOnceUnderThoseOfNow(t *testing.T) {
	now := time.Now()
	ca := &deadCA{func() {}}
	var told Outcome
	k := New(Options{Now: func() time.Time { return now }, CA: ca, Tell: func(o Outcome) { told = o }})
	before := Settings{Names: []string{hooks}, Directory: "http://127.0.0.1/before", Folder: t.TempDir()}
	k.Want(before)
	if quiet := k.round(t.Context()); told.Err == nil || quiet == 0 {
		t.Errorf("it is made again at once though nothing has changed: %+v", told)
	}
	for what, change := range map[string]func(){
		"settings": func() { after := before; after.Directory += "/not"; k.Want(after) },
		"retry":    k.Retry,
	} {
		k.Retry()
		ca.meanwhile = sync.OnceFunc(change)
		if quiet := k.round(t.Context()); quiet != 0 || !told.Next.Equal(now) {
			t.Errorf("%s: it waits for %s, told %+v", what, quiet, told)
		}
	}
}

// TestNoOrderIsMadeUnderSettingsOfBefore: a round of several names may take long.
func TestNoOrderIsMadeUnderSettingsOfBefore(t *testing.T) {
	ca := &deadCA{}
	var told []Outcome
	k := New(Options{CA: ca, Tell: func(o Outcome) { told = append(told, o) }})
	settings := Settings{Names: []string{hooks, "other.example"}, Directory: "http://127.0.0.1/before", Folder: t.TempDir()}
	k.Want(settings)
	settings.Directory += "/not"
	ca.meanwhile = sync.OnceFunc(func() { k.Want(settings) })
	if quiet := k.round(t.Context()); quiet != 0 || len(told) != 1 {
		t.Errorf("it waits for %s, told %+v", quiet, told)
	}
}

func TestAnotherAddressReachesTheAccountThatThereIs(t *testing.T) {
	r := newRig(t, true, false)
	s := r.settings(t.TempDir())
	for _, email := range []string{"ops@example.com", "new@example.com", "new@example.com"} {
		s.Email = email
		r.client = nil // as behind a restart
		client, err := r.account(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		account, err := client.GetReg(t.Context(), "")
		if want := []string{"mailto:" + email}; err != nil || !slices.Equal(account.Contact, want) {
			t.Errorf("the account has %+v, %v, not %q", account, err, want)
		}
	}
	s.Email, r.client = "no address", nil
	if _, err := r.account(t.Context(), s); err != nil {
		t.Errorf("an address that the CA refuses stands in the way of certificates: %v", err)
	}
}

func TestWithoutANameTheFirstCertificateIsShown(t *testing.T) {
	k := New(Options{})
	if _, err := k.Certificate(&tls.ClientHelloInfo{}); err == nil {
		t.Error("nothing was shown as a certificate")
	}
	k.Want(Settings{Names: []string{hooks, alice}})
	cert := &tls.Certificate{Leaf: new(x509.Certificate)}
	k.take(k.want, alice, cert, time.Time{})
	for _, name := range []string{"", alice, "Alice.Hooks.Example.com", alice + "."} {
		if got, err := k.Certificate(&tls.ClientHelloInfo{ServerName: name}); got != cert {
			t.Errorf("%q got %v", name, err)
		}
	}
	for name, why := range map[string]string{hooks: "yet", "bob.example.com": "not among"} {
		if _, err := k.Certificate(&tls.ClientHelloInfo{ServerName: name}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q got %v", name, err)
		}
	}
}

func TestTimesOfOrders(t *testing.T) {
	const day = 24 * time.Hour
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for life, want := range map[time.Duration]time.Duration{90 * day: 60 * day, 6 * day: 4 * day, 398 * day: 368 * day} {
		if got := renewal(&x509.Certificate{NotBefore: from, NotAfter: from.Add(life)}); got != from.Add(want) {
			t.Errorf("of %v renewed after %v", life, got.Sub(from))
		}
	}
	for _, tt := range []struct {
		failed      int
		asked, want time.Duration
	}{
		{1, 0, pauseLeast / 2}, {2, 0, pauseLeast}, {3, 0, 2 * pauseLeast}, {7, 0, pauseMost / 2}, {1000, 0, pauseMost / 2},
		{1, 3 * time.Hour, 3 * time.Hour}, {1, 1000 * day, pauseAsked},
	} {
		if got := pause(tt.failed, tt.asked, 0); got != tt.want {
			t.Errorf("after %d failures, asked for %v: %v", tt.failed, tt.asked, got)
		}
	}
}

func TestOnlyQuestionsOfACAAreSetAside(t *testing.T) {
	k := New(Options{})
	question := &tls.ClientHelloInfo{SupportedProtos: []string{"acme-tls/1"}}
	if k.Aside(question) != nil {
		t.Error("questions are expected where no certificate is wanted")
	}
	k.Want(Settings{Names: []string{hooks}})
	if cfg := k.Aside(question); cfg == nil {
		t.Error("no question is expected")
	} else if _, err := cfg.GetCertificate(question); err != errNoQuestion {
		t.Errorf("a question that nobody was to ask got %v", err)
	}
	for _, protos := range [][]string{nil, {"http/1.1"}, {"acme-tls/1", "http/1.1"}} {
		if k.Aside(&tls.ClientHelloInfo{SupportedProtos: protos}) != nil {
			t.Errorf("%v was set aside", protos)
		}
	}
}
