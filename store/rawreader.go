package store

import (
	"errors"
	"fmt"
	"io"

	bolt "go.etcd.io/bbolt"
)

// RawReader reads raw bytes. ReadAt may be called from several goroutines at once, the other methods may not.
type RawReader struct {
	s     *Store
	raw   Raw
	off   int64
	buf   []byte // the piece that Read is in
	piece uint32
}

// Open reads raw, which may lie in pieces. Each piece is copied out in a read transaction of its own and checked. The error
// about one that is damaged or missing names it and wraps ErrDamaged; about a missing one, whose record may have been
// deleted meanwhile, it wraps ErrNotFound too. The reader of a store that is closed fails.
func (s *Store) Open(raw Raw) *RawReader { return &RawReader{s: s, raw: raw} }

// Size is how many bytes there are.
func (r *RawReader) Size() int64 { return r.raw.Size }

// Close gives the memory back.
func (r *RawReader) Close() error {
	putBuffer(r.buf)
	r.buf = nil
	return nil
}

func (r *RawReader) Read(p []byte) (int, error) {
	if r.off >= r.raw.Size {
		return 0, io.EOF
	}
	data, err := r.current()
	if err != nil {
		return 0, err
	}
	n := copy(p, data)
	r.off += int64(n)
	return n, nil
}

// WriteTo writes all that is left, piece by piece.
func (r *RawReader) WriteTo(w io.Writer) (written int64, err error) {
	for r.off < r.raw.Size {
		data, err := r.current()
		if err != nil {
			return written, err
		}
		n, err := w.Write(data)
		written += int64(n)
		r.off += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// current is what there is at off: the rest of the inline bytes or of a piece.
func (r *RawReader) current() ([]byte, error) {
	if r.raw.Pieces == (ID{}) {
		if int64(len(r.raw.Inline)) < r.raw.Size {
			return nil, io.ErrUnexpectedEOF
		}
		return r.raw.Inline[r.off:r.raw.Size], nil
	}
	piece := uint32(r.off / pieceSize)
	if len(r.buf) == 0 || r.piece != piece {
		if r.buf == nil {
			r.buf = largeBuffers.Get().(*[largeBuffer]byte)[:0]
		}
		data, err := r.s.readPiece(r.buf[:0], r.raw, piece)
		if err != nil {
			r.buf = r.buf[:0]
			return nil, err
		}
		r.buf, r.piece = data, piece
	}
	return r.buf[r.off%pieceSize:], nil
}

// ReadAt reads len(p) bytes from off, as io.ReaderAt wants it.
func (r *RawReader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	at := RawReader{s: r.s, raw: r.raw, off: off}
	defer at.Close()
	for n < len(p) {
		m, err := at.Read(p[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Seek sets where Read and WriteTo go on.
func (r *RawReader) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += r.off
	case io.SeekEnd:
		off += r.raw.Size
	}
	if off < 0 {
		return r.off, errors.New("seek before the beginning")
	}
	r.off = off
	return off, nil
}

// readPiece appends piece n of raw to dst.
func (s *Store) readPiece(dst []byte, raw Raw, n uint32) ([]byte, error) {
	want := min(raw.Size-int64(n)*pieceSize, pieceSize)
	err := s.view(func(tx *bolt.Tx) error {
		key := appendNumbered(nil, raw.Pieces, n)
		value := tx.Bucket(bucketPieces).Get(key)
		if value == nil {
			return ErrNotFound // lost, or deleted with its record meanwhile
		}
		data, err := verify(key, value)
		if err != nil {
			return err
		}
		if int64(len(data)) < want {
			return io.ErrUnexpectedEOF
		}
		dst = append(dst, data[:want]...)
		return nil
	})
	if err == nil || errors.Is(err, ErrClosed) {
		return dst, err
	}
	return nil, fmt.Errorf("piece %d of %s: %w: %w", n, raw.Pieces, ErrDamaged, err)
}
