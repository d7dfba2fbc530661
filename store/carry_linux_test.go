package store

import (
	"os"
	"path/filepath"
	"testing"
)

// There is room on the disk for a new tape, but not for what it carries over from the damaged one.
func TestWhatADamagedTapeKnewIsCarriedOnceThereIsRoom(t *testing.T) {
	dir := smallDisk(t, 8<<20)
	s, err := Open(filepath.Join(dir, "tape.db"), Options{SetAside: true})
	noProblem(t, err)
	defer s.Close()
	for n := range 30 {
		noProblem(t, s.PutMeta(string(rune('a'+n)), make([]byte, 16<<10)))
	}
	noProblem(t, s.PutToken(Token{Name: "laptop"}))
	filler, err := os.Create(filepath.Join(dir, "filler"))
	noProblem(t, err)
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(make([]byte, 4<<10))
	}
	info, err := filler.Stat()
	noProblem(t, err)
	noProblem(t, filler.Truncate(info.Size()-300<<10)) // enough for an empty tape
	p, err := s.file.pages()
	noProblem(t, err)
	_, err = s.file.os.WriteAt(make([]byte, pageSize), int64(p.meta.freelist)*pageSize)
	noProblem(t, err)
	s.file.lose()
	acked := int64(0)
	for range 3 {
		if _, c := appendBytes(s, []byte("bytes")); c.Wait() == nil {
			acked++
		}
	}
	noProblem(t, filler.Truncate(0))
	mustAppend(t, s)
	if tokens, err := s.Tokens(); err != nil || len(tokens) != 1 {
		t.Errorf("tokens %v, %v", tokens, err)
	}
	if aside, err := SetAside(s.path); err != nil || len(aside) != 1 || s.Stats().Records != 1+acked {
		t.Errorf("set aside: %v, %v; %d acknowledged, %+v", aside, err, 1+acked, s.Stats())
	}
}
