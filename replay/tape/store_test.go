package tape

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

func newStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "tape.db"), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// export writes all records of a store.
func export(t testing.TB, s *store.Store, begin func(io.Writer, Info) *Writer) []byte {
	t.Helper()
	var b bytes.Buffer
	w := begin(&b, Info{Session: "s"})
	for rec, err := range s.Records(store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		r, err := Of(s, rec)
		if err == nil {
			err = w.Write(r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func importAll(t testing.TB, s *store.Store, recordings iter.Seq2[*Recording, error]) {
	t.Helper()
	if err := s.CreateSession("imported", false); err != nil && !errors.Is(err, store.ErrExists) {
		t.Fatal(err)
	}
	m := &Importer{Store: s, Session: "imported"}
	for r, err := range recordings {
		if err == nil {
			err = m.Add(r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

func importFile(t testing.TB, s *store.Store, file []byte) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	importAll(t, s, r.Recordings())
}

// everyRequest are the requests of testdata/http, one of all bytes that is large, and a cut one.
func everyRequest(t testing.TB) (names []string, all [][]byte) {
	t.Helper()
	names, err := filepath.Glob("../../testdata/http/*.http")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	part := make([]byte, 100_003) // a prime: no two stretches of a piece's length are alike
	for i := range part {
		part[i] = byte(i * i >> 3)
	}
	body := bytes.Repeat(part, 20<<20/len(part))
	large := append(fmt.Appendf(nil, "POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(body)), body...)
	return append(names, "large"), append(all, large)
}

// put puts a request onto a tape as the agent does, with an attempt whose response is the answer.
func put(t testing.TB, s *store.Store, raw []byte) store.ID {
	t.Helper()
	rec := &store.Record{Time: time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC), Source: "shop", Via: "direct", Remote: "192.0.2.1:99", Verdict: store.Accepted}
	if head, err := wire.ParseRequestHead(raw); err == nil {
		rec.HeadSize, rec.Method, rec.Target, rec.Host, rec.Proto = len(head.Raw), head.Method, head.Target, head.Host(), head.Proto
	}
	spool := s.Spool()
	defer spool.Discard()
	if _, err := spool.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(rec, spool, []store.Delivery{{Target: "app", State: store.Delivered, Attempts: 2}, {Target: "later"}}, nil).Wait(); err != nil {
		t.Fatal(err)
	}
	sent := store.InlineRaw([]byte("something else"))
	head := "HTTP/1.1 201 Created\r\nServer: app\r\nConnection: keep-alive\r\n\r\n"
	first := &store.Attempt{Source: "shop", Target: "app", Edited: true, Head: "POST / HTTP/1.1\r\n\r\n", Sent: &sent, Error: "refused"}
	second := &store.Attempt{
		Source: "shop", Target: "app", URL: "http://127.0.0.1/x", Head: "POST /x HTTP/1.1\r\n\r\n", Status: 201, HeadSize: len(head),
		Response: store.InlineRaw([]byte(head + "{\"ok\": true}")), Time: rec.Time, Duration: time.Millisecond,
	}
	answer := &store.Answer{Status: 201, Duration: time.Second, FromAttempt: store.ThisAttempt, Raw: store.InlineRaw([]byte("HTTP/1.1 201 Created\r\nServer: app\r\n\r\n"))}
	for _, o := range []store.Outcome{{Attempt: first}, {Attempt: second, Answer: answer}} {
		if err := s.Settle(rec.ID, o).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	return rec.ID
}

// TestEveryByteSurvives: exported, imported and exported again, requests, answers and attempts are what they were.
func TestEveryByteSurvives(t *testing.T) {
	names, requests := everyRequest(t)
	first, second := newStore(t), newStore(t)
	ids := make([]store.ID, len(requests))
	for i, raw := range requests {
		ids[i] = put(t, first, raw)
	}
	importFile(t, second, export(t, first, NewGzipWriter))
	i := 0
	for rec, err := range second.Records(store.Query{Session: "imported"}) {
		if err != nil {
			t.Fatal(err)
		}
		raw := all(t, second.Open(rec.Raw))
		if !bytes.Equal(raw, requests[i]) {
			t.Errorf("%s: %d bytes became %d others", names[i], len(requests[i]), len(raw))
		}
		was, err := first.Get(ids[i])
		if err != nil {
			t.Fatal(err)
		}
		if rec.ID == was.ID || rec.Origin != was.ID.String() || !rec.Time.Equal(was.Time) || rec.Via != store.ViaImport || rec.HeadSize != was.HeadSize ||
			rec.Source != was.Source || rec.Remote != was.Remote || rec.Target != was.Target || rec.Method != was.Method {
			t.Errorf("%s: %+v\nwas %+v", names[i], rec, was)
		}
		compareReplies(t, names[i], first, was, second, rec)
		i++
	}
	if i != len(requests) {
		t.Fatalf("%d of %d records came through", i, len(requests))
	}
	if again := export(t, second, NewWriter); bytes.Count(again, []byte("\r\nWARC-Type: request\r\n")) != len(requests) {
		t.Error("not as many requests in the second file")
	}
	if pending, _, err := second.Pending("shop", "app"); pending > 0 || err != nil {
		t.Errorf("%d deliveries are pending, %v", pending, err)
	}
}

func all(t testing.TB, r io.ReadCloser) []byte {
	t.Helper()
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func compareReplies(t *testing.T, name string, first *store.Store, was *store.Record, second *store.Store, is *store.Record) {
	t.Helper()
	if is.Answer == nil || is.Answer.FromAttempt != was.Answer.FromAttempt || !bytes.Equal(is.Answer.Raw.Inline, was.Answer.Raw.Inline) {
		t.Errorf("%s: answer %+v, was %+v", name, is.Answer, was.Answer)
	}
	a, err := first.Attempts(was.ID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := second.Attempts(is.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != len(b) {
		t.Fatalf("%s: %d attempts, were %d", name, len(b), len(a))
	}
	for i := range a {
		if !bytes.Equal(a[i].Response.Inline, b[i].Response.Inline) || a[i].Head != b[i].Head || a[i].URL != b[i].URL || a[i].Edited != b[i].Edited ||
			(a[i].Sent == nil) != (b[i].Sent == nil) || a[i].Sent != nil && string(a[i].Sent.Inline) != string(b[i].Sent.Inline) {
			t.Errorf("%s: attempt %+v, was %+v", name, b[i], a[i])
		}
	}
	deliveries, err := second.Deliveries(is.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range deliveries {
		if d.Target == "app" && d.State != store.Delivered || d.Target == "later" && d.State != store.Dropped {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// TestAPairOfAnotherToolCanBeCompared: its response is that of an attempt.
// TestWhatAStoreDoesNotTakeIsToldAtOnce, so that nobody takes it for something wrong with another recording.
func TestWhatAStoreDoesNotTakeIsToldAtOnce(t *testing.T) {
	for name, change := range map[string]func(r *Recording, long string){
		"target":  func(r *Recording, long string) { r.Target = long },
		"event":   func(r *Recording, long string) { r.Events = []string{long} },
		"attempt": func(r *Recording, long string) { r.Attempts = []Attempt{{Number: 1, URL: long}} },
		"sent":    func(r *Recording, long string) { r.Attempts = []Attempt{{Number: 1, Head: []byte(long)}} },
		"key":     func(r *Recording, long string) { r.Deliveries = []Delivery{{Target: "app", Key: long}} },
		"error":   func(r *Recording, long string) { r.Answer = &Answer{Error: long} },
	} {
		t.Run(name, func(t *testing.T) {
			m := &Importer{Store: newStore(t)}
			for size, want := range map[int]error{700 << 10: nil, 1 << 20: store.ErrTooLarge} {
				r := *request("POST / HTTP/1.1\r\nHost: a\r\n", "")
				change(&r, strings.Repeat("x", size))
				if err := m.Add(&r); !errors.Is(err, want) {
					t.Errorf("%d bytes: %v", size, err)
				}
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAPairOfAnotherToolCanBeCompared(t *testing.T) {
	s := newStore(t)
	request := &half{&warcPart{warcHead: &warcHead{fields: []warcField{{fieldTarget, "https://x.test/a"}}}, block: Bytes([]byte("GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n"))}, true}
	response := &half{&warcPart{warcHead: &warcHead{}, block: Bytes([]byte("HTTP/1.1 203 Fine\r\n\r\nhello"))}, false}
	pair := together(request, response)
	if err := pair.examine(); err != nil {
		t.Fatal(err)
	}
	importAll(t, s, func(yield func(*Recording, error) bool) { yield(pair, nil) })
	for rec, err := range s.Records(store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		attempts, err := s.Attempts(rec.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !rec.TLS || rec.Verdict != store.Accepted || rec.Host != "x.test" || rec.Answer.Status != 203 || len(attempts) != 1 || attempts[0].Status != 203 ||
			!strings.HasSuffix(string(attempts[0].Response.Inline), "hello") {
			t.Errorf("%+v, %+v, %+v", rec, rec.Answer, attempts)
		}
	}
}
