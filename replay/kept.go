package replay

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"

	"github.com/hooktape/hooktape/relay/wire"
)

// keptInMemory is how much of a response is kept in memory; the rest goes to a
// temporary file, so that memory is bounded whatever a target sends.
const keptInMemory = 1 << 20

// Kept holds the bytes of a response until they are on the tape. They are
// written, then read. The zero Kept is empty.
type Kept struct {
	memory bytes.Buffer
	file   *os.File // what does not fit; nil: all does
	size   int64
}

// Size is how many bytes were written.
func (k *Kept) Size() int64 { return k.size }

// InMemory is how many of them are in memory, 1 MiB at most. The others are in a temporary file.
func (k *Kept) InMemory() int64 {
	if k == nil {
		return 0
	}
	return int64(k.memory.Len())
}

// begin keeps the head of a response, and makes room for a short body.
func (k *Kept) begin(head *wire.ResponseHead) {
	const short = 64 << 10
	k.memory.Grow(len(head.Raw) + int(min(max(0, head.Framing.Length), short)))
	k.memory.WriteString(head.Raw)
	k.size += int64(len(head.Raw))
}

// Write implements io.Writer.
func (k *Kept) Write(p []byte) (n int, err error) {
	defer func() { k.size += int64(n) }()
	room := max(0, keptInMemory-k.memory.Len())
	if k.file == nil && len(p) <= room {
		return k.memory.Write(p)
	}
	if k.file == nil {
		file, err := os.CreateTemp("", "hooktape-response-*")
		if err != nil {
			return 0, err
		}
		k.file = file
	} else {
		room = 0 // the memory is full, or a file has taken over
	}
	n, _ = k.memory.Write(p[:room]) // a buffer does not fail
	m, err := k.file.Write(p[n:])
	return n + m, err
}

// Open reads all that was written, from its beginning. It can be called many
// times, until Close.
func (k *Kept) Open() (io.ReadCloser, error) {
	memory := bytes.NewReader(k.memory.Bytes())
	if k.file == nil {
		return io.NopCloser(memory), nil
	}
	return io.NopCloser(io.MultiReader(memory, io.NewSectionReader(k.file, 0, math.MaxInt64))), nil
}

// Close frees the bytes.
func (k *Kept) Close() error {
	if k == nil || k.file == nil {
		return nil
	}
	return errors.Join(k.file.Close(), os.Remove(k.file.Name()))
}
