package store

import "encoding/binary"

// fields is a CBOR map (RFC 8949) with numbers as keys that is being written. What is empty is left out. It goes from
// hand to hand by value, so that nothing is allocated.
//
// Facts that have appendTo write their fields themselves: what they give is what encMode gives by their tags, byte for
// byte, in a fifth of the time. A test makes sure of that.
type fields struct {
	b  []byte
	n  int // fields in b
	at int // where the map begins in b
}

// The types of CBOR items: the upper three bits of the first byte.
const (
	cborUint   = 0 << 5
	cborNegint = 1 << 5
	cborBytes  = 2 << 5
	cborText   = 3 << 5
	cborArray  = 4 << 5
	cborMap    = 5 << 5
	cborTrue   = 0xf5
)

// openFields begins a map behind b.
func openFields(b []byte) fields { return fields{b: append(b, cborMap), at: len(b)} }

// close ends the map, and returns it behind what openFields was given.
func (f fields) close() []byte {
	if f.n < 24 {
		f.b[f.at] |= byte(f.n)
		return f.b
	}
	f.b = append(f.b, 0) // their number takes another byte
	copy(f.b[f.at+2:], f.b[f.at+1:])
	f.b[f.at], f.b[f.at+1] = cborMap|24, byte(f.n)
	return f.b
}

// appendHead is the head of an item: its type, and its value or length in as few bytes as can be.
func appendHead(b []byte, kind byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, kind|byte(n))
	case n < 1<<8:
		return append(b, kind|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, kind|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, kind|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, kind|27), n)
}

// item begins the field of a key.
func (f fields) item(key uint64, kind byte, n uint64) fields {
	return fields{appendHead(appendHead(f.b, cborUint, key), kind, n), f.n + 1, f.at}
}

func (f fields) number(key uint64, n int64) fields {
	switch {
	case n > 0:
		return f.item(key, cborUint, uint64(n))
	case n < 0:
		return f.item(key, cborNegint, ^uint64(n))
	}
	return f
}

func (f fields) text(key uint64, s string) fields {
	if s == "" {
		return f
	}
	f = f.item(key, cborText, uint64(len(s)))
	f.b = append(f.b, s...)
	return f
}

func (f fields) texts(key uint64, all []string) fields {
	if len(all) == 0 {
		return f
	}
	f = f.item(key, cborArray, uint64(len(all)))
	for _, s := range all {
		f.b = append(appendHead(f.b, cborText, uint64(len(s))), s...)
	}
	return f
}

func (f fields) bytes(key uint64, p []byte) fields {
	if len(p) == 0 {
		return f
	}
	f = f.item(key, cborBytes, uint64(len(p)))
	f.b = append(f.b, p...)
	return f
}

func (f fields) flag(key uint64, is bool) fields {
	if !is {
		return f
	}
	return fields{append(appendHead(f.b, cborUint, key), cborTrue), f.n + 1, f.at}
}

// open begins the map that is the field of a key; f.with(…) ends it. In two steps, rather than by a func that writes the
// map, so that the compiler knows what writes it, and that need not be on the heap.
func (f fields) open(key uint64) fields { return openFields(appendHead(f.b, cborUint, key)) }

// with is f with a field that was begun by open.
func (f fields) with(inner fields) fields { return fields{inner.close(), f.n + 1, f.at} }
