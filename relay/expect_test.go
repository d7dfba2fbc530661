package relay

import (
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/hooktape/hooktape/store"
)

func gzipped(text string) string {
	var b strings.Builder
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // into memory
	w.Close()
	return b.String()
}

func TestWhatIsExpectedOfAResponse(t *testing.T) {
	large := strings.Repeat(" ", 200<<10) // of a response in pieces
	for what, c := range map[string]struct {
		respond, onFail, when, response string
		state                           store.State
		found                           bool
	}{
		"as expected":           {"ack", "retry", `response.json.n == 1`, `{"n":1}`, store.Delivered, false},
		"of both":               {"ack", "retry", `response.json.n == json.n`, `{"n":7}`, store.Delivered, false},
		"large":                 {"ack", "retry", `response.json.n == 1`, `{"n":1` + large + `}`, store.Delivered, false},
		"retry":                 {"ack", "retry", `response.json.n == 1`, `{"n":2}`, store.Failed, true},
		"record":                {"ack", "record", `response.json.n == 1`, `{"n":2}`, store.Delivered, true},
		"passed on, retry":      {"target", "retry", `response.json.n == 1`, `{"n":2}`, store.Failed, true},
		"passed on, record":     {"target", "record", `response.json.n == 1`, `{"n":2` + large + `}`, store.Delivered, true},
		"it can't be told":      {"ack", "record", `response.json.n.m + 1 > 0`, `{"n":2}`, store.Delivered, true},
		"neither text nor JSON": {"ack", "record", `response.json != null`, "\xff", store.Delivered, true},
		"in gzip":               {"target", "retry", `response.json.n == 1`, gzipped(`{"n":1}`), store.Delivered, false},
		"status and header":     {"target", "retry", `response.status == 200 && response.header.x-kind == "a"`, ``, store.Delivered, false},
	} {
		t.Run(what, func(t *testing.T) {
			coding := ""
			if strings.HasPrefix(c.response, "\x1f\x8b") {
				coding = "Content-Encoding: gzip\r\n"
			}
			a := startApp(t, always(fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Kind: a\r\n"+coding+"Content-Length: %d\r\n\r\n%s", len(c.response), c.response)))
			r := start(t, configured(t, fmt.Sprintf(`
source "s" {
  path     = "/"
  respond  = %q
  patience = "0s"
  target "t" {
    url = "http://%s"
    retry { for = "0s" }
    expect {
      when    = %s
      on_fail = %q
    }
  }
}`, c.respond, a.addr, c.when, c.onFail)))
			r.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n{\"n\":7}")
			id := r.wait(Answered).Record.ID
			settled := func() (d store.Delivery) {
				if all, err := r.store.Deliveries(id); err == nil && len(all) == 1 {
					d = all[0]
				}
				return d
			}
			until(t, "the outcome", func() bool { return settled().Attempts == 1 })
			d := settled()
			attempts, err := r.store.Attempts(id)
			if err != nil || len(attempts) != 1 {
				t.Fatal(attempts, err)
			}
			if d.State != c.state || (d.Finding != "") != c.found || attempts[0].Finding != d.Finding || c.found && d.Finding != c.when {
				t.Errorf("%+v, attempt: %q", d, attempts[0].Finding)
			}
			if (d.Error != "") != (c.state == store.Failed) {
				t.Errorf("error %q", d.Error)
			}
		})
	}
}
