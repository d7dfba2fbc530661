package relay

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/store"
)

// corrected gives the agent a configuration that is right.
func (r *rig) corrected(sources ...config.Source) { r.Apply(&config.Config{Sources: sources}) }

func TestWhatAWrongSecretRefusedIsDeliveredWhenItIsRight(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 20<<10)
	for what, body := range map[string]string{"small": "hello", "large": big} {
		t.Run(what, func(t *testing.T) {
			a := startApp(t, always(ok))
			r := start(t, checking(acking(a), "typo"))
			request := signed("secret", body)
			r.send(request)
			id := r.wait(Answered).Record.ID
			if done, err := r.Recheck(id, false); err != nil || done.Verdict != store.InvalidSignature || done.Reason == "" {
				t.Fatalf("under the wrong secret: %+v, %v", done, err)
			}
			r.corrected(checking(acking(a), "secret"))
			for _, dry := range []bool{true, false} {
				done, err := r.Recheck(id, dry)
				if want := (Rejudged{id, store.InvalidSignature, store.Accepted, "", 1}); err != nil || done != want {
					t.Fatalf("dry %v: %+v, %v", dry, done, err)
				}
			}
			until(t, "delivered", func() bool { return r.delivery(id).State == store.Delivered })
			if got := a.requests(); len(got) != 1 || !strings.HasSuffix(got[0], body) {
				t.Errorf("the app got %d requests", len(got))
			}
			rec := r.last()
			if rec.Verdict != store.Accepted || !rec.Verified || rec.Reason != "" || rec.Answer.Status != 401 || r.raw(rec.Raw) != request {
				t.Errorf("%+v", rec)
			}
			if _, err := r.Recheck(id, false); err == nil {
				t.Error("it was judged again though it is accepted")
			}
		})
	}
}

func TestRecheckDeliversNothingTwice(t *testing.T) {
	a := startApp(t, always(ok))
	r := start(t, deduping(checking(acking(a), "typo")))
	r.send(signed("secret", "hello"))
	refused := r.wait(Answered).Record.ID
	r.corrected(deduping(checking(acking(a), "secret")))
	r.send(signed("secret", "hello")) // the sender comes again by itself
	again := r.wait(Answered).Record
	done, err := r.Recheck(refused, false)
	if err != nil || done.Verdict != store.Duplicate || done.Reason != store.DuplicateOf(again.ID) || done.Deliveries != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	until(t, "delivered", func() bool { return r.delivery(again.ID).State == store.Delivered })
	if n := len(a.requests()); n != 1 {
		t.Errorf("the app got %d requests", n)
	}
}

// The sender was refused, so it comes again: it is told what it should have been told, and its request goes nowhere.
func TestWhatRecheckHasAcceptedIsNotDeliveredAgain(t *testing.T) {
	for what, answering := range map[string]func(*app) config.Source{
		"acked": acking, "answered by the target": func(a *app) config.Source { return passing(a, time.Minute) },
	} {
		t.Run(what, func(t *testing.T) {
			a := startApp(t, always(ok))
			r := start(t, deduping(checking(answering(a), "typo")))
			r.send(signed("secret", "hello"))
			refused := r.wait(Answered).Record.ID
			r.send(signed("secret", "hello"))
			second := r.wait(Answered).Record.ID
			r.corrected(deduping(checking(answering(a), "secret")))
			if done, err := r.Recheck(refused, false); err != nil || done.Verdict != store.Accepted || done.Deliveries != 1 {
				t.Fatalf("%+v, %v", done, err)
			}
			if done, err := r.Recheck(second, false); err != nil || done.Verdict != store.Duplicate || done.Reason != store.DuplicateOf(refused) {
				t.Errorf("the second that was refused: %+v, %v", done, err)
			}
			answer := r.send(signed("secret", "hello"))
			again := r.wait(Answered).Record
			if !strings.HasPrefix(answer, "HTTP/1.1 200 ") || again.Verdict != store.Duplicate || again.Reason != store.DuplicateOf(refused) {
				t.Errorf("it came again: %s, %q, answered %q", again.Verdict, again.Reason, answer)
			}
			until(t, "delivered", func() bool { return r.delivery(refused).State == store.Delivered })
			if n := len(a.requests()); n != 1 {
				t.Errorf("the app got %d requests", n)
			}
		})
	}
}

func TestRecheckJudgesLikeTheFirstTime(t *testing.T) {
	body := func(n int) string {
		return fmt.Sprintf("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n))
	}
	for what, c := range map[string]struct {
		now     func(config.Source) config.Source
		request string
		want    store.Verdict
		orders  int
	}{
		"a source that was missing": {func(s config.Source) config.Source { return s }, body(5), store.Accepted, 1},
		"a body that is too large":  {func(s config.Source) config.Source { s.MaxBody = 4; return s }, body(5), store.NoSource, 0},
		"another method":            {func(s config.Source) config.Source { s.Methods = []string{"PUT"}; return s }, body(5), store.NoSource, 0},
		"what isn't delivered": {func(s config.Source) config.Source {
			s.Acks = []config.Ack{{Status: 200}}
			return s
		}, body(5), store.Accepted, 0},
		"what no target wants": {func(s config.Source) config.Source {
			s.Targets[0].When = value("json.a == 1")
			return s
		}, body(5), store.Accepted, 0},
	} {
		t.Run(what, func(t *testing.T) {
			a := startApp(t, always(ok))
			elsewhere := acking(a)
			elsewhere.Path = "/elsewhere"
			r := start(t, elsewhere)
			r.send(c.request)
			id := r.wait(Answered).Record.ID
			r.corrected(c.now(acking(a)))
			done, err := r.Recheck(id, false)
			if err != nil || done.Verdict != c.want || done.Deliveries != c.orders {
				t.Errorf("%+v, %v", done, err)
			}
		})
	}
}

func TestWhatIsNotWholeIsNotJudgedAgain(t *testing.T) {
	a := startApp(t, always(ok))
	src := acking(a)
	src.MaxBody = 10
	r := start(t, src)
	r.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\nExpect: 100-continue\r\n\r\n")
	r.corrected(acking(a))
	if done, err := r.Recheck(r.wait(Answered).Record.ID, false); !errors.Is(err, errNotWhole) || done.Verdict != store.TooLarge {
		t.Errorf("%+v, %v", done, err)
	}
}
