package relay

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// refusedKeep is how many bytes behind the head are kept of a request that no source takes or that is too large:
// enough to see what it was, too few to fill a disk with.
const refusedKeep = 64 << 10

// finding is what a check decided: the verdict, why, and the answer of a refusal.
type finding struct {
	verdict store.Verdict
	reason  string      // for the operator; empty when accepted, unless it is so in spite of a check
	told    string      // for the sender; empty: the reason
	status  int         // of the answer; 0 when accepted
	fields  wire.Fields // of the answer, beside those every answer has
	body    []byte      // of the answer to a handshake, or of a refusal that says more than its reason; nil: a line of text
	unread  bool        // the body was not asked for, and won't be
	ended   bool        // the sender has ended the connection, or its half of it
	proven  bool        // of a handshake: the request had passed its check
}

func (f finding) refused() bool { return f.verdict.Refused() }

// countable says whether requests judged like this may be rolled up, when there are too many of them: refused ones, and
// handshakes with whoever asks. What a check of its source has refused may not: all of it is kept, since the check may have
// been wrong (a secret, a schema, a list of addresses), and it is delivered when it is judged again.
func (f finding) countable() bool {
	switch f.verdict {
	case store.NoSource, store.TooLarge, store.RateLimited, store.Malformed, store.Incomplete:
		return true
	case store.Handshake:
		return !f.proven
	}
	return f.unread
}

// checkHead judges a request by its head alone, before a byte of its body is read. src is nil when no source matched.
// remote is who sends it: an address, with or without a port; names are what reasons hide beside the defaults.
func checkHead(src *config.Source, h *wire.RequestHead, remote string, names mask.Names) finding {
	switch {
	case src == nil:
		return finding{verdict: store.NoSource, reason: "no source takes " + names.Target(h.Path()), status: http.StatusNotFound}
	case src.Allow != nil && !addressAllowed(src.Allow, remote):
		return finding{
			verdict: store.AddressNotAllowed,
			reason:  hostname(remote) + " is not among the addresses that are allowed",
			status:  http.StatusForbidden,
		}
	case !methodAllowed(src.Methods, h.Method) && !src.AsksStatus(h):
		return finding{
			verdict: store.MethodNotAllowed,
			reason:  fmt.Sprintf("%s is not among %s", h.Method, strings.Join(src.Methods, ", ")),
			status:  http.StatusMethodNotAllowed,
			fields:  wire.Fields{{Name: "Allow", Value: strings.Join(src.Methods, ", ")}},
		}
	case src.Disabled:
		return finding{verdict: store.Disabled, reason: "the source is disabled", status: http.StatusGone}
	case h.Framing.Length > src.MaxBody:
		return tooLarge(src.MaxBody)
	}
	return finding{verdict: store.Accepted}
}

// doubt is why the sender may not have got the answer though it could be written; "" when there is no reason to doubt.
// Who ends the connection before the request is whole, by closing it or only its half, can't be told from without.
func (f finding) doubt() string {
	if f.ended {
		return "the connection had ended already"
	}
	return ""
}

// addressAllowed says whether a sender is in one of the networks.
func addressAllowed(networks []netip.Prefix, remote string) bool {
	addr, err := netip.ParseAddr(hostname(remote))
	return err == nil && among(addr, networks)
}

// methodAllowed says whether a source takes a method; no list takes all.
func methodAllowed(methods []string, method string) bool {
	return len(methods) == 0 || slices.Contains(methods, method)
}

func tooLarge(max int64) finding {
	return finding{
		verdict: store.TooLarge,
		reason:  fmt.Sprintf("the body is larger than max_body, %d bytes", max),
		status:  http.StatusRequestEntityTooLarge,
	}
}

// unwritten is the finding about a request that could not be recorded.
func unwritten() finding { return unavailable(30, "the record could not be written") }

// unavailable is the finding about a request that can't be taken now: the sender has to come again, in so many seconds.
func unavailable(seconds int, reason string) finding {
	return finding{
		verdict: store.Unavailable,
		reason:  reason,
		status:  http.StatusServiceUnavailable,
		fields:  wire.Fields{{Name: "Retry-After", Value: strconv.Itoa(seconds)}},
	}
}
