package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/store"
)

// following is a source whose target's 202 is followed; respond is "ack" or "target".
func following(t *testing.T, a *app, respond, keys string) config.Source {
	return configured(t, fmt.Sprintf(`
source "s" {
  path      = "/"
  direction = "outbound"
  respond   = %q
  patience  = "0s"
  target "api" {
    url = "http://%s"
    follow {
      until = response.json.done
      every = "1ms"
      %s
    }
  }
}`, respond, a.addr, keys))
}

// outcome is the delivery that waits for what a call was promised; zero: there is none.
func (r *rig) outcome(id store.ID) (d store.Delivery) {
	all, err := r.store.Deliveries(id)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range all {
		if strings.HasSuffix(all[i].Target, followSuffix) {
			d = all[i]
		}
	}
	return d
}

func promising(location string, answers func(n int) string) func(int, string) string {
	return func(n int, request string) string {
		if strings.HasPrefix(request, "POST ") {
			return "HTTP/1.1 202 Accepted\r\n" + location + "Content-Length: 0\r\n\r\n"
		}
		body := answers(n)
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}

func TestWhatIsPromisedIsAskedForUntilItHasCome(t *testing.T) {
	for _, respond := range []string{"ack", "target"} {
		t.Run(respond, func(t *testing.T) {
			a := startApp(t, promising("Location: /jobs/7\r\n", func(n int) string { return fmt.Sprintf(`{"done":%v}`, n == 4) }))
			r := start(t, following(t, a, respond, ""))
			r.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
			id := r.wait(Answered).Record.ID
			until(t, "the outcome", func() bool { return r.outcome(id).State == store.Delivered })
			attempts, err := r.store.Attempts(id)
			if err != nil || len(attempts) != 4 || r.outcome(id).Attempts != 3 {
				t.Fatalf("%d attempts, %+v, %v", len(attempts), r.outcome(id), err)
			}
			last := attempts[3]
			if last.Target != "api/follow" || last.URL != "http://"+a.addr+"/jobs/7" || last.Sent == nil || last.Sent.Size != 0 ||
				!strings.HasSuffix(r.raw(last.Response), `{"done":true}`) {
				t.Errorf("%+v", last)
			}
		})
	}
}

func TestAnOutcomeIsAskedForAsOftenAsIsSaid(t *testing.T) {
	a := startApp(t, promising("Location: /jobs/7\r\n", func(int) string { return `{}` }))
	src := following(t, a, "target", "")
	src.Targets[0].Follow.Every = 100 * time.Millisecond
	r := start(t, src)
	r.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
	id := r.wait(Answered).Record.ID
	until(t, "it is asked again", func() bool { return r.outcome(id).Attempts >= 5 })
	var last time.Time
	for _, at := range r.attempts(id) {
		if at.Target != "api/follow" {
			continue
		}
		if apart := at.Time.Sub(last); apart < 90*time.Millisecond { // and not after half of that
			t.Errorf("it was asked again after %s", apart)
		}
		last = at.Time
	}
}

func TestWhatDoesNotComeIsGivenUp(t *testing.T) {
	for what, c := range map[string]struct{ location, keys, error string }{
		"not in time":       {"Location: /jobs/7\r\n", `for = "20ms"`, errNotYet.Error()},
		"nowhere to ask":    {"", ``, errNoLocation.Error()},
		"no path":           {"Location: mailto:me\r\n", ``, errNoLocation.Error()},
		"it can't be told":  {"", `url = response.json.a.b + 1`, "follow url: response.json.a.b + 1: the value is null"},
		"no header, at all": {"Location: /\r\n", `headers = {"X" = "${unixtime(json.a)}"}`, `follow: header "X": "${unixtime(json.a)}": unixtime() cannot take its argument 1: the value is null`},
	} {
		t.Run(what, func(t *testing.T) {
			a := startApp(t, promising(c.location, func(int) string { return `{}` }))
			r := start(t, following(t, a, "target", c.keys))
			r.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
			id := r.wait(Answered).Record.ID
			until(t, "its end", func() bool { return r.outcome(id).State == store.Failed })
			if d := r.outcome(id); d.Error != c.error {
				t.Errorf("%q, want %q", d.Error, c.error)
			}
		})
	}
}

func TestOnlyAPromiseIsFollowed(t *testing.T) {
	a := startApp(t, always(ok))
	r := start(t, following(t, a, "target", ""))
	r.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
	id := r.wait(Answered).Record.ID
	if d := r.delivery(id); d.State != store.Delivered { // and no other
		t.Errorf("%+v", d)
	}
}
