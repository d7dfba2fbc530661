package relay

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// onOne sends requests over one connection, one after another, and wants a status for each.
func (r *rig) onOne(n int, request, status string) {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(r.patience))
	go io.WriteString(c, strings.Repeat(request, n)) // ends with the connection
	for i := range n {
		head, err := readHead(c)
		if err != nil || head.Status != statusOf(status) {
			r.t.Fatalf("answer %d: %+v, %v", i, head, err)
		}
		if _, err := io.CopyN(io.Discard, c, head.Framing.Length); err != nil {
			r.t.Fatal(err)
		}
	}
}

func statusOf(text string) (status int) {
	fmt.Sscan(text, &status)
	return status
}

// readHead reads the head of a response and no more.
func readHead(c net.Conn) (*wire.ResponseHead, error) {
	var raw []byte
	for one := make([]byte, 1); ; raw = append(raw, one...) {
		if head, err := wire.ParseResponseHead(raw, "POST"); err == nil {
			return head, nil
		}
		if _, err := c.Read(one); err != nil {
			return nil, err
		}
	}
}

// onTape is how many records of each verdict are on the tape, and the roll-ups.
func (r *rig) onTape() (records map[store.Verdict]int, rollups []*store.Record) {
	r.t.Helper()
	records = map[store.Verdict]int{}
	for rec, err := range r.store.Records(store.Query{}) {
		if err != nil {
			r.t.Fatal(err)
		}
		if rec.Count > 0 {
			rollups = append(rollups, rec)
			continue
		}
		records[rec.Verdict]++
	}
	return records, rollups
}

func TestAFloodOfRefusedRequestsIsRolledUpBesideTheRealOnes(t *testing.T) {
	const flood = recordBurst + 2000
	a := startApp(t, always(ok))
	src := acking(a)
	src.Path, src.Methods = "/a", []string{"POST"}
	r := start(t, src)
	nowhere := "POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
	began := time.Now()
	for range 4 {
		r.onOne(flood/4, nowhere, "404")
		r.onOne(25, post, "200")
	}
	r.onOne(recordBurst+100, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", "405") // may be right one day: kept one by one
	r.untilStates(map[store.State]int{store.Delivered: 100})
	r.wantFigures(map[string]string{
		`hooktape_requests_total{source="",verdict="no_source"}`:             fmt.Sprint(flood),
		`hooktape_requests_total{source="ack",verdict="accepted"}`:           "100",
		`hooktape_requests_total{source="ack",verdict="method_not_allowed"}`: fmt.Sprint(recordBurst + 100),
	})
	r.writeRollups()
	records, rollups := r.onTape()
	alone := recordBurst + recordRate*int(time.Since(began)/time.Second+1)
	if n := records[store.NoSource]; n < recordBurst || n > alone {
		t.Errorf("%d of the flood are on the tape one by one, at most %d should be", n, alone)
	}
	if records[store.Accepted] != 100 || records[store.MethodNotAllowed] != recordBurst+100 {
		t.Errorf("beside it: %v", records)
	}
	counted := 0
	for _, rec := range rollups {
		counted += rec.Count
	}
	if counted != flood-records[store.NoSource] || len(rollups) == 0 || len(rollups) > 1+int(time.Since(began)/rollUpEvery) {
		t.Fatalf("%d of %d in %d roll-ups", counted, flood, len(rollups))
	}
	rec := rollups[0]
	head := strings.TrimSuffix(nowhere, "abc")
	if rec.Verdict != store.NoSource || rec.Remote != "127.0.0.1" || rec.Until.Before(rec.Time) || rec.Target != "/nowhere" ||
		r.raw(rec.Raw) != head || rec.HeadSize != len(head) || !rec.Truncated || rec.Answer == nil || rec.Answer.Status != 404 {
		t.Errorf("roll-up: %+v", rec)
	}
}

// What was counted is on the tape when the agent stops, also of what never became a request.
func TestRollUpsAreWrittenAtTheEnd(t *testing.T) {
	a := startApp(t, always(ok))
	began := time.Now() // and no second passes, in which more could be recorded one by one
	r := startWith(t, filepath.Join(t.TempDir(), "tape.db"), Options{Now: func() time.Time { return began }}, acking(a))
	for range recordBurst {
		r.rollups.over(kind{store.Malformed, "", "127.0.0.1"}, r.now())
	}
	for range 3 {
		if got := r.send("nonsense\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("answer %q", got)
		}
	}
	r.end()
	r2 := startOn(t, r.path, acking(a))
	records, rollups := r2.onTape()
	if len(rollups) != 1 || rollups[0].Count != 3 || records[store.Malformed] != 0 || r2.raw(rollups[0].Raw) != "nonsense\r\n\r\n" {
		t.Errorf("%v and roll-ups %+v", records, rollups)
	}
}

// Anybody may shake hands, so a flood of them is one of strangers; what was signed is recorded each time.
func TestAFloodOfHandshakesIsRolledUp(t *testing.T) {
	src := checking(acking(startApp(t, always(ok))), "secret")
	src.Path, src.Methods, src.Provider = "/in", []string{"POST"}, greeting(t)
	began := time.Now()
	r := startWith(t, filepath.Join(t.TempDir(), "tape.db"), Options{Now: func() time.Time { return began }}, src)
	for range recordBurst {
		r.rollups.over(kind{store.Handshake, src.Name, "127.0.0.1"}, r.now())
	}
	in := func(request string) string { return strings.Replace(request, " /", " /in", 1) }
	for request, want := range map[string]string{
		"GET /in?hi HTTP/1.1\r\nHost: h\r\n\r\n":                                "\r\n\r\nhi",
		"POST /in HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nchallenge x": "\r\n\r\nchallenge x",
		in(signed("secret", "hello")):                                           "HTTP/1.1 202 ",
	} {
		for range 2 {
			if got := r.send(request); !strings.Contains(got, want) {
				t.Errorf("%q is answered %q", request, got)
			}
		}
	}
	r.writeRollups()
	records, rollups := r.onTape()
	if len(rollups) != 1 || rollups[0].Count != 4 || rollups[0].Verdict != store.Handshake || records[store.Handshake] != 2 {
		t.Errorf("%v and roll-ups %+v", records, rollups)
	}
}

func TestRollUpsAreOfSoManyKindsOnly(t *testing.T) {
	u, now := newRollups(), time.Now()
	rec := &store.Record{Time: now, Verdict: store.NoSource, Remote: "x:1"}
	for i := range 3 * kindsMax {
		k := kind{store.NoSource, "", fmt.Sprint("host", i)}
		u.over(k, now)
		u.count(k, rec, strings.Repeat("x", 100_000), now)
	}
	open, over, _, _ := u.take(now)
	if len(open) != kindsMax+1 || over {
		t.Errorf("%d roll-ups, over %v", len(open), over)
	}
	rest := open[kind{verdict: store.NoSource}]
	if rest == nil || rest.Count != 2*kindsMax || rest.Remote != "" || rest.Raw.Size != sampleMax || !rest.Truncated {
		t.Errorf("of all other hosts: %+v", rest)
	}
	u.putBack(kind{verdict: store.NoSource}, rest) // it could not be written
	u.count(kind{verdict: store.NoSource}, rec, "", now)
	open, _, _, _ = u.take(now)
	if got := open[kind{verdict: store.NoSource}]; got == nil || got.Count != 2*kindsMax+1 {
		t.Errorf("put back and counted on: %+v", got)
	}
	later := now.Add(time.Hour)
	open, over, since, total := u.take(later)
	if len(open) > 0 || !over || !since.Equal(now) || total != 3*kindsMax+1 || len(u.kinds) != 0 {
		t.Errorf("at the end: %v, %v, %v, %d, %d kinds", open, over, since, total, len(u.kinds))
	}
}

// A flood from everywhere is rolled up as well.
func TestAllKindsTogetherHaveARate(t *testing.T) {
	u, now := newRollups(), time.Now()
	alone := 0
	for i := range 3 * recordBurstAll {
		if !u.over(kind{store.NoSource, "", fmt.Sprint("host", i)}, now) {
			alone++
		}
	}
	if alone > recordBurstAll || alone < recordBurst {
		t.Errorf("%d are recorded one by one", alone)
	}
}

func TestWhatMayBeJudgedAgainIsNeverRolledUp(t *testing.T) {
	countable := []store.Verdict{store.NoSource, store.TooLarge, store.RateLimited, store.Malformed, store.Incomplete}
	for _, v := range verdicts {
		if got := (finding{verdict: v, proven: true}).countable(); got != slices.Contains(countable, v) {
			t.Errorf("%s: %v", v, got)
		}
	}
}
