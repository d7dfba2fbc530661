package replay

import (
	"bytes"
	"errors"
	"fmt"
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
	memory []byte
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
	return int64(len(k.memory))
}

// begin keeps the head of a response, and makes room for a short body.
func (k *Kept) begin(head *wire.ResponseHead) {
	const short = 64 << 10
	k.memory = make([]byte, len(head.Raw), len(head.Raw)+int(min(max(0, head.Framing.Length), short)))
	copy(k.memory, head.Raw)
	k.size = int64(len(head.Raw))
}

// body keeps the body of a response. The room that begin has made is read into as it is.
func (k *Kept) body(from io.Reader) error {
	for len(k.memory) < cap(k.memory) {
		n, err := from.Read(k.memory[len(k.memory):cap(k.memory)])
		k.memory, k.size = k.memory[:len(k.memory)+n], k.size+int64(n)
		if err != nil {
			return unlessEnd(err)
		}
	}
	if _, err := from.Read(nil); err != nil { // there was no more, as nearly always
		return unlessEnd(err)
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := from.Read(buf[:])
		if _, keeping := k.Write(buf[:n]); keeping != nil {
			return fmt.Errorf("keep the response: %w", keeping)
		}
		if err != nil {
			return unlessEnd(err)
		}
	}
}

// unlessEnd is an error of reading a response as people are told it; its end stays.
func unlessEnd(err error) error {
	if err == io.EOF {
		return err
	}
	return &wire.SendError{Phase: wire.PhaseRead, Err: err}
}

// Write implements io.Writer.
func (k *Kept) Write(p []byte) (n int, err error) {
	defer func() { k.size += int64(n) }()
	room := max(0, keptInMemory-len(k.memory))
	if k.file == nil && len(p) <= room {
		k.memory = append(k.memory, p...)
		return len(p), nil
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
	k.memory = append(k.memory, p[:room]...)
	m, err := k.file.Write(p[room:])
	return room + m, err
}

// Open reads all that was written, from its beginning. It can be called many
// times, until Close.
func (k *Kept) Open() (io.ReadCloser, error) {
	memory := bytes.NewReader(k.memory)
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
