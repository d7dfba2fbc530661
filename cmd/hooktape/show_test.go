package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/store"
)

// shownPages are the records whose pages are kept in testdata/golden.
var shownPages = map[string]func(*testing.T, *store.Store) store.ID{
	"json": func(t *testing.T, s *store.Store) store.ID {
		id := put(t, s, store.Record{Source: "shop", Event: "paid", Trace: "t-1", Verified: true, Session: []string{"qa", "friday"}},
			"POST /orders?n=1 HTTP/1.1\nhost: shop.example\nX-Twice: 1\nX-Twice: 2\nAuthorization: Bearer sk_live_abcdefghijklmnop\nContent-Type: application/json\n\n"+
				`{"id":12345678901234567890,"token":"abcdefghijklmnopqrst","name":"Пётр <b>","items":[],"evil":"`+"\u202e\u009b"+`"}`,
			store.Delivery{Source: "shop", Target: "app", State: store.Delivered, Attempts: 2, Status: 200},
			store.Delivery{Source: "shop", Target: "audit", State: store.Pending, Attempts: 1, Error: "connection refused", Due: noon.Add(10 * time.Minute)})
		giveAnswer(t, s, id, 202, "HTTP/1.1 202 Accepted\nContent-Type: application/json\nContent-Length: 15\n\n{\"status\":\"OK\"}")
		tried(t, s, id, store.Attempt{Source: "shop", Target: "app", URL: "http://127.0.0.1:3000/in?token=abcdefghijklmnopqrst", Error: "connect: connection refused"}, "")
		tried(t, s, id, store.Attempt{Source: "shop", Target: "app", URL: "http://127.0.0.1:3000/in", Status: 200}, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok")
		tried(t, s, id, store.Attempt{Source: "shop", Replay: true, URL: "http://127.0.0.1:4000", Status: 500}, "HTTP/1.1 500 Oops\nContent-Length: 0\n\n")
		return id
	},
	"form": func(t *testing.T, s *store.Store) store.ID {
		return put(t, s, store.Record{Source: "bot"}, "POST / HTTP/1.1\nHost: x\nContent-Type: application/x-www-form-urlencoded\n\n"+
			"event=ONIMBOTMESSAGEADD&data%5BPARAMS%5D%5BMESSAGE%5D=a+b%0Ac&empty=&bare&bad=%zz")
	},
	"xml": func(t *testing.T, s *store.Store) store.ID {
		return put(t, s, store.Record{}, "POST / HTTP/1.1\nHost: x\nContent-Type: text/xml\n\n"+
			`<?xml version="1.0"?><a:order xmlns:a="urn:a" id='1'><!-- note --><b>text &amp; more</b><c/><d> <e>1</e>mixed</d></a:order>`)
	},
	"binary": func(t *testing.T, s *store.Store) store.ID {
		return put(t, s, store.Record{}, "POST / HTTP/1.1\nHost: x\nContent-Type: image/png\n\n"+strings.Repeat("\x89PNG\x00\xff\x1b[", 300))
	},
	"gzip": func(t *testing.T, s *store.Store) store.ID {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write([]byte(`{"a":[1,2]}`))
		z.Close()
		return put(t, s, store.Record{}, "POST / HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Encoding: gzip\n\n"+b.String())
	},
	"chunked": func(t *testing.T, s *store.Store) store.ID {
		return put(t, s, store.Record{}, "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n5;e=1\r\nhello\r\n0\r\nX-Checksum: 12\r\n\r\n")
	},
	"hostile": func(t *testing.T, s *store.Store) store.ID {
		id := put(t, s, store.Record{Source: hostile, Event: hostile, Trace: hostile, Reason: hostile, Verdict: store.InvalidBody},
			"POST /\xff\u202e HTTP/1.1\nHost: x\nX-Evil: \u009b2J\u202e\xff\nContent-Type: text/plain\n\n\x1b[2Jline\r\n\rover\u009b\u202e\n",
			store.Delivery{Source: hostile, Target: hostile, State: store.Failed, Attempts: 1, Error: hostile})
		tried(t, s, id, store.Attempt{Target: hostile, URL: "http://x/" + hostile, Error: hostile}, "")
		return id
	},
	"malformed": func(t *testing.T, s *store.Store) store.ID {
		return put(t, s, store.Record{Verdict: store.Malformed, Reason: "TLS on a plain port", Truncated: true}, "\x16\x03\x01\x02\x00\x01")
	},
	"refused": func(t *testing.T, s *store.Store) store.ID {
		rec := store.Record{Verdict: store.Malformed, Reason: "a space in front of the colon"}
		return put(t, s, rec, "GET /?token=abcdefghijklmnopqrst HTTP/1.1\r\nHost : x\r\nAuthorization: Bearer abcdefghijklmnopqrst\r\n\r\n")
	},
	"cut": func(t *testing.T, s *store.Store) store.ID {
		return put(t, s, store.Record{Verdict: store.Incomplete, Reason: "the sender went away"}, "POST / HTTP/1.1\nHost: x\nContent-Length: 100\n\nhalf")
	},
	"cut-response": func(t *testing.T, s *store.Store) store.ID {
		id := put(t, s, store.Record{Source: "shop"}, "GET / HTTP/1.1\nHost: x\n\n")
		tried(t, s, id, store.Attempt{
			Source: "shop", Target: "app", URL: "http://127.0.0.1:3000", Status: 200, Error: "read the response: the connection was closed before its end",
		}, "HTTP/1.1 200 OK\nContent-Length: 100\n\nhalf")
		return id
	},
}

func TestPages(t *testing.T) {
	for name, fill := range shownPages {
		t.Run(name, func(t *testing.T) {
			d := newDeck(t)
			var id store.ID
			d.write(func(s *store.Store) { id = fill(t, s) })
			got := strings.ReplaceAll(d.ok("show", "last"), id.String(), "(its id)")
			if strings.ContainsFunc(strings.ReplaceAll(got, "\n", ""), harmful) {
				t.Errorf("something harmful in %q", got)
			}
			golden(t, "show-"+name+".txt", got)
		})
	}
}

func TestHostileBytesNeverReachTheTerminal(t *testing.T) {
	d := newDeck(t)
	d.write(func(s *store.Store) { shownPages["hostile"](t, s) })
	for _, args := range [][]string{
		{"list"}, {"list", "--json"}, {"show", "last"}, {"show", "last", "--json"}, {"show", "last", "--reveal"},
		{"deliveries", "list"}, {"deliveries", "list", "--json"}, {"replay", "last", "--to", "http://127.0.0.1:1"},
		{"show", hostile}, {"list", "--where", hostile}, {"list", "--verdict", hostile}, {hostile}, {"deliveries", "drop", "last", "--json"},
	} {
		out := d.hooktape(args...)
		for line := range strings.Lines(out.stdout + out.stderr) {
			if strings.ContainsFunc(strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", ""), harmful) {
				t.Errorf("%q: %q", args, line)
			}
		}
	}
}

func TestALongLineDoesNotFloodTheScreen(t *testing.T) {
	d := newDeck(t)
	long := strings.Repeat("я", 30000)
	d.write(func(s *store.Store) {
		id := put(t, s, store.Record{}, "POST / HTTP/1.1\nHost: x\n\n"+long)
		giveAnswer(t, s, id, 200, "HTTP/1.1 200 OK\n\n"+long+long)
	})
	out := d.ok("show", "last")
	if len(out) > 12000 || !strings.Contains(out, "(28000 characters more)") || !strings.Contains(out, "--answer gives all of it") {
		t.Errorf("%d bytes: %.300s", len(out), out)
	}
}

func TestShowPrintsExactBytes(t *testing.T) {
	d := newDeck(t)
	request := "PUT /\xff HTTP/1.1\r\nHoSt: x\r\nA:  b \r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\x1b\x00\xff\r\n0\r\n\r\n"
	answer := "HTTP/1.1 200 OK\r\nX:  y\r\nContent-Length: 3\r\n\r\n\x00\x1b\xff"
	d.write(func(s *store.Store) {
		head := strings.Index(request, "\r\n\r\n") + 4
		rec := store.Record{Time: noon, Verdict: store.Accepted, Method: "PUT", HeadSize: head}
		if err := s.Append(&rec, spooled(t, s, request), nil, nil).Wait(); err != nil {
			t.Fatal(err)
		}
		if err := s.Settle(rec.ID, store.Outcome{Answer: &store.Answer{Status: 200}, AnswerRaw: spooled(t, s, answer)}).Wait(); err != nil {
			t.Fatal(err)
		}
	})
	for flag, want := range map[string]string{"--raw": request, "--body": "\x1b\x00\xff", "--answer": answer} {
		if got := d.ok("show", flag, "last"); got != want {
			t.Errorf("%s: %q, want %q", flag, got, want)
		}
	}
}

func TestSecretsAreMaskedUnlessRevealed(t *testing.T) {
	d := newDeck(t)
	d.write(func(s *store.Store) { shownPages["json"](t, s) })
	for _, args := range [][]string{{"show", "last"}, {"show", "last", "--json"}, {"list"}, {"list", "--json"}} {
		if out := d.ok(args...); strings.Contains(out, "abcdefghijkl") {
			t.Errorf("%s shows the secret:\n%s", args, out)
		}
	}
	if out := d.ok("show", "last", "--reveal"); !strings.Contains(out, "sk_live_abcdefghijklmnop") || !strings.Contains(out, `"token": "abcdefghijklmnopqrst"`) {
		t.Errorf("not revealed:\n%s", out)
	}
}

func TestShowSaysWhatIsWrong(t *testing.T) {
	d := newDeck(t)
	d.write(func(s *store.Store) { put(t, s, store.Record{}, "GET / HTTP/1.1\nHost: x\n\n") })
	for _, test := range []struct {
		args         string
		code         int
		stderr, hint string
	}{
		{"show", exitUsage, "takes the id of one record", "hooktape show last"},
		{"show last last", exitUsage, "takes the id of one record", ""},
		{"show ZZZZZZ", exitNotSo, "hooktape: show: no record ZZZZZZ\n", "hooktape list"},
		{"show last~1", exitNotSo, "no record last~1", ""},
		{"show last --answer", exitNotSo, "was not answered", ""},
		{"show last --raw --body", exitUsage, "give one of", ""},
	} {
		out := d.hooktape(strings.Fields(test.args)...)
		if out.code != test.code || !strings.Contains(out.stderr, test.stderr) || !strings.Contains(out.stderr, "hint: "+test.hint) && test.hint != "" || out.stdout != "" {
			t.Errorf("%s: %+v", test.args, out)
		}
	}
}

func TestAnAmbiguousEndingListsWhatMayBeMeant(t *testing.T) {
	several := &inspect.Problem{Kind: inspect.Ambiguous, Message: "several records end with ABCD", IDs: []store.ID{{1}, {2}}}
	var b bytes.Buffer
	e := &env{stderr: &b, started: true}
	code := e.report(t.Context(), apiError("show", several))
	want := fmt.Sprintf("hooktape: show: several records end with ABCD\n  %s\n  %s\nhint: give more letters of the id\n", several.IDs[0], several.IDs[1])
	if code != exitUsage || b.String() != want {
		t.Errorf("exit %d: %s", code, b.String())
	}
}
