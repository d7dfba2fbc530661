package tape

import (
	"bytes"
	"errors"
	"io"
)

// Block is bytes that are read from their beginning as often as needed. The zero Block is empty.
type Block struct {
	Size   int64
	inline []byte
	open   func() (io.ReadCloser, error) // nil: the bytes are inline
	at     int64                         // in the file of a reader's scratch
}

// Bytes is b as a Block. It is not copied.
func Bytes(b []byte) Block { return Block{Size: int64(len(b)), inline: b} }

// Opened is a Block of size bytes that open reads.
func Opened(size int64, open func() (io.ReadCloser, error)) Block {
	return Block{Size: size, open: open}
}

// Open reads the bytes from their beginning. It fails with io.ErrUnexpectedEOF where there are fewer than Size.
func (b Block) Open() (io.ReadCloser, error) {
	if b.open == nil {
		return io.NopCloser(bytes.NewReader(b.inline)), nil
	}
	r, err := b.open()
	if err != nil {
		return nil, err
	}
	return &wholeReader{r, b.Size}, nil
}

// Inline is all of the bytes where they are in memory; ok is false where they are not.
func (b Block) Inline() (all []byte, ok bool) { return b.inline, b.open == nil }

// ReadAll reads all of the bytes into memory.
func (b Block) ReadAll() ([]byte, error) {
	if b.open == nil {
		return b.inline, nil
	}
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	all := make([]byte, b.Size)
	_, err = io.ReadFull(r, all)
	return all, err
}

// Start is the first n bytes, or all of them where there are fewer.
func (b Block) Start(n int64) ([]byte, error) {
	n = min(n, b.Size)
	if b.open == nil {
		return b.inline[:n], nil
	}
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	start := make([]byte, n)
	_, err = io.ReadFull(r, start)
	return start, err
}

// writeTo writes all of the bytes.
func (b Block) writeTo(w io.Writer) error {
	if b.open == nil {
		_, err := w.Write(b.inline)
		return err
	}
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}

// check says why not all of the bytes can be had.
func (b Block) check() error {
	if b.open == nil {
		return nil
	}
	return b.writeTo(io.Discard)
}

// wholeReader gives exactly so many bytes.
type wholeReader struct {
	io.ReadCloser
	left int64
}

func (r *wholeReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.ReadCloser.Read(p[:min(int64(len(p)), r.left)])
	if r.left -= int64(n); err == io.EOF && r.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// joined is two blocks as one.
func joined(a, b Block) Block {
	if b.Size == 0 {
		return a
	}
	first, ok := a.Inline()
	if second, both := b.Inline(); ok && both {
		return Bytes(append(bytes.Clone(first), second...))
	}
	return Opened(a.Size+b.Size, func() (io.ReadCloser, error) {
		x, err := a.Open()
		if err != nil {
			return nil, err
		}
		y, err := b.Open()
		if err != nil {
			x.Close()
			return nil, err
		}
		return &joinedReader{io.MultiReader(x, y), x, y}, nil
	})
}

type joinedReader struct {
	io.Reader
	a, b io.Closer
}

func (j *joinedReader) Close() error { return errors.Join(j.a.Close(), j.b.Close()) }

// behindHead is a block without its first n bytes.
func behindHead(b Block, n int) Block {
	n = int(min(int64(n), b.Size))
	if all, ok := b.Inline(); ok {
		return Bytes(all[n:])
	}
	return Opened(b.Size-int64(n), func() (io.ReadCloser, error) {
		r, err := b.Open()
		if err != nil {
			return nil, err
		}
		if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil {
			r.Close()
			return nil, err
		}
		return r, nil
	})
}
