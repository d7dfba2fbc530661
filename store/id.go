package store

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// nextID is the id after last: later in order, whatever the clock does. Within one millisecond it grows by a random
// step, so that the endings that people name records by differ.
func nextID(last ID, now time.Time) ID {
	ms := max(now.UnixMilli(), int64(last.Time()))
	if ms == int64(last.Time()) {
		if id, ok := step(last, 1+uint64(rand.Uint32())); ok {
			return id
		}
		ms++
	}
	return freshID(ms)
}

// step adds n to the last ten bytes of id. It reports false when they overflow.
func step(id ID, n uint64) (ID, bool) {
	low := binary.BigEndian.Uint64(id[8:])
	binary.BigEndian.PutUint64(id[8:], low+n)
	if low+n >= low {
		return id, true
	}
	high := binary.BigEndian.Uint16(id[6:]) + 1
	binary.BigEndian.PutUint16(id[6:], high)
	return id, high != 0
}

// freshID is the first id of a millisecond: random, with the highest bit free, so that there is room to grow.
func freshID(ms int64) (id ID) {
	binary.BigEndian.PutUint16(id[6:], uint16(rand.Uint32())&0x7fff)
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	putMillis(&id, ms)
	return id
}

func putMillis(id *ID, ms int64) {
	binary.BigEndian.PutUint16(id[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:], uint32(ms))
}

// floorID is the lowest id that could be given at t.
func floorID(t time.Time) (id ID) {
	putMillis(&id, min(max(t.UnixMilli(), 0), 1<<48-1))
	return id
}

func timeOf(id ID) time.Time { return time.UnixMilli(int64(id.Time())).UTC() }
