package tape

import (
	"errors"
	"io"
	"os"
)

// inlineMax is how much of a block is kept in memory. Most webhooks are smaller.
const inlineMax = 256 << 10

// scratch keeps the blocks that a reader has read and that are too large for memory, in one temporary file.
type scratch struct {
	file *os.File // nil: none was needed yet
	end  int64
}

// keep reads a block of size bytes.
func (s *scratch) keep(r io.Reader, size int64) (Block, error) {
	if size <= inlineMax {
		b := make([]byte, size)
		_, err := io.ReadFull(r, b)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Bytes(b), err
	}
	if err := s.make(); err != nil {
		return Block{}, err
	}
	at := s.end
	n, err := io.CopyN(io.NewOffsetWriter(s.file, at), r, size)
	s.end += n
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return s.block(at, size), err
}

// block is what was kept at an offset.
func (s *scratch) block(at, size int64) Block {
	file := s.file
	return Opened(size, func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(file, at, size)), nil })
}

func (s *scratch) make() (err error) {
	if s.file == nil {
		s.file, err = os.CreateTemp("", "hooktape-tape-*")
	}
	return err
}

// Write adds to what is kept from s.end on, for who does not know the size before.
func (s *scratch) Write(p []byte) (int, error) {
	if err := s.make(); err != nil {
		return 0, err
	}
	n, err := s.file.WriteAt(p, s.end)
	s.end += int64(n)
	return n, err
}

// clear forgets all blocks.
func (s *scratch) clear() { s.end = 0 }

func (s *scratch) Close() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}
