package relay

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/wire"
)

// roomWait is how long a request waits for memory. Nothing more is read of it meanwhile; what it has sent is on the disk, or in
// the buffers of its connection.
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
	// passCost is for the response of a target: the piece that is being filled, and the copy buffer. Pieces that wait for
	// their commit are in the store's queue, which has a limit of its own. Until the response comes, passCost covers what
	// is written to the target.
	passCost = 96 << 10
	// copies is how often something is in memory that is there as a whole: a small request as its bytes and as the record
	// made of them, a large body that expressions look into as its bytes and as text.
	copies = 2
)

// cost is how much memory a request of a size takes, apart from streaming a large body.
func cost(size int64, passes bool) int64 {
	n := exchangeCost + copies*min(size, inlineMost)
	if passes {
		n += passCost
	}
	return n
}

// errNoRoom is why a large body can't be looked into: other requests hold all the memory meant for that.
var errNoRoom = errors.New("no memory for the body")

// errTaken is why a request is turned away.
var errTaken = errors.New("limits.memory is used up by other requests")

// budget is limits.memory: what all requests under way may keep in memory. It is divided into shares, so that requests that
// need little never wait behind those that need much, nor the other way round: one eighth for incomplete heads over 4 KiB,
// three eighths for complete heads, small bodies and responses, two for bodies on their way to the disk, and two for bodies
// that expressions look into. A request takes from the shares in this order, once from each, so that no two wait for each
// other.
//
// Deliveries are not counted: the concurrency of their targets limits them.
type budget struct {
	size                         int64
	heads, small, streams, whole share
}

func newBudget(size int64) *budget {
	part := func(eighths int64) share { return newShare(max(size*eighths/8, min(size, 1))) }
	return &budget{size, part(1), part(3), part(2), part(2)}
}

// share is a part of a budget. Requests that wait for it are served in the order in which they came.
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

// take waits for size bytes of a share, for roomWait at most, and reports whether it got them. They add to what is held
// already, which must be of the same share. A request that needs more than the whole share takes all of it.
func (h *holding) take(from share, size int64) bool {
	if h.size > 0 {
		from = h.from // a reload may have replaced the budget
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

// makeRoom waits for the memory that the request needs, judging by its head. If there is none in time, the body is not read.
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

// leaveUnread reports whether the body is not to be read at all. The connection closes then.
func (r *reception) leaveUnread() bool {
	if r.found.unread || r.found.refused() && r.x.Head.Continue { // a refused sender that waits for 100 Continue gets none
		r.cut = r.x.Head.Framing != wire.Framing{}
		return true
	}
	return false
}

// makeRoomToStream waits until there is memory to bring a large body to the disk.
func (r *reception) makeRoomToStream() bool {
	return r.room.stream.size > 0 || r.room.stream.take(r.room.budget.streams, streamCost)
}

// expected is the size that the request will have at most, as far as it matters for cost.
func (r *reception) expected() int64 {
	if r.x.Head.Framing.Chunked {
		return inlineMost
	}
	return int64(len(r.x.Head.Raw)) + r.x.Head.Framing.Length
}

func (r *reception) passes() bool { return r.src != nil && r.src.Respond == config.RespondTarget }

// noRoom is the finding about a request for which there was no memory in time. It is logged: the operator should know.
func (a *Agent) noRoom() finding {
	a.complain("requests are refused because limits.memory is used up: raise it, or find out what uses it", targetKey{}, errTaken,
		"memory", a.memory.Load().size)
	return unavailable(10, "no memory for the request: "+errTaken.Error())
}
