package store

import "math"

// readable are facts that read their fields themselves, in a tenth of the time that decMode takes. A test makes sure that
// both read the same.
type readable interface {
	// readFields is false where b is not in the form that fields writes: then decMode reads it.
	readFields(b []byte) bool
}

// fieldReader reads a map as fields writes it. Anything else makes it fail.
type fieldReader struct {
	b      []byte
	failed bool
}

func (r *fieldReader) fail() {
	r.b, r.failed = nil, true
}

// take is the next n bytes.
func (r *fieldReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

// head is that of the next item: its type, and its value or length.
func (r *fieldReader) head() (kind byte, n uint64) {
	if len(r.b) == 0 {
		r.fail()
		return 0, 0
	}
	kind, n = r.b[0]&0xe0, uint64(r.b[0]&0x1f)
	r.b = r.b[1:]
	switch {
	case n < 24:
		return kind, n
	case n > 27:
		r.fail()
		return 0, 0
	}
	size := uint64(1) << (n - 24)
	n = 0
	for _, b := range r.take(size) {
		n = n<<8 | uint64(b)
	}
	return kind, n
}

// expect is head, where only one type is expected.
func (r *fieldReader) expect(kind byte) uint64 {
	got, n := r.head()
	if got != kind {
		r.fail()
	}
	return n
}

// bytes are those of a text or of bytes, still part of what is read.
func (r *fieldReader) bytes(kind byte) []byte { return r.take(r.expect(kind)) }

func (r *fieldReader) number() int64 {
	n := r.expect(cborUint)
	if n > math.MaxInt64 {
		r.fail()
	}
	return int64(n)
}

// skip passes over an item with all that is in it.
func (r *fieldReader) skip() {
	for left := uint64(1); left > 0 && !r.failed; left-- {
		switch kind, n := r.head(); kind {
		case cborUint, cborNegint:
		case cborBytes, cborText:
			r.take(n)
		case cborArray:
			left += n
		case cborMap:
			left += 2 * n
		default:
			if kind|byte(n) != cborTrue {
				r.fail()
			}
		}
	}
}

// each calls field with every key of a map, which are in order; it reads the value, or skips it.
func (r *fieldReader) each(field func(key uint64)) {
	var last uint64
	for n := r.expect(cborMap); n > 0 && !r.failed; n-- {
		key := r.expect(cborUint)
		if key <= last {
			r.fail()
		}
		last = key
		field(key)
	}
}
