package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// heard is a log that tests look at.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) log(msg string, _ ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, msg)
}

func (h *heard) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprint(h.lines)
}

func openTape(t *testing.T) (*Store, *heard) {
	t.Helper()
	h := &heard{}
	s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{Log: h.log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, h
}

func appendBytes(s *Store, b []byte, deliveries ...Delivery) (ID, *Commit) {
	rec := Record{Source: "iiko", Verdict: Accepted}
	p := s.Spool()
	defer p.Discard()
	if _, err := p.Write(b); err != nil {
		return ID{}, failed(err)
	}
	return rec.ID, s.Append(&rec, p, deliveries, nil)
}

func mustAppend(t *testing.T, s *Store, deliveries ...Delivery) {
	t.Helper()
	if _, c := appendBytes(s, []byte("bytes"), deliveries...); c.Wait() != nil {
		t.Fatal(c.Wait())
	}
}

func TestAFullDiskFailsAppendsAndHeals(t *testing.T) {
	s, h := openTape(t)
	mustAppend(t, s)
	s.file.db.MaxSize = 1 // bbolt refuses to grow, as if the disk were full
	for range 3 {
		if _, c := appendBytes(s, make([]byte, 60<<10), Delivery{Target: "app"}); c.Wait() == nil {
			t.Fatal("an append was acknowledged that is nowhere")
		}
		if s.file != nil {
			s.file.db.MaxSize = 1
		}
	}
	s.file.db.MaxSize = 0
	mustAppend(t, s, Delivery{Target: "app"})
	if n, _, _ := s.Pending("iiko", "app"); n != 1 {
		t.Errorf("%d pending", n)
	}
	if st := s.Stats(); st.Records != 2 || st.Failures != 3 || st.Reopened != 3 {
		t.Errorf("%+v", st)
	}
	if got := h.all(); got != "[database could not commit database commits again]" {
		t.Errorf("logged %s", got)
	}
}

// TestAFailedWriteLosesNothingElse closes the file beneath bbolt: every write and every sync fails with EBADF.
func TestAFailedWriteLosesNothingElse(t *testing.T) {
	s, _ := openTape(t)
	mustAppend(t, s)
	s.file.os.Close()
	if _, c := appendBytes(s, []byte("bytes")); c.Wait() == nil {
		t.Fatal("an append was acknowledged that is nowhere")
	}
	mustAppend(t, s)
	if st := s.Stats(); st.Records != 2 {
		t.Errorf("%d records", st.Records)
	}
}

func TestALostFileIsNotReplacedInSilence(t *testing.T) {
	s, _ := openTape(t)
	mustAppend(t, s)
	s.file.os.Close()
	moved := s.path + ".moved"
	if err := os.Rename(s.path, moved); err != nil {
		t.Fatal(err)
	}
	s.seeToFile() // it is gone, until it is closed to be opened again
	if err := s.PutMeta("key", []byte("value")); err == nil {
		t.Error("a value was kept that is nowhere")
	}
	if _, c := appendBytes(s, []byte("bytes")); c.Wait() == nil {
		t.Error("an append was acknowledged that is nowhere")
	}
	if _, err := os.Stat(s.path); err == nil {
		t.Error("another tape was begun in its place")
	}
	if err := os.Rename(moved, s.path); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s)
	if st := s.Stats(); st.Records != 2 {
		t.Errorf("%d records", st.Records)
	}
}

func TestATapeThatIsMovedWhileItIsOpenTakesNoRecords(t *testing.T) {
	s, h := openTape(t)
	mustAppend(t, s)
	moved := s.path + ".moved"
	for _, other := range []bool{false, true} {
		if err := os.Rename(s.path, moved); err != nil {
			t.Skip(err) // Windows
		}
		if other {
			if err := os.WriteFile(s.path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, c := appendBytes(s, []byte("bytes")); !errors.Is(c.Wait(), ErrGone) {
			t.Errorf("a record that nobody would find came to %v", c.Wait())
		}
		if err := os.Rename(moved, s.path); err != nil {
			t.Fatal(err)
		}
		s.seeToFile()
		mustAppend(t, s)
	}
	if n := strings.Count(h.all(), "in its place again"); n != 2 {
		t.Errorf("told %d times: %s", n, h.all())
	}
}

// oddChange fails or panics when it is applied.
type oddChange struct {
	err    error
	panics bool
}

func (c *oddChange) apply(t *txn) error {
	if c.panics {
		panic("odd")
	}
	return c.err
}

func (c *oddChange) release(error) {}

func TestABadChangeFailsAlone(t *testing.T) {
	errOdd := errors.New("odd")
	for name, of := range map[string]struct {
		bad   oddChange
		times int
	}{
		"an error":    {oddChange{err: errOdd}, 1},
		"some errors": {oddChange{err: errOdd}, 2 * maxFailures},
		"a panic":     {oddChange{panics: true}, 1},
		"a refusal":   {oddChange{err: refuse("no: %w", errOdd)}, 1},
	} {
		s, _ := openTape(t)
		first, err := s.queue.enter(0) // holds the group together until all are in line
		if err != nil {
			t.Fatal(err)
		}
		_, before := appendBytes(s, []byte("before"))
		var bad []*Commit
		for range of.times {
			c, err := s.queue.enter(0)
			if err != nil {
				t.Fatal(err)
			}
			s.queue.fill(c, &of.bad, 0, nil)
			bad = append(bad, c)
		}
		_, behind := appendBytes(s, []byte("behind"))
		s.queue.fill(first, nil, 0, nil)
		if err := errors.Join(first.Wait(), before.Wait(), behind.Wait()); err != nil {
			t.Errorf("%s: the others failed too: %v", name, err)
		}
		for _, c := range bad {
			if err := c.Wait(); err == nil || !of.bad.panics && !errors.Is(err, errOdd) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if st := s.Stats(); st.Records != 2 {
			t.Errorf("%s: %d records", name, st.Records)
		}
	}
}

// TestADuplicateIsOneWhereItsGroupFails: even when it is committed alone, it sees the answer of the first, which its group
// had overtaken.
func TestADuplicateIsOneWhereItsGroupFails(t *testing.T) {
	s, _ := openTape(t)
	for i := range 8 {
		once := func() (ID, *Commit) {
			rec := Record{Source: "iiko", Verdict: Accepted, Raw: InlineRaw([]byte("bytes"))}
			c := s.AppendOnce(&rec, nil, nil, nil, Once{Key: fmt.Sprint("key ", i), Window: time.Hour})
			return rec.ID, c
		}
		first, c := once()
		if err := c.Wait(); err != nil {
			t.Fatal(err)
		}
		held, err := s.queue.enterAs(ahead, 0) // holds the group together until all are in line
		if err != nil {
			t.Fatal(err)
		}
		s.Settle(first, Outcome{Answer: &Answer{Status: 200}}) // nobody waits for it
		bad, err := s.queue.enterAs(ahead, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.queue.fill(bad, &oddChange{err: errors.New("odd")}, 0, nil)
		_, again := once()
		s.queue.fill(held, nil, 0, nil)
		if err := again.Wait(); err != nil {
			t.Fatalf("the duplicate failed too: %v", err)
		}
		if of, dup := again.First(); !dup || of != first {
			t.Errorf("duplicate %v, of %s, not of %s", dup, of, first)
		}
	}
}

func TestACommitThatIsThereAfterAllHasNotFailed(t *testing.T) {
	s, _ := openTape(t)
	mustAppend(t, s)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	txid := 0
	if err := s.view(func(tx *bolt.Tx) error { txid = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	lastSync := errors.New("the last sync failed")
	if err := s.heal(txid, lastSync); err != nil {
		t.Errorf("its transaction is on the disk: %v", err)
	}
	if err := s.heal(txid+2, lastSync); !errors.Is(err, lastSync) {
		t.Errorf("its transaction is not on the disk: %v", err)
	}
}

// lateFailure is a change whose first commit fails, though all of it is on the disk.
type lateFailure struct {
	change
	failed bool
	also   func() // called at that moment; nil: nothing is
}

func (c *lateFailure) apply(t *txn) error {
	if !c.failed {
		c.failed = true
		t.OnCommit(func() {
			if c.also != nil {
				c.also()
			}
			panic("failed at the last moment")
		})
	}
	return c.change.apply(t)
}

// appendLate appends a record with a delivery, in a commit that fails late.
func appendLate(t *testing.T, s *Store, also func()) ID {
	t.Helper()
	rec := Record{Source: "iiko", Verdict: Accepted, Raw: InlineRaw([]byte("bytes"))}
	c, err := s.queue.enter(1)
	if err != nil {
		t.Fatal(err)
	}
	rec.ID = c.id
	ch := &appendChange{id: c.id, commit: c}
	if err := ch.encode(&rec, []Delivery{{Source: "iiko", Target: "app"}}); err != nil {
		t.Fatal(err)
	}
	s.queue.fill(c, &lateFailure{change: ch, also: also}, 1, nil)
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	return rec.ID
}

// TestACommitThatIsThereAfterAllIsToldOf: the observer is told of it once, as of any other, and it is counted once.
func TestACommitThatIsThereAfterAllIsToldOf(t *testing.T) {
	s, _ := openTape(t)
	var told []Committed
	s.Observe(Observer{Committed: func(c Committed) { told = append(told, c) }})
	appendLate(t, s, nil)
	mustAppend(t, s)
	if len(told) != 2 || told[0].Changes != 1 {
		t.Errorf("told of %+v", told)
	}
	if n, _, _ := s.Pending("iiko", "app"); n != 1 {
		t.Errorf("%d pending", n)
	}
	if st := s.Stats(); st.Records != 2 || st.Commits != 2 || st.Failures != 0 || st.Reopened != 1 {
		t.Errorf("%+v", st)
	}
}

func TestACommitThatIsThereAfterAllEndsARowOfFailures(t *testing.T) {
	s, _ := openTape(t)
	s.spoiled = spoiledMax - 1
	appendLate(t, s, nil)
	s.Close()
	if s.spoiled != 0 {
		t.Error("the next failure sets a tape aside that was written to")
	}
}

func TestTheTapeThatTookTheDamagedOnesPlaceIsKept(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{SetAside: true, NoSync: true})
	noProblem(t, err)
	defer s.Close()
	mustAppend(t, s)
	noProblem(t, s.Sync())
	s.spoiled = spoiledMax - 1
	_, err = s.file.os.WriteAt(make([]byte, 2*pageSize), 0)
	noProblem(t, err)
	mustAppend(t, s)
	if n := s.aside.Load(); n != 1 {
		t.Errorf("%d were set aside", n)
	}
}

// TestACommitIsNotTakenForThereInAnotherDatabase: the tape that it went into is set aside, and is so young that the new one
// has as many transactions.
func TestACommitIsNotTakenForThereInAnotherDatabase(t *testing.T) {
	s, _ := openTape(t)
	s.options.SetAside = true
	id := appendLate(t, s, func() {
		p, err := s.file.pages()
		if err == nil {
			_, err = s.file.os.WriteAt(make([]byte, pageSize), int64(p.meta.root)*pageSize)
		}
		if err != nil {
			t.Error(err)
		}
	})
	if n := s.aside.Load(); n != 1 {
		t.Fatalf("%d databases were set aside", n)
	}
	if _, err := s.Get(id); err != nil {
		t.Errorf("it was acknowledged: %v", err)
	}
	if n, _, _ := s.Pending("iiko", "app"); n != 1 {
		t.Errorf("%d pending", n)
	}
}

func TestARenderThatPanicsHoldsUpNobody(t *testing.T) {
	s, _ := openTape(t)
	func() {
		defer func() { recover() }()
		s.Append(&Record{}, nil, nil, func(*Record) { panic("odd") })
	}()
	mustAppend(t, s)
	if st := s.Stats(); st.Records != 1 {
		t.Errorf("%d records", st.Records)
	}
}

// By the time that the commit fails, another tape with more transactions is at the path.
func TestACommitIsNotTakenForThereInAFileThatCameInItsPlace(t *testing.T) {
	s, _ := openTape(t)
	o, _ := openTape(t)
	for range 30 {
		mustAppend(t, o)
	}
	noProblem(t, o.Close())
	var moved error
	ch := &lateFailure{change: &metaChange{key: []byte("key")}, also: func() { moved = os.Rename(o.path, s.path) }}
	c, err := s.queue.enter(0)
	noProblem(t, err)
	s.queue.fill(c, ch, 0, nil)
	if err := c.Wait(); moved != nil {
		t.Skip(moved) // Windows
	} else if err == nil {
		t.Error("a commit counts as done that this tape has not")
	}
}

func TestAFullQueuePushesBack(t *testing.T) {
	s, _ := openTape(t)
	first, err := s.queue.enter(queueMax)
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan error)
	go func() {
		_, c := appendBytes(s, []byte("bytes"))
		entered <- c.Wait()
	}()
	select {
	case err := <-entered:
		t.Errorf("entered a full queue: %v", err)
	default:
	}
	s.queue.fill(first, nil, queueMax, nil)
	if err := <-entered; err != nil {
		t.Error(err)
	}
	if n, bytes := s.queue.load(); n != 0 || bytes < 0 {
		t.Errorf("%d changes, %d bytes", n, bytes)
	}
}

// bbolt finds no meta page, panics, and never releases its locks: the next caller would wait for ever.
func TestATapeThatLosesItsMetaPagesWhileItIsOpenIsReplaced(t *testing.T) {
	damages := map[string]func(*os.File) error{
		"zeroed":    func(f *os.File) error { _, err := f.WriteAt(make([]byte, 2*pageSize), 0); return err },
		"truncated": func(f *os.File) error { return f.Truncate(0) },
		"cut":       func(f *os.File) error { return f.Truncate(4096) }, // in the middle of the first page
		"truncated, and written ahead of": func(f *os.File) error {
			cut := f.Truncate(0)
			_, err := f.WriteAt(make([]byte, pageSize), 64*pageSize)
			return errors.Join(cut, err)
		},
	}
	for name, damage := range damages {
		for _, first := range []string{"read", "append"} {
			t.Run(name+", "+first, func(t *testing.T) {
				s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{SetAside: true, NoSync: true}) // so that nothing is written ahead
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				mustAppend(t, s)
				if err := damage(s.file.os); err != nil {
					t.Fatal(err)
				}
				if first == "read" {
					if _, err := s.Deliveries(ID{}); !errors.Is(err, ErrDamaged) {
						t.Errorf("read: %v", err)
					}
				}
				acked := int64(0)
				for range 3 {
					if _, c := appendBytes(s, []byte("bytes")); c.Wait() == nil {
						acked++
					}
				}
				if st := s.Stats(); acked < 2 || st.Records != acked {
					t.Errorf("%d of 3 acknowledged, %d are there", acked, st.Records)
				}
			})
		}
	}
}

// The mapping keeps the file open, and with that the lock.
func TestAFileThatBboltCanNotCloseIsGivenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tape.db")
	if err := create(path, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, stuck := range []bool{true, false} {
		f, err := openFile(path, Options{Timeout: defaultTimeout})
		if err != nil {
			t.Fatal(err)
		}
		if stuck {
			f.lose()
		}
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A panic while bbolt opens the file leaves it mapped too.
func TestATapeThatCouldNotBeOpenedCanBeOnceItIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tape.db")
	noProblem(t, create(path, Options{}))
	whole, err := os.ReadFile(path)
	noProblem(t, err)
	p, err := openPages(bytes.NewReader(whole), int64(len(whole)))
	noProblem(t, err)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	noProblem(t, err)
	defer f.Close()
	list := whole[p.meta.freelist*pageSize:][:pageSize]
	for i, page := range [][]byte{make([]byte, pageSize), list} {
		_, err := f.WriteAt(page, int64(p.meta.freelist)*pageSize)
		noProblem(t, err)
		again, err := openFile(path, Options{Timeout: defaultTimeout})
		if err == nil {
			err = again.close()
		} else if !panicked(err) {
			t.Fatal(err)
		}
		if damaged := i == 0; damaged != (err != nil) {
			t.Errorf("damaged: %v, but: %v", damaged, err)
		}
	}
}

// The beginning of a large body is on the tape that was set aside: its record must not be acknowledged without that.
func TestALargeBodyIsNotRecordedWithoutItsBeginning(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "tape.db"), Options{SetAside: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := s.Spool()
	defer p.Discard()
	if _, err := p.Write(make([]byte, 3*pieceSize)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Raw(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.file.os.WriteAt(make([]byte, 2*pageSize), 0); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s)
	rec := Record{Source: "iiko", Verdict: Accepted}
	if err := s.Append(&rec, p, nil, nil).Wait(); !errors.Is(err, ErrDamaged) {
		t.Errorf("the record came to %v", err)
	}
	mustAppend(t, s)
	if st := s.Stats(); st.Records != 2 {
		t.Errorf("%d records", st.Records)
	}
}
