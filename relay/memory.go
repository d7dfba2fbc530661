package relay

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
)

// roomWait is how long a request waits for memory. What it has sent is in the buffers of its connection or on the disk
// then, and nothing more is read of it.
const roomWait = 10 * time.Second

// What requests under way keep in memory, in bytes.
const (
	// inlineMost is how much of a request the store keeps in memory until it is committed; more is written in pieces.
	inlineMost = 64 << 10
	// exchangeCost is for the buffers of its connection, what is known about it, and an answer.
	exchangeCost = 16 << 10
	// streamCost is for a body in pieces: the piece that is being filled, those that wait for their commit, and what is
	// copied through.
	streamCost = 6 * inlineMost
	// passCost is for the response of a target: the piece that is being filled, and what is copied through. Its pieces
	// that wait for their commit are in the queue of the store, which has a bound of its own. Before the response it is
	// for what is written to the target.
	passCost = 96 << 10
	// copies is how many there are of what is in memory whole: of a small request its bytes and the record that is made
	// of them, of a large body that expressions look into its bytes and the text that they become.
	copies = 2
)

// cost is what a request of a size takes of the memory, beside the streaming of a large one.
func cost(size int64, passes bool) int64 {
	n := exchangeCost + copies*min(size, inlineMost)
	if passes {
		n += passCost
	}
	return n
}

// errNoRoom is why a large body can't be looked into: others take all the memory that there is for them.
var errNoRoom = errors.New("no memory for the body")

// errTaken is why a request is turned away.
var errTaken = errors.New("limits.memory is taken by others")

// budget is limits.memory: what requests under way may keep in memory, all together. It has a share for each kind of
// use, so that nobody who wants little waits behind one who wants much, nor the other way round: an eighth is for heads
// over 4 KiB that are not whole yet, three for whole heads, small bodies and responses, a quarter for bodies on their way
// to the disk, and a quarter for those that expressions look into. A request takes of them in this order, once of each, so
// that none waits for one that waits for it.
//
// Deliveries are not in it: the concurrency of their targets bounds these.
type budget struct {
	size                         int64
	heads, small, streams, whole share
}

func newBudget(size int64) *budget {
	part := func(eighths int64) share { return newShare(max(size*eighths/8, min(size, 1))) }
	return &budget{size, part(1), part(3), part(2), part(2)}
}

// share is a part of a budget. Those who wait get their turn in the order in which they came.
type share struct {
	size int64 // zero: no bound
	wait time.Duration
	left *semaphore.Weighted
}

func newShare(size int64) share { return share{size, roomWait, semaphore.NewWeighted(size)} }

// holding is what one request holds of a share. The zero holding is nothing.
type holding struct {
	from   share
	size   int64 // zero: nothing is held
	denied bool  // there was no room in time
}

// take waits for its turn, but not for ever. It is added to what is held already, of the same share. A request that needs
// more than the share takes all of it.
func (h *holding) take(from share, size int64) bool {
	if h.size > 0 {
		from = h.from // the budget may be another one by now
	}
	if from.size == 0 {
		return true
	}
	size = min(size, from.size-h.size)
	if !from.left.TryAcquire(size) {
		ctx, cancel := context.WithTimeout(context.Background(), from.wait)
		defer cancel()
		if from.left.Acquire(ctx, size) != nil {
			h.denied = true
			return false
		}
	}
	h.from, h.size = from, h.size+size
	return true
}

// shrink gives back what turned out not to be needed beyond size.
func (h *holding) shrink(size int64) {
	if size < h.size {
		h.from.left.Release(h.size - size)
		h.size = size
	}
}

func (h *holding) giveBack() {
	if h.size > 0 {
		h.from.left.Release(h.size)
		h.size = 0
	}
}

// headRoom is wire.Server's Room.
func (a *Agent) headRoom(bytes int) (giveBack func(), ok bool) {
	var h holding
	ok = h.take(a.memory.Load().heads, int64(bytes))
	return h.giveBack, ok
}

// room is the memory that a request holds while it is under way.
type room struct {
	budget        *budget
	small, stream holding
}

func (m *room) giveBack() {
	m.small.giveBack()
	m.stream.giveBack()
}

// makeRoom waits until there is memory for the request, as far as its head tells. When there is none in time its body
// stays unread.
func (r *reception) makeRoom() {
	r.room.budget = r.memory.Load()
	large := !r.found.countable() && r.x.Head.Framing.Length > inlineMost
	if r.room.small.take(r.room.budget.small, cost(r.expected(), r.passes())) && (!large || r.makeRoomToStream()) {
		return
	}
	if !r.found.countable() { // else nothing is kept of the body anyhow
		r.found = r.noRoom()
	}
	r.found.unread = true
}

// leaveUnread says whether the body is not read at all. The connection closes then.
func (r *reception) leaveUnread() bool {
	if r.found.unread || r.found.refused() && r.x.Head.Continue { // who waits to be asked for the body isn't
		r.cut = r.x.Head.Framing != wire.Framing{}
		return true
	}
	return false
}

// makeRoomToStream waits until there is memory to bring a large body to the disk.
func (r *reception) makeRoomToStream() bool {
	return r.room.stream.size > 0 || r.room.stream.take(r.room.budget.streams, streamCost)
}

// expected is how many bytes of the request there will be at most, as far as they matter here.
func (r *reception) expected() int64 {
	if r.x.Head.Framing.Chunked {
		return inlineMost
	}
	return int64(len(r.x.Head.Raw)) + r.x.Head.Framing.Length
}

func (r *reception) passes() bool { return r.src != nil && r.src.Respond == config.RespondTarget }

// noRoom is the finding about a request for which there was no memory in time. Somebody should know of it.
func (a *Agent) noRoom() finding {
	a.complain("requests are turned away for want of memory: raise limits.memory, or find out who takes it", targetKey{}, errTaken,
		"memory", a.memory.Load().size)
	return unavailable(10, "no memory for the request: "+errTaken.Error())
}
