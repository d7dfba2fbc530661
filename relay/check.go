package relay

import (
	"fmt"
	"net/http"
	"slices"
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
	reason  string      // for the operator; empty when accepted
	status  int         // of the answer; 0 when accepted
	fields  wire.Fields // of the answer, beside those every answer has
}

func (f finding) refused() bool { return f.verdict.Refused() }

// checkHead judges a request by its head alone, before a byte of its body is read. src is nil when no source matched.
func checkHead(src *config.Source, h *wire.RequestHead) finding {
	switch {
	case src == nil:
		return finding{store.NoSource, "no source takes " + mask.Target(h.Path()), http.StatusNotFound, nil}
	case !methodAllowed(src.Methods, h.Method):
		return finding{
			verdict: store.MethodNotAllowed,
			reason:  fmt.Sprintf("%s is not among %s", h.Method, strings.Join(src.Methods, ", ")),
			status:  http.StatusMethodNotAllowed,
			fields:  wire.Fields{{Name: "Allow", Value: strings.Join(src.Methods, ", ")}},
		}
	case h.Framing.Length > src.MaxBody:
		return tooLarge(src.MaxBody)
	}
	return finding{verdict: store.Accepted}
}

// methodAllowed says whether a source takes a method; no list takes all.
func methodAllowed(methods []string, method string) bool {
	return len(methods) == 0 || slices.Contains(methods, method)
}

func tooLarge(max int64) finding {
	return finding{store.TooLarge, fmt.Sprintf("the body is larger than max_body, %d bytes", max), http.StatusRequestEntityTooLarge, nil}
}

// unavailable is the finding about a request that could not be recorded: the sender has to come again.
func unavailable() finding {
	return finding{
		verdict: store.Unavailable,
		reason:  "the record could not be written",
		status:  http.StatusServiceUnavailable,
		fields:  wire.Fields{{Name: "Retry-After", Value: "30"}},
	}
}
