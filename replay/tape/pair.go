package tape

import (
	"cmp"
	"slices"
	"strings"
)

// halvesMax is how many requests and responses wait for their other half. Tools write the two beside each other, or a few
// apart where they fetch side by side.
const halvesMax = 64

// waitingMax is how many bytes may wait for their other half.
const waitingMax = 256 << 20

// half is a request or response of another tool.
type half struct {
	*warcPart
	isRequest bool
}

// standsAlone says whether a message can be read without the metadata that hooktape has of it, which may be damaged.
func (p *warcPart) standsAlone() bool {
	part := p.get(fieldPart)
	return part == "" || part == partRequest || part == partAnswer
}

// pair puts a message together with its other half, or keeps it until that comes.
func (r *Reader) pair(p *warcPart) {
	if p.bad != nil {
		r.damaged(p.offset, "", p.bad)
		return
	}
	h := &half{p, p.isType("request")}
	i := slices.IndexFunc(r.halves, h.fits)
	if i < 0 {
		r.halves = append(r.halves, h)
		r.flush(halvesMax)
		for len(r.halves) > 1 && r.waiting() > waitingMax {
			r.flush(len(r.halves) - 1)
		}
		return
	}
	other := r.halves[i]
	r.halves = slices.Delete(r.halves, i, i+1)
	if !h.isRequest {
		h, other = other, h
	}
	r.complete(together(h, other))
}

// waiting is how many bytes wait for their other half.
func (r *Reader) waiting() (n int64) {
	for _, h := range r.halves {
		n += h.block.Size
	}
	return n
}

// fits says whether two messages belong together: one names the other, or neither names any and they are about the same.
func (h *half) fits(other *half) bool {
	switch {
	case h.isRequest == other.isRequest:
		return false
	case h.names(other) || other.names(h):
		return true
	}
	return len(h.all(fieldConcurrent))+len(other.all(fieldConcurrent)) == 0 && h.get(fieldTarget) == other.get(fieldTarget)
}

func (h *half) names(other *half) bool {
	return slices.Contains(h.all(fieldConcurrent), other.get(fieldID))
}

// flush stops waiting for the other halves of all but the last n. Requests become recordings without an answer, and
// responses are passed over.
func (r *Reader) flush(n int) {
	for len(r.halves) > n {
		h := r.halves[0]
		r.halves = slices.Delete(r.halves, 0, 1)
		if h.isRequest {
			r.complete(together(h, nil))
		} else {
			r.skipped.Alone++
		}
	}
}

// together makes a recording. The time is the earlier one: some tools give both that of the response.
func together(request, response *half) *Recording {
	recording := &Recording{
		URL: strings.Trim(request.get(fieldTarget), "<>"), Time: request.time(), Request: request.block,
		Truncated: request.get(fieldTruncated) != "",
	}
	if response == nil {
		return recording
	}
	at := response.time()
	recording.Answer = &Answer{Time: at, Response: response.block}
	if why := response.get(fieldTruncated); why != "" {
		recording.Answer.Error = "the file does not have all of it: " + oneLine(why)
	}
	if !at.IsZero() && (recording.Time.IsZero() || at.Before(recording.Time.Time)) {
		recording.Time = at
	}
	recording.Answer.Duration = max(0, int64(at.Sub(recording.Time.Time)))
	recording.URL = cmp.Or(recording.URL, strings.Trim(response.get(fieldTarget), "<>"))
	return recording
}
