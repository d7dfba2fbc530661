package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// A value is: version, length of the facts in four bytes, facts in CBOR, raw bytes, CRC-32C over key and all that.
const (
	valueVersion = 1
	valueHead    = 1 + 4
	checksumSize = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// encMode and decMode are the one way we write and read CBOR. Strings come from the wire and need not be UTF-8.
var (
	encMode = must(cbor.EncOptions{}.UserBufferEncMode())
	decMode = must(cbor.DecOptions{UTF8: cbor.UTF8DecodeInvalid}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // options that contradict each other: seen by every test
	}
	return v
}

// buffers holds the encoded values while they wait for their commit.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// bufferMax is the largest buffer worth keeping: an inline body and its facts.
const bufferMax = inlineMax + 8<<10

func freeBuffer(b *bytes.Buffer) {
	if b != nil && b.Cap() <= bufferMax {
		b.Reset()
		buffers.Put(b)
	}
}

// pack encodes facts into a value that lacks only its checksum.
func pack(facts any) (*bytes.Buffer, error) {
	b := beginValue(nil)
	if err := encMode.MarshalToBuffer(facts, b); err != nil {
		freeBuffer(b)
		return nil, err
	}
	return endFacts(b, nil)
}

// packFields is pack for facts that write their fields themselves, with raw bytes behind them. Appended is their appendTo,
// a method value, which the compiler sees through: the facts need not be on the heap.
func packFields(appended func(fields) fields, raw []byte) (*bytes.Buffer, error) {
	b := beginValue(raw)
	b.Write(appended(openFields(b.AvailableBuffer())).close())
	return endFacts(b, raw)
}

// packRecord packs all of a record.
func packRecord(r *Record) (*bytes.Buffer, error) {
	facts := newRecordFacts(r)
	if r.Answer != nil {
		answer := newAnswerFacts(r.Answer)
		facts.Answer = &answer
	}
	return packFields(facts.appendTo, r.Raw.Inline)
}

// beginValue is a value without its facts, with room for them and for raw.
func beginValue(raw []byte) *bytes.Buffer {
	b := buffers.Get().(*bytes.Buffer)
	b.Grow(512 + len(raw))
	b.Write([]byte{valueVersion, 0, 0, 0, 0})
	return b
}

// endFacts puts raw behind the facts.
func endFacts(b *bytes.Buffer, raw []byte) (*bytes.Buffer, error) {
	binary.BigEndian.PutUint32(b.Bytes()[1:], uint32(b.Len()-valueHead))
	b.Write(raw)
	if b.Len() > valueMax {
		freeBuffer(b)
		return nil, fmt.Errorf("%d bytes in one value: %w", b.Len(), ErrTooLarge)
	}
	return b, nil
}

// seal puts the checksum behind a packed value.
func seal(key []byte, b *bytes.Buffer) []byte {
	b.Write(binary.BigEndian.AppendUint32(b.AvailableBuffer(), checksum(key, b.Bytes())))
	return b.Bytes()
}

var (
	errChecksum = errors.New("the checksum does not match")
	errVersion  = errors.New("its format is not known to this hooktape")
)

// verify checks the checksum and returns what is before it, still part of value.
func verify(key, value []byte) ([]byte, error) {
	n := len(value) - checksumSize
	if n < 0 || binary.BigEndian.Uint32(value[n:]) != checksum(key, value[:n]) {
		return nil, errChecksum
	}
	return value[:n], nil
}

// unpack reads a value into facts and returns its raw bytes, still part of value.
func unpack(key, value []byte, facts any) (raw []byte, err error) {
	value, err = verify(key, value)
	if err != nil {
		return nil, err
	}
	if len(value) < valueHead || value[0] != valueVersion {
		return nil, errVersion
	}
	n := int64(binary.BigEndian.Uint32(value[1:]))
	if n > int64(len(value)-valueHead) {
		return nil, errVersion
	}
	rest := value[valueHead:]
	if f, ok := facts.(readable); ok && f.readFields(rest[:n]) {
		return rest[n:], nil
	}
	return rest[n:], decMode.Unmarshal(rest[:n], facts)
}

// nanos is a time as it is stored; the zero time is 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// piecesOf is the id of r's pieces as it is stored, which shares r's bytes; nil: it has none.
func piecesOf(r *Raw) []byte {
	if r.Pieces == (ID{}) {
		return nil
	}
	return r.Pieces[:]
}

// rawOf makes a Raw of what was stored. It copies the inline bytes.
func rawOf(inline, pieces []byte, size int64) Raw {
	r := Raw{Size: size}
	if len(pieces) == len(r.Pieces) {
		r.Pieces = ID(pieces)
	} else if len(inline) > 0 {
		r.Inline = bytes.Clone(inline)
	}
	return r
}
