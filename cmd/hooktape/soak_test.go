package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/store"
)

func TestSoakFindsNothingWrongAndCleansUp(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	dir := filepath.Join(u.dir, "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var v soakJSON
	if err := json.Unmarshal(u.run("soak", "--for", "3s", "--seed", "3", "--dir", dir, "--json"), &v); err != nil {
		t.Fatal(err)
	}
	if !v.Well || v.Seed != 3 || v.Count.Acknowledged == 0 || v.Count.Deliveries == 0 || v.Count.Tapes != 1 {
		t.Errorf("verdict: %+v", v)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// However often and whenever an agent is killed or asked to end, under load,
// with failing targets and changing configuration: nothing acknowledged is
// lost, every delivery comes to its end, and each key keeps its order.
//
// HOOKTAPE_TEST_KILLS says how many agents; HOOKTAPE_ALL_TESTS asks for 200.
func TestNoKillLosesAnything(t *testing.T) {
	t.Parallel()
	rounds := 8
	if os.Getenv("HOOKTAPE_ALL_TESTS") != "" {
		rounds = 200
	}
	if n, err := strconv.Atoi(os.Getenv("HOOKTAPE_TEST_KILLS")); err == nil {
		rounds = n
	}
	const seed = 1
	s := newSoak(must(exec.LookPath("hooktape")), t.TempDir(), seed)
	s.rounds, s.longest = rounds, 400*time.Millisecond
	if err := s.run(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	count, findings := s.ledger.sum()
	for _, f := range findings {
		t.Errorf("%+v", f)
	}
	if count.Kills+count.Stops != int64(rounds) || rounds > 5 && count.Acknowledged == 0 {
		t.Errorf("%d agents: %+v", rounds, count)
	}
	if t.Failed() {
		log, _ := os.ReadFile(filepath.Join(s.dir, "agent.log"))
		t.Logf("the agents printed:\n%s", log)
	}
	t.Logf("%+v", count)
}

// doctored is a tape with one accepted record, delivered to both targets, and
// the ledger that belongs to it.
type doctored struct {
	*soakVerifier
	t    *testing.T
	path string
	n    int // of the record's request
	id   store.ID
	raw  []byte
}

func newDoctored(t *testing.T) *doctored {
	d := &doctored{t: t, path: filepath.Join(t.TempDir(), "tape.db")}
	d.soakVerifier = &soakVerifier{soakLedger: newSoakLedger()}
	d.n, d.raw = d.enter(soakAck, 1, false, asPost)
	d.id = d.append(d.raw, fmt.Sprintf("/ack/%d?key=1", d.n), store.Accepted, store.Delivered, store.Delivered)
	d.arrived(soakApp, d.raw)
	d.arrived(soakSecond, d.raw)
	d.answered(d.n, []byte("HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n"+d.id.String()))
	return d
}

func asPost(path string) []byte {
	return []byte("POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
}

// append puts a record onto the tape, with a delivery to each target.
func (d *doctored) append(raw []byte, target string, verdict store.Verdict, states ...store.State) store.ID {
	d.t.Helper()
	s, err := store.Open(d.path, store.Options{NoSync: true})
	if err != nil {
		d.t.Fatal(err)
	}
	defer s.Close()
	rec := &store.Record{Source: "ack", Target: target, Verdict: verdict, Raw: store.InlineRaw(raw)}
	var deliveries []store.Delivery
	for i, state := range states {
		deliveries = append(deliveries, store.Delivery{Target: soakTargets[i], State: state})
	}
	if err := s.Append(rec, nil, deliveries, nil).Wait(); err != nil {
		d.t.Fatal(err)
	}
	return rec.ID
}

// damage changes a byte of the record on the disk.
func (d *doctored) damage() {
	d.t.Helper()
	b := mustRead(d.t, d.path)
	at := bytes.Index(b, d.raw)
	if at < 0 {
		d.t.Fatal("the record's bytes are not in the file")
	}
	for ; at >= 0; at = bytes.Index(b, d.raw) {
		b[at+len(d.raw)-1] = 'x'
	}
	if err := os.WriteFile(d.path, b, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// A soak is worth what it finds: each promise that is broken here is found, and
// by its name.
func TestSoakFindsWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		doctor func(*doctored)
		finds  string // "": nothing
	}{
		"nothing": {func(*doctored) {}, ""},
		"an acknowledged request that is not on the tape": {func(d *doctored) {
			n, _ := d.enter(soakPass, -1, false, asPost)
			d.answered(n, []byte("HTTP/1.1 200 OK\r\n\r\n"))
		}, "lost"},
		"an acknowledged request that was recorded as refused": {func(d *doctored) {
			n, raw := d.enter(soakAck, -1, false, asPost)
			d.answered(n, []byte("HTTP/1.1 200 OK\r\n\r\n"))
			d.append(raw, fmt.Sprintf("/ack/%d", n), store.Malformed)
		}, "lost"},
		"other bytes on the tape": {func(d *doctored) { d.entries[d.n].sum = sha256.Sum256([]byte("other")) }, "changed"},
		"another id":              {func(d *doctored) { d.entries[d.n].id[15]++ }, "changed"},
		"a damaged record":        {(*doctored).damage, "damaged"},
		"a record of nothing":     {func(d *doctored) { d.append(d.raw, "/ack/77", store.Accepted) }, "unknown"},
		"a pending delivery": {func(d *doctored) {
			n, raw := d.enter(soakAck, -1, false, asPost)
			d.append(raw, fmt.Sprintf("/ack/%d", n), store.Accepted, store.Pending)
		}, "undelivered"},
		"a delivery that failed for no reason": {func(d *doctored) {
			n, raw := d.enter(soakAck, -1, false, asPost)
			d.append(raw, fmt.Sprintf("/ack/%d", n), store.Accepted, store.Failed)
		}, "undelivered"},
		"a delivery that its target refused": {func(d *doctored) {
			n, raw := d.enter(soakAck, -1, false, asPost)
			d.append(raw, fmt.Sprintf("/ack/%d", n), store.Accepted, store.Failed)
			d.arrived(soakApp, raw)
			d.refusedByTarget(soakApp, n)
		}, ""},
		"a delivery that no target saw": {func(d *doctored) { d.entries[d.n].got[soakSecond] = false }, "undelivered"},
		"an accepted request without a delivery": {func(d *doctored) {
			n, raw := d.enter(soakAck, -1, false, asPost)
			d.append(raw, fmt.Sprintf("/ack/%d", n), store.Accepted)
		}, "undelivered"},
		"other bytes at the target": {func(d *doctored) {
			d.arrived(soakApp, bytes.Replace(d.raw, []byte("hello"), []byte("hullo"), 1))
		}, "changed"},
		"bytes at the target that nobody sent": {func(d *doctored) { d.arrived(soakApp, asPost("/ack/99")) }, "unknown"},
		"a refused request at the target": {func(d *doctored) {
			_, raw := d.enter(soakAck, -1, true, asPost)
			d.arrived(soakApp, raw)
		}, "let through"},
		"a refused request that was answered 200": {func(d *doctored) {
			n, _ := d.enter(soakAck, -1, true, asPost)
			d.answered(n, []byte("HTTP/1.1 200 OK\r\n\r\n"))
		}, "answered wrongly"},
		"an earlier request of a key behind a later one": {func(d *doctored) {
			n, raw := d.enter(soakAck, 1, false, asPost)
			d.append(raw, fmt.Sprintf("/ack/%d?key=1", n), store.Accepted, store.Delivered)
			d.arrived(soakApp, raw)
			d.arrived(soakApp, d.raw)
		}, "out of order"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoctored(t)
			test.doctor(d)
			if err := d.open(d.path, d.everything); err != nil {
				t.Fatal(err)
			}
			var found []string
			for _, f := range d.findings {
				found = append(found, f.What)
			}
			if got := strings.Join(found, ","); got != test.finds && !strings.HasPrefix(got, test.finds+",") {
				t.Errorf("found %+v, not %q", d.findings, test.finds)
			}
		})
	}
}

func TestUnwellLogsAreFound(t *testing.T) {
	const well = "2026-01-01T00:00:00Z [WARN]  hooktape: target can't be reached, its deliveries are kept\n"
	if got := unwell([]byte(well)); got != "" {
		t.Errorf("found %q", got)
	}
	if got := unwell([]byte(well + "panic: runtime error\n" + well)); got != "panic: runtime error" {
		t.Errorf("found %q", got)
	}
}

// A program that is no agent is found out, soon, and the evidence is kept.
func TestSoakOfABrokenProgramKeepsTheEvidence(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("false")
	if err != nil {
		missing(t, "there is no program that fails")
	}
	dir := t.TempDir()
	var out, errs bytes.Buffer
	e := &env{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs, lookup: os.LookupEnv, getwd: os.Getwd, now: time.Now,
		executable: func() (string, error) { return program, nil },
	}
	if code := e.execute(t.Context(), []string{"soak", "--for", "1m", "--seed", "5", "--dir", dir}); code != exitNotSo {
		t.Fatalf("exit %d: %s%s", code, &out, &errs)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "*", "verdict.json"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept: %v, %v", kept, err)
	}
	if text := out.String(); !strings.Contains(text, "finding") || !strings.Contains(text, filepath.Dir(kept[0])) {
		t.Errorf("it says %q", text)
	}
	var v soakJSON
	if err := json.Unmarshal(mustRead(t, kept[0]), &v); err != nil || v.Well || len(v.Findings) == 0 || v.Findings[0].What != "ended" {
		t.Errorf("verdict: %+v, %v", v, err)
	}
}

// A target that was told to misbehave fails as it was told, and is well after.
func TestSoakTargetsFailInEveryWay(t *testing.T) {
	ledger := newSoakLedger()
	target, err := startSoakTarget(soakApp, ledger)
	if err != nil {
		t.Fatal(err)
	}
	defer target.close()
	status := map[soakManner]int{soakPrompt: 200, soakFailing: 503, soakGone: 410, soakEarly: 500}
	for _, m := range append(soakManners, soakPrompt) {
		ledger.newTape()
		_, request := ledger.enter(soakAck, -1, false, asPost)
		if err := target.behave(m); err != nil {
			t.Fatal(err)
		}
		if m == soakHang {
			continue
		}
		answers, err := exchange(target.addr, request, inOneWrite)
		got := 0
		if len(answers) > 0 {
			got = statusOf(answers[0])
		}
		if got != status[m] {
			t.Errorf("%s: %q, %v", m, answers, err)
		}
	}
	if len(ledger.findings) > 0 {
		t.Errorf("found %+v", ledger.findings)
	}
}
