package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
)

const (
	// inlineMax is how many bytes lie in the value of their record.
	inlineMax = 64 << 10
	// pieceSize is how many bytes a piece has; the last one may have fewer. With its key, its checksum and bbolt's
	// headers it just fits into sixteen pages.
	pieceSize = 64<<10 - 64
	// piecesAhead is how many pieces of one spool may wait for their commit. bbolt puts up to five large values into
	// one page and writes them all again when one is added, so pieces should come to a transaction together.
	piecesAhead = 4
)

// Spool takes raw bytes on their way in: up to 64 KiB stay in memory, more are committed in pieces while they come.
// Append or Settle take it over, once; Discard must be called in any case. One goroutine at a time may use it.
type Spool struct {
	s     *Store
	buf   []byte // what is not a piece yet
	size  int64
	id    ID     // of the pieces; zero: all is in buf
	n     uint32 // full pieces sent off
	saved int    // bytes of buf that Raw has queued as piece n
	ahead []*Commit
	err   error // why a piece could not be committed: the spool is lost
	owner atomic.Int32
}

// The owner of a spool's pieces: it says who deletes them.
const (
	ownSpool  = iota // Discard does
	ownCommit        // nobody: a commit took them. If that fails, they are the spool's again
	ownNobody        // nobody: the spool was discarded too. If the commit fails, the next Open sweeps them
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

const (
	smallBuffer = 4 << 10 // most webhooks fit
	largeBuffer = inlineMax + checksumSize
)

func putBuffer(b []byte) {
	switch cap(b) {
	case smallBuffer:
		smallBuffers.Put((*[smallBuffer]byte)(b[:smallBuffer]))
	case largeBuffer:
		largeBuffers.Put((*[largeBuffer]byte)(b[:largeBuffer]))
	}
}

// Spool begins to take raw bytes.
func (s *Store) Spool() *Spool { return &Spool{s: s} }

// Write takes b. It blocks while too many pieces wait for their commit, and fails for good once one of them failed.
func (p *Spool) Write(b []byte) (int, error) {
	written := 0
	for p.err == nil && len(b) > 0 {
		n := min(len(b), p.limit()-len(p.buf))
		if n == 0 {
			p.err = p.sendPiece()
			continue
		}
		p.reserve(len(p.buf) + n)
		p.buf = append(p.buf, b[:n]...)
		p.size += int64(n)
		written += n
		b = b[n:]
	}
	return written, p.err
}

// WriteString is Write.
func (p *Spool) WriteString(b string) (int, error) { return p.Write([]byte(b)) }

func (p *Spool) limit() int {
	if p.id == (ID{}) {
		return inlineMax
	}
	return pieceSize
}

// reserve makes sure that n bytes fit into buf.
func (p *Spool) reserve(n int) {
	if n <= cap(p.buf) {
		return
	}
	old := p.buf
	if n <= smallBuffer {
		p.buf = smallBuffers.Get().(*[smallBuffer]byte)[:0]
	} else {
		p.buf = largeBuffers.Get().(*[largeBuffer]byte)[:0]
	}
	p.buf = append(p.buf, old...)
	putBuffer(old)
}

// sendPiece sends the beginning of buf off as a piece and keeps the rest.
func (p *Spool) sendPiece() error {
	if p.id == (ID{}) {
		p.id = p.s.queue.newID()
	}
	full := p.buf
	p.buf = nil
	if rest := full[pieceSize:]; len(rest) > 0 {
		p.reserve(largeBuffer)
		p.buf = append(p.buf, rest...)
	}
	p.saved = 0
	if err := p.send(full[:pieceSize]); err != nil {
		return err
	}
	p.n++
	return nil
}

// send queues data as piece n. The commit gives its buffer back.
func (p *Spool) send(data []byte) error {
	if err := p.wait(piecesAhead - 1); err != nil {
		return err
	}
	if p.s.short.Load() {
		return ErrDiskFull
	}
	c, err := p.s.queue.enterAs(ahead, largeBuffer)
	if err != nil {
		return err
	}
	p.s.queue.fill(c, &pieceChange{id: p.id, n: p.n, value: sealPiece(p.id, p.n, data)}, largeBuffer, nil)
	p.ahead = append(p.ahead, c)
	return nil
}

// wait returns when no more than n pieces wait for their commit, or one of those has failed.
func (p *Spool) wait(n int) error {
	for len(p.ahead) > n {
		if err := p.ahead[0].Wait(); err != nil {
			return err
		}
		p.ahead = p.ahead[1:]
	}
	return nil
}

// Size is how many bytes were written.
func (p *Spool) Size() int64 { return p.size }

// Bytes is all that was written, or nil once that is more than 64 KiB. It is valid until Write or Discard.
func (p *Spool) Bytes() []byte {
	if p.id != (ID{}) {
		return nil
	}
	return p.buf
}

// Raw commits what is not committed yet of more than 64 KiB and waits for it, so that Store.Open can read all that was
// written. Inline bytes are the spool's, valid until Discard. Writing may go on afterwards.
func (p *Spool) Raw() (Raw, error) {
	if p.id != (ID{}) && p.err == nil && p.saved < len(p.buf) {
		data := append(largeBuffers.Get().(*[largeBuffer]byte)[:0], p.buf...)
		p.err = p.send(data)
		p.saved = len(p.buf)
	}
	if p.err == nil {
		p.err = p.wait(0)
	}
	return p.raw(), p.err
}

func (p *Spool) raw() Raw {
	if p.id == (ID{}) {
		return Raw{Inline: p.buf, Size: p.size}
	}
	return Raw{Pieces: p.id, Size: p.size}
}

// Truncate keeps the first n bytes only.
func (p *Spool) Truncate(n int64) error {
	if n >= p.size || p.err != nil {
		return p.err
	}
	keep, whole := int(n), uint32(0)
	if p.id != (ID{}) {
		keep, whole = int(n%pieceSize), uint32(n/pieceSize)
	}
	if whole < p.n || p.saved > 0 {
		if p.err = p.takeBack(whole); p.err != nil {
			return p.err
		}
	}
	p.buf, p.size, p.saved = p.buf[:keep], n, 0
	return nil
}

// takeBack makes piece n the one that is being written, and deletes it and those behind it.
func (p *Spool) takeBack(n uint32) error {
	if n == p.n {
		return p.s.drop(p.id, n, n+1, false)
	}
	if err := p.wait(0); err != nil {
		return err
	}
	p.reserve(largeBuffer)
	data, err := p.s.readPiece(p.buf[:0], Raw{Pieces: p.id, Size: int64(p.n) * pieceSize}, n)
	if err != nil {
		return err
	}
	p.buf = data
	err = p.s.drop(p.id, n, p.n+1, false)
	p.n = n
	return err
}

// Discard gives the memory back, and deletes the pieces unless a commit took them. It may be called at any time and
// more than once.
func (p *Spool) Discard() {
	putBuffer(p.buf)
	p.buf = nil
	if p.id == (ID{}) {
		return
	}
	if p.owner.CompareAndSwap(ownSpool, ownNobody) {
		// What can't be deleted now is swept by the next Open.
		_ = p.s.drop(p.id, 0, p.n+1, true)
		return
	}
	p.owner.CompareAndSwap(ownCommit, ownNobody)
}

// taken is raw bytes on their way into a change.
type taken struct {
	raw   Raw
	spool *Spool // of the pieces; nil: there are none
	n     uint32 // number of the tail
	tail  []byte // the last piece, sealed; nil: there is none
}

// take makes p part of a change; with a nil p, raw. When it returns, all pieces but the last are on the disk.
func take(p *Spool, raw Raw) (taken, error) {
	if p == nil {
		return taken{raw: raw}, nil
	}
	if p.id == (ID{}) {
		return taken{raw: p.raw()}, p.err
	}
	if p.err == nil {
		p.err = p.wait(0)
	}
	if p.err != nil {
		return taken{}, p.err
	}
	p.owner.CompareAndSwap(ownSpool, ownCommit)
	t := taken{raw: p.raw(), spool: p, n: p.n}
	if len(p.buf) > 0 {
		t.tail = sealPiece(p.id, p.n, p.buf)
		p.buf = nil
	}
	return t, nil
}

// errBegunElsewhere is the error about pieces the first of which are on a tape that was set aside.
var errBegunElsewhere = fmt.Errorf("the beginning of the body is on a tape that was set aside: %w", ErrDamaged)

// put writes the tail, and says that the pieces have a record now.
func (k *taken) put(t *txn) error {
	if k.spool == nil {
		return nil
	}
	if mark, _ := t.seek(bucketUploads, k.raw.Pieces[:]); !bytes.Equal(mark, k.raw.Pieces[:]) {
		return errBegunElsewhere
	}
	if k.tail != nil {
		t.key = appendNumbered(t.key[:0], k.raw.Pieces, k.n)
		if err := t.tail(bucketPieces).Put(t.key, k.tail); err != nil {
			return err
		}
	}
	return t.Bucket(bucketUploads).Delete(k.raw.Pieces[:])
}

// release gives the tail's buffer back, and the pieces to the spool when the commit failed with err.
func (k *taken) release(err error) {
	if k.spool == nil {
		return
	}
	putBuffer(k.tail)
	k.tail = nil
	if err != nil {
		k.spool.owner.CompareAndSwap(ownCommit, ownSpool)
	}
	k.spool = nil
}

// sealPiece puts the checksum behind data, in its buffer.
func sealPiece(id ID, n uint32, data []byte) []byte {
	var key [20]byte
	return binary.BigEndian.AppendUint32(data, checksum(appendNumbered(key[:0], id, n), data))
}

// pieceChange is a piece whose record may come later.
type pieceChange struct {
	id    ID
	n     uint32
	value []byte
}

func (c *pieceChange) apply(t *txn) error {
	if t.short {
		return &refusal{ErrDiskFull}
	}
	if c.n == 0 {
		if err := t.Bucket(bucketUploads).Put(c.id[:], nil); err != nil {
			return err
		}
	}
	t.key = appendNumbered(t.key[:0], c.id, c.n)
	return t.tail(bucketPieces).Put(t.key, c.value)
}

func (c *pieceChange) release(error) {
	putBuffer(c.value)
	c.value = nil
}

// dropMax is how many pieces are deleted in one transaction.
const dropMax = 256

// drop queues the deletion of pieces [from, to), and with mark that of their row in uploads.
func (s *Store) drop(id ID, from, to uint32, mark bool) error {
	for {
		next := min(to, from+dropMax)
		c, err := s.queue.enter(256)
		if err != nil {
			return err
		}
		s.queue.fill(c, &dropChange{id: id, from: from, to: next, mark: mark && next == to}, 256, nil)
		if next == to {
			return nil
		}
		from = next
	}
}

type dropChange struct {
	id       ID
	from, to uint32
	mark     bool
}

func (c *dropChange) apply(t *txn) error { return c.delete(t.Tx) }

func (c *dropChange) delete(tx *bolt.Tx) error {
	var key [20]byte
	for n := c.from; n < c.to; n++ {
		if err := tx.Bucket(bucketPieces).Delete(appendNumbered(key[:0], c.id, n)); err != nil {
			return err
		}
	}
	if c.mark {
		return tx.Bucket(bucketUploads).Delete(c.id[:])
	}
	return nil
}

func (c *dropChange) release(error) {}

// sweep deletes all pieces whose record never came, and returns how many bodies they were.
func (f *file) sweep() (bodies int, err error) {
	for {
		c, err := f.nextOrphan()
		if err != nil || c == nil {
			return bodies, err
		}
		if c.mark {
			bodies++
		}
		if _, err := f.update(c.delete); err != nil {
			return bodies, err
		}
	}
}

// nextOrphan is the next deletion that sweep has to do; nil when there is none.
func (f *file) nextOrphan() (c *dropChange, err error) {
	err = f.view(func(tx *bolt.Tx) error {
		id, _ := tx.Bucket(bucketUploads).Cursor().First()
		if len(id) != len(ID{}) {
			return nil
		}
		c = &dropChange{id: ID(id), mark: true}
		k, _ := tx.Bucket(bucketPieces).Cursor().Seek(appendNumbered(nil, c.id, 0))
		first, ok := numberOf(k, c.id)
		if !ok {
			return nil
		}
		c.from, c.to = first, first+dropMax
		k, _ = tx.Bucket(bucketPieces).Cursor().Seek(appendNumbered(nil, c.id, c.to))
		_, more := numberOf(k, c.id)
		c.mark = !more
		return nil
	})
	return c, err
}
