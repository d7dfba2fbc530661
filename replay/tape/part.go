package tape

import (
	"bytes"
	"cmp"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
)

// warcPart is a WARC record that was read.
type warcPart struct {
	*warcHead
	block  Block
	offset int64
	sound  bool  // its digest holds
	bad    error // its digest does not hold, or it is too large
}

// checkPayload is for records whose payload alone has a digest. Writers don't agree whether it is that of the bytes before
// or behind the transfer coding, so that of a chunked message says nothing.
func (p *warcPart) checkPayload() error {
	payload := newDigest(p.get(fieldPayloadDigest))
	if payload == nil || !p.isHTTP() {
		return nil
	}
	start, err := p.block.Start(headMax)
	if err != nil {
		return err
	}
	end := wire.HeadEnd(start, 0)
	if end < 0 || bytes.Contains(bytes.ToLower(start[:end]), []byte("transfer-encoding")) {
		return nil
	}
	if err := p.block.writeTo(&behind{skip: end, to: payload}); err != nil {
		return err
	}
	if !payload.holds() {
		return wrongDigest(fieldPayloadDigest)
	}
	return nil
}

func (p *warcPart) isType(name string) bool { return strings.EqualFold(p.get(fieldType), name) }

func (p *warcPart) isContent(name string) bool { return sameType(p.get(fieldContentType), name) }

// sameType says whether two content types are the same, whatever their case and spaces.
func sameType(a, b string) bool {
	return a == b || strings.EqualFold(strings.ReplaceAll(a, " ", ""), strings.ReplaceAll(b, " ", ""))
}

// isHTTP says whether the block is a message. WARC files also have DNS lookups and the like.
func (p *warcPart) isHTTP() bool {
	if !p.isType("request") && !p.isType("response") || p.get(fieldSegment) != "" { // a segment is no whole message
		return false
	}
	kind := p.content()
	return kind == "application/http" || kind == "" && strings.HasPrefix(strings.Trim(p.get(fieldTarget), "<>"), "http")
}

// content is the type of the block, without parameters.
func (p *warcPart) content() string {
	kind, _, _ := strings.Cut(p.get(fieldContentType), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// kind says to people what a WARC record is that is passed over.
func (p *warcPart) kind() string {
	switch kind := strings.ToLower(p.get(fieldType)); {
	case kind == "":
		return "without a type"
	case p.get(fieldSegment) != "":
		return "segment"
	case kind == "request" || kind == "response" || kind == "resource":
		return kind + " of " + cmp.Or(p.content(), "no type")
	default:
		return kind
	}
}

// wanted says whether the block is needed.
func (p *warcPart) wanted() bool {
	return p.isHTTP() || p.isType("warcinfo") || p.get(fieldPart) != "" || p.isContent(typeTape) || p.isContent(typeRecording)
}

// time is WARC-Date; zero where it is none.
func (p *warcPart) time() Time {
	t, _ := time.Parse(time.RFC3339Nano, p.get(fieldDate))
	return Time{t}
}
