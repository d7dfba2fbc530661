package relay

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/store"
)

func TestTheWaitForMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newShare(100)
		var large, small, more holding
		if !large.take(b, 1000) { // alone
			t.Fatal("a body larger than the budget is never taken")
		}
		began := time.Now()
		if small.take(b, 1) || !small.denied || time.Since(began) != roomWait {
			t.Errorf("without room, after %v: %+v", time.Since(began), small)
		}
		small.giveBack() // it has nothing
		taken := make(chan bool)
		go func() { taken <- more.take(b, 30) }()
		synctest.Wait()
		large.giveBack()
		if !<-taken {
			t.Error("it does not get its turn")
		}
		more.giveBack()
		more.giveBack()
		if !b.left.TryAcquire(100) {
			t.Error("something was not given back")
		}
	})
}

// A large request that is slow keeps its memory, and nobody else from theirs but the next large one, whose turn comes.
func TestLargeAndSmallRequestsWaitForTheirOwnKindOnly(t *testing.T) {
	a := startApp(t, always(ok))
	r := start(t, acking(a))
	r.Apply(&config.Config{Sources: r.configured(), Limits: config.Limits{Memory: 1 << 20}}) // for one large body at a time
	large := "POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 200_000)
	slow, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	io.WriteString(slow, large[:100_000])
	streams := r.memory.Load().streams.left
	until(t, "the slow one has its memory", func() bool {
		free := streams.TryAcquire(1)
		if free {
			streams.Release(1)
		}
		return !free
	})
	second := make(chan string, 1)
	go func() { second <- r.send(large) }()
	for range 20 {
		if got := r.send(post); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("a small one: %q", got)
		}
	}
	select {
	case got := <-second:
		t.Errorf("the second large one did not wait: %q", got)
	default:
	}
	io.WriteString(slow, large[100_000:])
	if got := <-second; !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("the second large one: %q", got)
	}
}

func TestARequestWithoutMemoryInTimeIsRecordedAsUnavailable(t *testing.T) {
	long := "POST /long HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n"
	bigHead := "POST /head HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 8000) + "\r\n\r\n"
	chunked := "POST /chunked HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct {
		taken         func(*budget) *share
		request, kept string
		verdict       store.Verdict
		status        string
	}{
		"small":                     {func(b *budget) *share { return &b.small }, post, post[:len(post)-5], store.Unavailable, "503"},
		"a large head":              {func(b *budget) *share { return &b.heads }, bigHead, bigHead[:4096], store.Unavailable, "503"},
		"large":                     {func(b *budget) *share { return &b.streams }, long + strings.Repeat("x", 200_000), long, store.Unavailable, "503"},
		"large, as it turns out":    {func(b *budget) *share { return &b.streams }, chunked + "30d40\r\n" + strings.Repeat("x", 200_000) + "\r\n0\r\n\r\n", chunked, store.Unavailable, "503"},
		"refused for what it is":    {func(b *budget) *share { return &b.small }, long + "x", long, store.TooLarge, "413"},
		"refused, but not for good": {func(b *budget) *share { return &b.small }, strings.Replace(post, "POST", "PUT", 1), strings.Replace(post[:len(post)-5], "POST", "PUT", 1), store.Unavailable, "503"},
	} {
		t.Run(name, func(t *testing.T) {
			a := startApp(t, always(ok))
			src := acking(a)
			src.Methods = []string{"POST"}
			if c.verdict == store.TooLarge {
				src.MaxBody = 1000
			}
			r := start(t, src)
			b := newBudget(1 << 20)
			taken := c.taken(b)
			taken.wait = time.Millisecond
			if !taken.left.TryAcquire(taken.size) {
				t.Fatal("nothing is left")
			}
			r.memory.Store(b)
			got := r.send(c.request)
			if !strings.HasPrefix(got, "HTTP/1.1 "+c.status+" ") || strings.Contains(got, "\r\nRetry-After: ") != (c.status == "503") {
				t.Errorf("answer %q", got)
			}
			rec := r.last()
			if raw := r.raw(rec.Raw); rec.Verdict != c.verdict || !strings.HasPrefix(raw, c.kept) || len(raw) > len(c.kept)+refusedKeep || !rec.Truncated {
				t.Errorf("on the tape: %+v", rec)
			}
			taken.left.Release(taken.size)
			until(t, "all is given back", func() bool {
				for _, all := range []*share{&b.heads, &b.small, &b.streams} {
					if !all.left.TryAcquire(all.size) {
						return false
					}
					all.left.Release(all.size)
				}
				return true
			})
		})
	}
}

// The bodies of many senders at once stay within limits.memory, and all of them are on the tape in the end: those that
// were turned away come again. HOOKTAPE_LARGE=1 makes it 300 bodies of 20 MB.
func TestManyLargeBodiesAtOnceStayWithinTheMemory(t *testing.T) {
	const senders = 300
	size, looked := 200_000, int64(64<<20)
	if os.Getenv("HOOKTAPE_LARGE") != "" {
		size, looked = 20_000_000, 256<<20 // an eighth has to hold a body that is looked into
	}
	for name, c := range map[string]struct {
		when   string
		memory int64
	}{
		"on their way to the disk":            {"", 64 << 20},
		"with conditions that look into them": {`json.last == "yes"`, looked},
	} {
		t.Run(name, func(t *testing.T) {
			a := startApp(t, always(ok))
			a.stop()
			src := acking(a)
			src.MaxBody = 1 << 30
			if c.when != "" {
				e, err := expr.Parse(c.when)
				if err != nil {
					t.Fatal(err)
				}
				src.Targets[0].When = e
			}
			r := start(t, src)
			r.patience = 10 * time.Minute
			r.Apply(&config.Config{Sources: []config.Source{src}, Limits: config.Limits{Memory: c.memory}})
			body := `{"first": "` + strings.Repeat("x", size-28) + `", "last": "yes"}`
			request := fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			peak := peakOf(func() { r.all(senders, request) })
			t.Logf("%d bodies of %d bytes: %d MiB at the peak, of %d", senders, size, peak>>20, c.memory>>20)
			if peak > c.memory {
				t.Errorf("%d bytes at the peak, the memory is %d", peak, c.memory)
			}
			if n := r.recordedWhole(request); n != senders {
				t.Errorf("%d of %d are on the tape", n, senders)
			}
			if pending := r.states()[store.Pending]; pending != senders {
				t.Errorf("%d of %d are pending", pending, senders)
			}
		})
	}
}

// Senders that never come to an end are cut off, are on the tape, and take no more memory than others.
func TestEndlessRequestsTakeNoMemory(t *testing.T) {
	const chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct {
		begin, more string
		verdict     store.Verdict
	}{
		"head":             {"POST / HTTP/1.1\r\nHost: h\r\nX: ", "x", store.Malformed},
		"fields":           {"POST / HTTP/1.1\r\nHost: h\r\n", "A: b\r\n", store.Malformed},
		"request line":     {"GET /", "x", store.Malformed},
		"chunk extension":  {chunked + "1;", "x", store.Malformed},
		"chunk extensions": {chunked, "1;" + strings.Repeat("x", 1000) + "\r\na\r\n", store.Malformed},
		"chunks":           {chunked, "1\r\na\r\n", store.TooLarge},
		"chunk size":       {chunked, "0", store.Malformed},
		"trailers":         {chunked + "0\r\n", "X: y\r\n", store.Malformed},
		"trailer":          {chunked + "0\r\nX: ", "y", store.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, acking(startApp(t, always(ok))))
			more := strings.Repeat(c.more, 1+(4<<10)/len(c.more))
			peak := peakOf(func() {
				conn, err := net.Dial("tcp", r.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(patienceOfTests))
				_, err = io.WriteString(conn, c.begin)
				for err == nil { // until the connection is cut off
					_, err = io.WriteString(conn, more)
				}
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("it is never cut off")
				}
			})
			if peak > 16<<20 {
				t.Errorf("%d bytes at the peak", peak)
			}
			rec := r.wait(Answered).Record
			if rec.Verdict != c.verdict || rec.Answer == nil || rec.Answer.Status/100 != 4 {
				t.Errorf("on the tape: %+v", rec)
			}
		})
	}
}

// peakOf is how much more memory there was at most, in bytes, while fn ran. Garbage is collected often, so that it
// counts for little.
func peakOf(fn func()) int64 {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak atomic.Int64
	done, watched := make(chan bool), make(chan bool)
	go func() {
		defer close(watched)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), int64(m.HeapAlloc)-int64(before.HeapAlloc)))
			}
		}
	}()
	fn()
	close(done)
	<-watched
	return peak.Load()
}

// comeAgain is how long senders wait who were turned away: as long as the Retry-After says.
const comeAgain = 10 * time.Second

// all has so many senders send a request at once, each until it is taken.
func (r *rig) all(senders int, request string) {
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for {
				status, err := r.upload(request)
				switch {
				case err == nil && status == 200:
					return
				case err == nil && status != 503:
					r.t.Errorf("answer %d", status)
					return
				}
				select {
				case <-time.After(comeAgain):
				case <-r.t.Context().Done():
					return
				}
			}
		})
	}
	sending.Wait()
}

// upload sends a request in a few small buffers only. A connection that was closed on the way is an error: a sender that
// is turned away need not read why.
func (r *rig) upload(request string) (status int, err error) {
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(r.patience))
	for rest := request; rest != "" && err == nil; {
		piece := rest[:min(len(rest), 4<<10)]
		rest = rest[len(piece):]
		_, err = io.WriteString(c, piece)
	}
	head, readErr := readHead(c)
	if readErr != nil {
		return 0, errors.Join(err, readErr)
	}
	return head.Status, nil
}

// recordedWhole is how many accepted records there are; each has the bytes of the request.
func (r *rig) recordedWhole(request string) (n int) {
	r.t.Helper()
	want := sha256.Sum256([]byte(request))
	for rec, err := range r.store.Records(store.Query{}) {
		if err != nil {
			r.t.Fatal(err)
		}
		if rec.Verdict != store.Accepted {
			continue
		}
		n++
		sum := sha256.New()
		if _, err := io.Copy(sum, r.store.Open(rec.Raw)); err != nil || [32]byte(sum.Sum(nil)) != want {
			r.t.Errorf("record %s of %d bytes is not what was sent, %v", rec.ID, rec.Raw.Size, err)
		}
	}
	return n
}
