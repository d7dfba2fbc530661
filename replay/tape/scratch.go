package tape

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
)

const (
	// inlineMax is how much of a block is kept in memory. Most webhooks are smaller.
	inlineMax = 256 << 10
	// memoryMax is how much of all blocks that are kept is: a recording may have thousands of attempts.
	memoryMax = 32 << 20
	// gapsMax is how many blocks there may be in the file for the gaps between them to be used. There are more only of one
	// recording, which leaves none.
	gapsMax = 4 * halvesMax
)

// scratch keeps the blocks that a reader has read: small ones in memory, the others in one temporary file.
type scratch struct {
	file   *os.File // nil: none was needed yet
	held   []Block  // that are in the file, by their place
	memory int64    // bytes of those that are not
	err    error    // of the file: nothing more can be kept
}

// keep reads a block of size bytes. With an error it is what came before that.
func (s *scratch) keep(r io.Reader, size int64) (Block, error) {
	if size <= inlineMax && s.memory+size <= memoryMax {
		b := make([]byte, size)
		n, err := io.ReadFull(r, b)
		s.memory += size
		return Bytes(b[:n]), cutShort(err)
	}
	if err := s.make(); err != nil {
		return Block{}, err
	}
	at := s.place(size)
	n, err := io.CopyN(io.NewOffsetWriter(s, at), r, size)
	block := s.block(at, n)
	s.hold(block)
	return block, cutShort(err)
}

// place is where in the file there is room for so many bytes.
func (s *scratch) place(size int64) (at int64) {
	held := s.held
	if n := len(held); n > gapsMax {
		held = held[n-1:]
		at = held[0].at
	}
	for _, b := range held {
		if b.at-at >= size {
			return at
		}
		at = b.at + b.Size
	}
	return at
}

// hold says that a block is still needed.
func (s *scratch) hold(b Block) {
	if b.open == nil {
		s.memory += b.Size
		return
	}
	i, _ := slices.BinarySearchFunc(s.held, b, func(x, y Block) int { return cmp.Compare(x.at, y.at) })
	s.held = slices.Insert(s.held, i, b)
}

// block is what was kept at an offset.
func (s *scratch) block(at, size int64) Block {
	file := s.file
	b := Opened(size, func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(file, at, size)), nil })
	b.at = at
	return b
}

func (s *scratch) make() error {
	if s.file == nil {
		s.file, s.err = os.CreateTemp("", "hooktape-tape-*")
	}
	return s.err
}

// WriteAt writes to the file.
func (s *scratch) WriteAt(p []byte, at int64) (n int, err error) {
	n, err = s.file.WriteAt(p, at)
	s.err = cmp.Or(s.err, err)
	return n, err
}

// clear forgets all blocks.
func (s *scratch) clear() { s.held, s.memory = s.held[:0], 0 }

func (s *scratch) Close() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}
