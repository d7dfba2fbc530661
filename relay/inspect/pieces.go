package inspect

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
)

// What a laptop sends passes through an agent in pieces, each after its length; an empty piece says that the laptop has
// ended it. Otherwise a response that lasts until its connection ends would seem whole when it was cut off on its way.

// pieceLength is how many bytes the length of a piece has.
const pieceLength = 4

// A pieceWriter makes a piece of each write.
type pieceWriter struct {
	to    io.Writer
	piece []byte // the last one
}

func (w *pieceWriter) Write(p []byte) (int, error) {
	w.piece = append(binary.BigEndian.AppendUint32(w.piece[:0], uint32(len(p))), p...)
	n, err := w.to.Write(w.piece)
	return max(0, n-pieceLength), err
}

// end says that no more pieces come.
func (w *pieceWriter) end() error {
	_, err := w.Write(nil)
	return err
}

// pieces is a connection whose other end sends pieces. After a timeout, reading can go on.
type pieces struct {
	net.Conn
	in     *bufio.Reader // of Conn
	length [pieceLength]byte
	known  int // bytes of length that have come
	left   int // bytes of the piece that have not
	ended  bool
}

// Read reads what is in the pieces. The error is io.EOF after the empty one, and io.ErrUnexpectedEOF when the connection
// ends before it.
func (c *pieces) Read(p []byte) (n int, err error) {
	for c.left == 0 && !c.ended && err == nil {
		err = c.begin()
	}
	switch {
	case c.ended:
		return 0, io.EOF
	case err == nil:
		n, err = c.in.Read(p[:min(len(p), c.left)])
		c.left -= n
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// begin reads once from the length of the next piece.
func (c *pieces) begin() error {
	n, err := c.in.Read(c.length[c.known:])
	if c.known += n; c.known == pieceLength {
		c.left, c.known = int(binary.BigEndian.Uint32(c.length[:])), 0
		c.ended = c.left == 0
	}
	return err
}
