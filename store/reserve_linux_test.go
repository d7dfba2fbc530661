package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// smallDisk is a folder on a disk of its own, of size bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		if os.Getenv("HOOKTAPE_ALL_TESTS") == "1" {
			t.Fatalf("HOOKTAPE_ALL_TESTS=1: a small disk can't be mounted: %v", err)
		}
		t.Skipf("NOT TESTED HERE: a small disk can't be mounted, that takes root: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func blocks(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return 0
	}
	return st.Blocks * 512
}

func TestAtTheEndOfTheDiskOutcomesAreStillWrittenAndItHeals(t *testing.T) {
	const reserve = 2 << 20
	dir := smallDisk(t, 24<<20)
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &heard{}
	s, err := Open(filepath.Join(dir, "tape.db"), Options{Log: h.log, Reserve: reserve})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := blocks(t, s.reservePath()); got < reserve {
		t.Errorf("the reserve holds %d bytes", got)
	}
	var ids []ID
	for {
		id, c := appendBytes(s, make([]byte, 60<<10), Delivery{Target: "app"})
		if err := c.Wait(); err != nil {
			if !diskFull(err) && !errors.Is(err, ErrDiskFull) {
				t.Fatal(err)
			}
			break
		}
		ids = append(ids, id)
	}
	if len(ids) < 50 {
		t.Errorf("only %d records fit", len(ids))
	}
	if _, c := appendBytes(s, []byte("bytes")); !errors.Is(c.Wait(), ErrDiskFull) {
		t.Errorf("an append: %v", c.Wait())
	}
	p := s.Spool()
	if _, err := p.Write(make([]byte, 200<<10)); !errors.Is(err, ErrDiskFull) {
		t.Errorf("a large body: %v", err)
	}
	p.Discard()
	for _, id := range ids {
		o := Outcome{
			Attempt:    &Attempt{Status: 200, Response: InlineRaw(make([]byte, 1000))},
			Deliveries: []Delivery{{Source: "iiko", Target: "app", State: Delivered}},
		}
		if err := s.Settle(id, o).Wait(); err != nil {
			t.Fatalf("an outcome at the end of the disk: %v", err)
		}
	}
	s.regain()
	if _, c := appendBytes(s, []byte("bytes")); !errors.Is(c.Wait(), ErrDiskFull) {
		t.Errorf("nothing has changed, but: %v", c.Wait())
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.regain()
	mustAppend(t, s)
	if got := blocks(t, s.reservePath()); got < reserve {
		t.Errorf("the new reserve holds %d bytes", got)
	}
	for _, id := range ids {
		if _, err := s.Get(id); err != nil {
			t.Error(err)
		}
	}
	want := "[disk is full, no more records are taken disk has room again, records are taken]"
	if got := h.all(); got != want {
		t.Errorf("logged %s", got)
	}
}

func TestDeletingMakesRoomOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, 40<<20)
	s, err := Open(filepath.Join(dir, "tape.db"), Options{Reserve: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var ids []ID
	for err == nil {
		var id ID
		var c *Commit
		id, c = appendBytes(s, make([]byte, 60<<10))
		if err = c.Wait(); err == nil {
			ids = append(ids, id)
		}
	}
	if _, err := s.Delete(ids[:len(ids)*3/4]...); err != nil {
		t.Fatal(err)
	}
	s.regain()
	mustAppend(t, s)
}

func TestATapeOnAFullDiskOpens(t *testing.T) {
	dir := smallDisk(t, 24<<20)
	path := filepath.Join(dir, "tape.db")
	s, err := Open(path, Options{Reserve: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	p := s.Spool()
	if _, err := p.Write(make([]byte, 300<<10)); err != nil { // a body whose record never comes
		t.Fatal(err)
	}
	if _, err := p.Raw(); err != nil {
		t.Fatal(err)
	}
	id, c := appendBytes(s, []byte("bytes"), Delivery{Target: "app"})
	if err := errors.Join(c.Wait(), s.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	if s, err = Open(path, Options{Reserve: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d := Delivery{Source: "iiko", Target: "app", State: Delivered}
	if err := s.Settle(id, Outcome{Deliveries: []Delivery{d}}).Wait(); err != nil {
		t.Error(err)
	}
}

// Without room for a new tape the damaged one must keep its name: else there is no tape even when the disk has room again.
func TestADamagedTapeOnAFullDiskIsReplacedWhenThereIsRoom(t *testing.T) {
	dir := smallDisk(t, 4<<20)
	s, err := Open(filepath.Join(dir, "tape.db"), Options{SetAside: true})
	noProblem(t, err)
	defer s.Close()
	mustAppend(t, s)
	filler, err := os.Create(filepath.Join(dir, "filler"))
	noProblem(t, err)
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(make([]byte, 4<<10))
	}
	_, err = s.file.os.WriteAt(make([]byte, 2*pageSize), 0)
	noProblem(t, err)
	for range 2 {
		if _, c := appendBytes(s, []byte("bytes")); !errors.Is(c.Wait(), ErrDamaged) {
			t.Errorf("a record for which there is neither tape nor room came to %v", c.Wait())
		}
	}
	noProblem(t, filler.Truncate(0))
	mustAppend(t, s)
	if aside, err := SetAside(s.path); err != nil || len(aside) != 1 {
		t.Errorf("set aside: %v, %v", aside, err)
	}
}
