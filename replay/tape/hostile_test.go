package tape

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// warcText is a WARC record as other tools write it.
func warcText(kind, id, fields, block string) string {
	return fmt.Sprintf("WARC/1.0\r\nWARC-Type: %s\r\nWARC-Record-ID: <%s>\r\nWARC-Target-URI: http://x.test/%s\r\nContent-Type: application/http\r\n%sContent-Length: %d\r\n\r\n%s\r\n\r\n",
		kind, id, id, fields, len(block), block)
}

// readMost is read with a bound.
func readMost(t *testing.T, file io.Reader, largest int64) (all []*Recording, damage []*Damage) {
	t.Helper()
	r, err := NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Largest = largest
	for recording, err := range r.Recordings() {
		var d *Damage
		switch {
		case errors.As(err, &d):
			damage = append(damage, d)
		case err != nil:
			t.Fatal(err)
		default:
			all = append(all, inMemory(t, recording))
		}
	}
	return all, damage
}

// TestWhatIsTooLargeIsToldAndPassedOver, with its place, and the rest is read.
func TestWhatIsTooLargeIsToldAndPassedOver(t *testing.T) {
	const small = "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n"
	large := "POST /b HTTP/1.1\r\nHost: x.test\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("x", 9000)
	exchange := func(extra string) string { return `{"request":{"method":"GET","url":"http://a/"` + extra + `}}` }
	har := func(between string) string {
		return "{\"log\":{\"pages\":[[\"" + strings.Repeat("]", 9000) + "\"]],\"entries\":[" + exchange("") + ", " + between + "," + exchange("") + "]}}"
	}
	first := warcText("request", "1", "", small)
	facts := func(json string) string {
		return strings.Replace(warcText("metadata", "2", "", json), "application/http", typeRecording, 1)
	}
	for _, c := range []struct {
		name, file string
		offset     int
		most       int64
	}{
		{"message of WARC", first + warcText("request", "2", "", large) + warcText("request", "3", "", small), len(first), 9000},
		{"facts", first + facts(`{"id":"`+strings.Repeat("x", 9000)+`"}`) + warcText("request", "3", "", small), len(first), 9000},
		{"facts with many attempts", first + facts(`{"attempts":[`+strings.Repeat("{},", 1000)+`{}]}`) + warcText("request", "3", "", small), len(first), 9000},
		{"facts with many events", first + facts(`{"events":[`+strings.Repeat(`"",`, 1000)+`""]}`) + warcText("request", "3", "", small), len(first), 9000},
		{"body in HAR", har(exchange(`,"postData":{"text":"` + strings.Repeat("x", 9000) + `"}`)), 0, 9000},
		{"fields in HAR", har(exchange(`,"headers":[` + strings.Repeat("{},", 1000) + `{}]`)), 0, 9000},
	} {
		t.Run(c.name, func(t *testing.T) {
			all, damage := readMost(t, strings.NewReader(c.file), c.most)
			if len(all) != 2 || len(damage) != 1 {
				t.Fatalf("%d recordings, %v", len(all), damage)
			}
			var large *TooLarge
			if !errors.As(damage[0], &large) || large.Most != c.most || large.Size <= c.most || damage[0].Record != 2 {
				t.Error(damage[0])
			}
			if c.offset == 0 {
				c.offset = strings.Index(c.file, ", {") + 2
			}
			if damage[0].Offset != int64(c.offset) {
				t.Errorf("at %d, want %d", damage[0].Offset, c.offset)
			}
			_, damage = readMost(t, strings.NewReader(c.file), 1<<20)
			for _, d := range damage {
				if errors.As(d, &large) {
					t.Errorf("with room enough: %v", d)
				}
			}
		})
	}
}

// TestScratchDoesNotGrowWithWhatWaits: a request without a response leaves room behind it to those that have one.
func TestScratchDoesNotGrowWithWhatWaits(t *testing.T) {
	body := strings.Repeat("x", inlineMax)
	request := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	response := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	files := []io.Reader{strings.NewReader(warcText("request", "alone", "", request))}
	const pairs = 40
	for i := range pairs {
		id := fmt.Sprint(i)
		files = append(files, strings.NewReader(warcText("request", id, "", request)), strings.NewReader(warcText("response", id+"r", "WARC-Concurrent-To: <"+id+">\r\n", response)))
	}
	r, err := NewReader(io.MultiReader(files...))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	for recording, err := range r.Recordings() {
		if err != nil {
			t.Fatal(err)
		}
		n++
		for _, b := range append([]Block{recording.Request}, responses(recording)...) {
			if text, err := b.ReadAll(); err != nil || !bytes.HasSuffix(text, []byte(body)) {
				t.Fatalf("recording %d: %d bytes, %v", n, len(text), err)
			}
		}
	}
	info, err := r.scratch.file.Stat()
	if err != nil || n != pairs+1 || info.Size() > int64(4*len(request)) {
		t.Errorf("%d recordings, a file of %d bytes, %v", n, info.Size(), err)
	}
}

func responses(r *Recording) (all []Block) {
	if r.Answer != nil {
		all = append(all, r.Answer.Response)
	}
	return all
}

// TestMemoryOfARecordingIsBounded: of many attempts, not all responses are in memory.
func TestMemoryOfARecordingIsBounded(t *testing.T) {
	var s scratch
	defer s.Close()
	block := strings.Repeat("x", inlineMax)
	inline := 0
	for range 2 * memoryMax / inlineMax {
		b, err := s.keep(strings.NewReader(block), int64(len(block)))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := b.Inline(); ok {
			inline += len(block)
		}
	}
	if inline != memoryMax {
		t.Errorf("%d bytes are in memory", inline)
	}
}

// TestOddHeadsCostNothing: neither lines that go on and on, nor types that nobody knows.
func TestOddHeadsCostNothing(t *testing.T) {
	long := "WARC/1.0\r\nA: b\r\n" + strings.Repeat(" x\r\n", 2*linesMax) + "Content-Length: 0\r\n\r\n"
	_, damage := readMost(t, strings.NewReader(long), 0)
	if len(damage) != 1 || !errors.Is(damage[0], errHeadLong) {
		t.Error(damage)
	}
	var many strings.Builder
	for i := range 10 * kindsMax {
		many.WriteString(strings.Replace(warcText(fmt.Sprint("kind", i), "1", "", ""), "application/http", "text/plain", 1))
	}
	_, _, damage, skipped := read(t, strings.NewReader(many.String()))
	if n := skipped.Other["other"]; len(damage) > 0 || len(skipped.Other) != kindsMax+1 || n != 9*kindsMax {
		t.Errorf("%v, %d types, %d others", damage, len(skipped.Other), n)
	}
}

// TestRoomIsFoundAtOnce, however many blocks a recording has: gaps are looked for only among few.
func TestRoomIsFoundAtOnce(t *testing.T) {
	var s scratch
	for i := range int64(gapsMax + 2) {
		s.hold(Block{Size: 10, at: 20 * i, open: Block{}.Open})
		want := int64(10) // behind the first, where all but the first have a gap before them
		if i >= gapsMax {
			want += 20 * i
		}
		if at := s.place(10); at != want {
			t.Fatalf("with %d blocks at %d, want %d", i+1, at, want)
		}
	}
}

// TestPartsFindTheirAttempts by their numbers, in whatever order these are.
func TestPartsFindTheirAttempts(t *testing.T) {
	r := &Recording{ID: "A", Known: true, Verdict: "accepted", Request: Bytes([]byte("GET / HTTP/1.1\r\n\r\n"))}
	for _, n := range []int{9, 2, 1, 12} {
		r.Attempts = append(r.Attempts, Attempt{Number: n, Status: 200, Response: Bytes(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\n\r\n%d", n))})
	}
	_, all, damage, _ := read(t, bytes.NewReader(written(t, NewWriter, []*Recording{r})))
	if len(all) != 1 || len(damage) > 0 {
		t.Fatal(all, damage)
	}
	for _, a := range all[0].Attempts {
		if text, err := a.Response.ReadAll(); err != nil || !bytes.HasSuffix(text, fmt.Append(nil, a.Number)) {
			t.Errorf("attempt %d: %q, %v", a.Number, text, err)
		}
	}
}

// TestTornRecordsTakeNoMemory, however many there are, each in the block of the one before it, and in those of all before it.
func TestTornRecordsTakeNoMemory(t *testing.T) {
	const most = memoryMax + 16<<20 // a buffer for each would be 125 MB
	for name, length := range map[string]func(left int) int{"next": func(int) int { return 150 }, "all": func(left int) int { return 120*left + 100 }} {
		var file strings.Builder
		const number = 1000
		for i := range number {
			fmt.Fprintf(&file, "WARC/1.1\r\nWARC-Type: request\r\nContent-Type: application/http; msgtype=request\r\nContent-Length: %06d\r\n\r\nGET /%06d\r\n", length(number-i), i)
		}
		before, top, told := heap(), uint64(0), 0
		r, err := NewReader(strings.NewReader(file.String()))
		if err != nil {
			t.Fatal(err)
		}
		for range r.Recordings() {
			if told++; told%100 == 0 {
				top = max(top, heap())
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if told < number || top > before+most {
			t.Errorf("%s: %d are told, with %d bytes of memory, %d before", name, told, top, before)
		}
	}
}

// heap is how much memory is in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
