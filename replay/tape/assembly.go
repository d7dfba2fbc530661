package tape

import (
	"fmt"
	"strconv"
	"strings"
)

// assembly is a recording of ours whose parts are being read.
type assembly struct {
	*Recording
	request string // the id of its first part
	left    int    // parts that are to come
	offset  int64
	number  int
	has     bool        // the first part is there
	numbers map[int]int // of the attempts, to their indexes; nil: not needed yet
}

// begin begins a recording with its metadata.
func (r *Reader) begin(p *warcPart) {
	facts := facts{Recording: &Recording{Known: true, URL: p.get(fieldTarget)}}
	if !r.decode(p, facts.decode) {
		return
	}
	if facts.Version > metaVersion {
		r.damaged(p.offset, facts.ID, errNewer)
		return
	}
	if len(facts.ID) > idMax {
		r.damaged(p.offset, "", errLongID)
		return
	}
	parts := min(facts.Parts, 2+2*len(facts.Attempts)) // its request and answer, and what each attempt sent and got
	r.current = &assembly{Recording: facts.Recording, request: p.get(fieldConcurrent), left: parts, offset: p.offset, number: r.number}
}

// idMax is how many bytes the id of a recording may have: that of a record has 26.
const idMax = 255

var errLongID = fmt.Errorf("its id is longer than %d bytes", idMax)

// owns says whether p is one of the parts.
func (a *assembly) owns(p *warcPart) bool {
	return p.get(fieldPart) != "" && (p.get(fieldID) == a.request || p.get(fieldConcurrent) == a.request)
}

// add adds a part. One whose digest does not hold is left out.
func (r *Reader) add(p *warcPart) {
	a := r.current
	a.left--
	if p.bad == nil {
		a.put(p)
	} else {
		r.damaged(p.offset, a.ID, fmt.Errorf("%s: %w", p.get(fieldPart), p.bad))
	}
	if a.left == 0 {
		r.current = nil
		r.giveAssembly(a)
	}
}

// giveAssembly gives a recording, unless there is none without its first part.
func (r *Reader) giveAssembly(a *assembly) {
	if a.has {
		a.settle()
		r.complete(a.Recording)
	}
}

func (a *assembly) put(p *warcPart) {
	name, number, _ := strings.Cut(p.get(fieldPart), " ")
	switch name {
	case partRequest:
		a.Request, a.has = p.block, true
		return
	case partAnswer:
		if a.Answer != nil {
			a.Answer.Response = p.block
		}
		return
	}
	n, _ := strconv.Atoi(number) // no attempt has the number 0
	switch attempt := a.attempt(n); {
	case attempt == nil:
	case name == partSent:
		attempt.Sent = &p.block
	case name == partResponse:
		attempt.Response = p.block
	}
}

// attempt is the one with a number; nil: there is none. There may be very many.
func (a *assembly) attempt(n int) *Attempt {
	if n > 0 && n <= len(a.Attempts) && a.Attempts[n-1].Number == n { // as nearly always
		return &a.Attempts[n-1]
	}
	if a.numbers == nil {
		a.numbers = make(map[int]int, len(a.Attempts))
		for i := range a.Attempts {
			a.numbers[a.Attempts[i].Number] = i
		}
	}
	if i, ok := a.numbers[n]; ok {
		return &a.Attempts[i]
	}
	return nil
}

// settle makes the facts fit the parts that are there, where some are not.
func (a *assembly) settle() {
	if a.Answer != nil && a.Answer.Response.Size == 0 {
		a.Answer.HeadSize = 0
	}
	for i := range a.Attempts {
		if attempt := &a.Attempts[i]; attempt.Response.Size == 0 {
			attempt.HeadSize = 0
		}
	}
}

// abandon gives the recording at hand as far as it came: its next part is not there.
func (r *Reader) abandon() {
	a := r.current
	if a == nil {
		return
	}
	r.current = nil
	r.fresh = append(r.fresh, found{damage: &Damage{Offset: r.before + a.offset, Record: a.number, ID: a.ID, Err: errMissing}})
	r.giveAssembly(a)
}
