package store_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/hooktape/hooktape/store"
)

func TestRawBytesReadLikeAFile(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	for _, size := range []int{0, 100, 64 << 10, 200 << 10} {
		raw := body(3, size)
		rec := keep(t, s, fromIiko(), raw)
		r := s.Open(rec.Raw)
		if err := iotest.TestReader(r, raw); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		noError(t, r.Close())
		noError(t, r.Close())
	}
}

func TestASpoolCanBeReadWhileItGrows(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	p := s.Spool()
	defer p.Discard()
	var all []byte
	for i := range 8 {
		part := body(uint64(i), 30<<10)
		p.Write(part)
		all = append(all, part...)
		raw, err := p.Raw()
		noError(t, err)
		if !bytes.Equal(bytesOf(t, s, raw), all) {
			t.Fatalf("after part %d other bytes came back", i)
		}
		if inline := p.Bytes() != nil; inline != (len(all) <= 64<<10) {
			t.Errorf("part %d inline: %v", i, inline)
		}
	}
	rec := fromIiko()
	noError(t, s.Append(&rec, p, nil, nil).Wait())
	if !bytes.Equal(bytesOf(t, s, rec.Raw), all) {
		t.Error("the record has other bytes")
	}
}

func TestATruncatedSpoolKeepsTheBeginning(t *testing.T) {
	s := openStore(t, tape(t), store.Options{NoSync: true})
	for _, size := range []int{10, 64 << 10, 100 << 10, 1 << 20} {
		for _, cut := range []int{0, 5, 64<<10 - 64, 64 << 10, 99 << 10, 640 << 10, 2 << 20} {
			for _, look := range []bool{false, true} {
				raw := body(5, size)
				p := s.Spool()
				p.Write(raw)
				if look {
					p.Raw()
				}
				noError(t, p.Truncate(int64(cut)))
				p.Write([]byte("more"))
				want := append(bytes.Clone(raw[:min(cut, size)]), "more"...)
				rec := fromIiko()
				noError(t, s.Append(&rec, p, nil, nil).Wait())
				p.Discard()
				if got, err := s.Get(rec.ID); err != nil || !bytes.Equal(bytesOf(t, s, got.Raw), want) || got.Raw.Size != int64(len(want)) {
					t.Errorf("%d bytes cut to %d: other bytes came back, %v", size, cut, err)
				}
			}
		}
	}
}

func TestADiscardedSpoolLeavesNothing(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	p := s.Spool()
	p.Write(body(1, 20<<20))
	raw, err := p.Raw()
	noError(t, err)
	p.Discard()
	p.Discard()
	noError(t, s.Sync())
	if _, err := s.Open(raw).Read(make([]byte, 1)); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("discarded pieces: %v", err)
	}
	noError(t, s.PutMeta("a", nil)) // pages are free for the next transaction but one
	if free := s.Stats().Free; free < 20<<20 {
		t.Errorf("%d bytes are free", free)
	}
}

func TestADiscardAfterACommitDeletesNothing(t *testing.T) {
	s := openStore(t, tape(t), store.Options{})
	p := s.Spool()
	raw := body(1, 1<<20)
	p.Write(raw)
	rec := fromIiko()
	c := s.Append(&rec, p, nil, nil)
	p.Discard()
	noError(t, c.Wait())
	p.Discard()
	noError(t, s.Sync())
	if !bytes.Equal(bytesOf(t, s, rec.Raw), raw) {
		t.Error("other bytes came back")
	}
}

func TestABodyWithoutARecordIsSweptAtOpen(t *testing.T) {
	var logged []string
	path := tape(t)
	s := openStore(t, path, store.Options{})
	lost := s.Spool()
	lost.Write(body(1, 30<<20))
	raw, err := lost.Raw()
	noError(t, err)
	kept := keep(t, s, fromIiko(), body(2, 300<<10))
	noError(t, s.Close())
	lost.Discard()

	reader := openStore(t, path, store.Options{ReadOnly: true})
	if _, err := io.Copy(io.Discard, reader.Open(raw)); err != nil {
		t.Errorf("a reader sweeps nothing: %v", err)
	}
	noError(t, reader.Close())
	s = openStore(t, path, store.Options{Log: func(msg string, kv ...any) { logged = append(logged, msg) }})
	if _, err := s.Open(raw).Read(make([]byte, 1)); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("swept pieces: %v", err)
	}
	if len(logged) != 1 {
		t.Errorf("logged %q", logged)
	}
	if !bytes.Equal(bytesOf(t, s, kept.Raw), body(2, 300<<10)) {
		t.Error("the body of a record was swept")
	}
}
