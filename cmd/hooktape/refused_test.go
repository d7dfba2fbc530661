package main

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
)

// refusal is a line of testdata/http/refused/index.txt.
type refusal struct {
	file, verdict string
	status        int
}

func refusals(t *testing.T) []refusal {
	t.Helper()
	var all []refusal
	for line := range strings.Lines(string(mustRead(t, "../../testdata/http/refused/index.txt"))) {
		var r refusal
		if strings.HasPrefix(line, "#") {
			continue
		}
		if _, err := fmt.Sscan(line, &r.file, &r.status, &r.verdict); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// What never becomes a request is answered as HTTP says, leaves a record with
// a verdict, and never reaches the app.
func TestWhatIsNoRequestIsAnsweredRecordedAndNeverPassedOn(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	u := newUser(t)
	u.start("run", "--config", u.writes("hooktape.hcl", passingOn(app.addr)))
	seen := 0
	for _, want := range refusals(t) {
		t.Run(want.file, func(t *testing.T) {
			content := mustRead(t, "../../testdata/http/refused/"+want.file+".http")
			var write func(net.Conn, []byte) error = inOneWrite
			if want.verdict == "incomplete" {
				write = andHangUp
			}
			answers, err := exchangeToTheEnd(u.agent.addr, content, write)
			if err != nil || len(answers) == 0 {
				t.Fatalf("no answer: %v", err)
			}
			if last := answers[len(answers)-1]; statusOf(last) != want.status {
				t.Errorf("answered %q, not %d", clip(last), want.status)
			}
			records := u.list()
			fresh := records[seen:]
			seen = len(records)
			if len(fresh) != len(answers) {
				t.Fatalf("%d records of %d answers", len(fresh), len(answers))
			}
			u.checkRefused(t, fresh[len(fresh)-1], want, content)
		})
	}
	for _, request := range must(app.received()) {
		if !bytes.HasPrefix(request, []byte("POST /good ")) {
			t.Errorf("the app received %q", clip(request))
		}
	}
}

func must[T, U any](v T, _ U) T { return v }

func (u *user) checkRefused(t *testing.T, r listed, want refusal, content []byte) {
	t.Helper()
	if r.Verdict != want.verdict || r.Reason == "" {
		t.Errorf("recorded as %q because %q, not as %s", r.Verdict, r.Reason, want.verdict)
	}
	if r.Answer == nil || r.Answer.Status != want.status {
		t.Errorf("the record says it was answered %+v", r.Answer)
	}
	raw := u.run("show", r.ID, "--raw")
	at := bytes.Index(content, raw)
	if at < 0 || len(raw) == 0 {
		t.Errorf("the record's bytes were not sent: %q", clip(raw))
	}
	if !r.Truncated && at+len(raw) != len(content) {
		t.Errorf("the record ends after %d of %d bytes and is not marked truncated", at+len(raw), len(content))
	}
}
