package store

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// cutWait is how long a call may take while its tape is truncated, on a machine that has much else to do.
const cutWait = 30 * time.Second

// answers fails the test when fn does not return.
func answers(t *testing.T, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); fn() }()
	select {
	case <-done:
	case <-time.After(cutWait):
		t.Fatalf("%s: no answer", what)
	}
}

// keepBusy has readers and writers at work until stop is called, which returns the records that were begun after cut was
// set and then acknowledged.
func keepBusy(s *Store, cut *atomic.Bool) (stop func() []ID) {
	var (
		ended  atomic.Bool
		wg     sync.WaitGroup
		mu     sync.Mutex
		acked  []ID
		always = func(fn func()) {
			wg.Go(func() {
				for !ended.Load() {
					fn()
				}
			})
		}
	)
	for range 4 {
		always(func() { _, _ = s.Deliveries(ID{}) })
		always(func() {
			counts := cut.Load()
			rec := Record{Source: "iiko", Verdict: Accepted, Raw: InlineRaw([]byte("bytes"))}
			if s.Append(&rec, nil, nil, nil).Wait() == nil && counts {
				mu.Lock()
				defer mu.Unlock()
				acked = append(acked, rec.ID)
			}
		})
	}
	return func() []ID {
		ended.Store(true)
		wg.Wait()
		return acked
	}
}

func TestATapeThatIsCutWhileManyUseItHoldsUpNobody(t *testing.T) {
	for range 10 {
		size := rand.Int64N(4 * pageSize)
		s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{SetAside: true, NoSync: true})
		noProblem(t, err)
		var cut atomic.Bool
		stop := keepBusy(s, &cut)
		for range 1 + rand.IntN(20) {
			mustAppend(t, s)
		}
		noProblem(t, s.file.os.Truncate(size))
		cut.Store(true)
		answers(t, "append", func() {
			for tries := 0; ; tries++ {
				if _, c := appendBytes(s, []byte("bytes")); c.Wait() == nil {
					return
				} else if tries == 1000 {
					t.Errorf("cut at %d: not taken in the end: %v", size, c.Wait())
					return
				}
			}
		})
		var acked []ID
		answers(t, "readers and writers", func() { acked = stop() })
		answers(t, "close", func() { err = s.Close() })
		noProblem(t, err)
		findAll(t, s.path, acked)
	}
}

// TestWhatACutTapeKnewIsInTheNewOne: the pages that lead to it are in the half that is left.
func TestWhatACutTapeKnewIsInTheNewOne(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{SetAside: true, NoSync: true})
	noProblem(t, err)
	defer s.Close()
	noProblem(t, s.PutToken(Token{Name: "laptop"}))
	_, c := appendBytes(s, make([]byte, 1<<20))
	noProblem(t, c.Wait())
	half := s.file.top() / 2
	for p := (&pages{}); int64(p.meta.root)*pageSize >= half || p.meta.root == 0; { // until the root is in the first half
		noProblem(t, s.PutMeta("key", []byte("value")))
		p, err = s.file.pages()
		noProblem(t, err)
	}
	noProblem(t, s.file.os.Truncate(half))
	mustAppend(t, s)
	if tokens, err := s.Tokens(); err != nil || len(tokens) != 1 || s.aside.Load() != 1 {
		t.Errorf("tokens %v, %v; %d were set aside", tokens, err, s.aside.Load())
	}
}

// alsoChange does something else when it is applied for the first time.
type alsoChange struct {
	change
	also func()
}

func (c *alsoChange) apply(t *txn) error {
	if c.also != nil {
		c.also()
		c.also = nil
	}
	return c.change.apply(t)
}

// bbolt's locks are lost while a commit and a reader are under way, both of which will need them.
func TestWhoIsCaughtInALostTapeIsLetGo(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{SetAside: true, NoSync: true})
	noProblem(t, err)
	mustAppend(t, s)
	began, lost, read := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		read <- s.view(func(*bolt.Tx) error { close(began); <-lost; return nil })
	}()
	<-began
	c, err := s.queue.enter(0)
	noProblem(t, err)
	s.queue.fill(c, &alsoChange{&metaChange{key: []byte("user.key"), value: []byte("value")}, func() {
		if _, err := s.file.os.WriteAt(make([]byte, 2*pageSize), 0); err != nil {
			t.Error(err)
		}
		if err := s.file.view(func(*bolt.Tx) error { return nil }); !panicked(err) {
			t.Errorf("a reader found its way: %v", err)
		}
		close(lost)
	}}, 0, nil)
	answers(t, "reader", func() { err = <-read })
	noProblem(t, err)
	answers(t, "commit", func() { err = c.Wait() })
	noProblem(t, err)
	if n := s.aside.Load(); n != 1 {
		t.Errorf("%d were set aside", n)
	}
	noProblem(t, s.Close())
}

// A writer that maps the file anew waits for readers to end, and a reader that begins meanwhile waits for the writer.
func TestATapeIsMappedAnewWhileItIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tape.db")
	noProblem(t, create(path, Options{NoSync: true}))
	f, err := mapBolt(path, Options{NoSync: true}, 0)
	noProblem(t, err)
	var ended atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !ended.Load() {
				if err := f.view(func(tx *bolt.Tx) error { runtime.Gosched(); return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	answers(t, "writer", func() {
		for n := range 32 {
			if _, err := f.update(func(tx *bolt.Tx) error {
				return tx.Bucket(bucketPieces).Put([]byte{byte(n)}, make([]byte, 128<<10))
			}); err != nil {
				t.Error(err)
			}
		}
	})
	ended.Store(true)
	answers(t, "readers", wg.Wait)
	noProblem(t, f.close())
}

// findAll looks for records in the tape, and in what can be salvaged of those set aside.
func findAll(t *testing.T, path string, ids []ID) {
	t.Helper()
	tapes, err := SetAside(path)
	noProblem(t, err)
	found := map[ID]bool{}
	for _, from := range append(tapes, path) {
		to := from + ".salvaged"
		_, err := Salvage(from, to, Options{NoSync: true})
		if errors.Is(err, ErrNoTape) {
			continue // nothing is left of it
		}
		noProblem(t, err)
		s, err := Open(to, Options{NoSync: true})
		noProblem(t, err)
		for _, id := range ids {
			if _, err := s.Get(id); err == nil {
				found[id] = true
			}
		}
		noProblem(t, s.Close())
	}
	for _, id := range ids {
		if !found[id] {
			t.Errorf("%s was acknowledged and is nowhere", id)
		}
	}
}
