// Package trace says which requests belong together: by the ids that services pass on from one to the next.
package trace

import (
	"regexp"
	"strings"

	"github.com/hooktape/hooktape/relay/wire"
)

// fields are where an id is looked for, the first that is there counts.
var fields = []string{"X-Request-Id", "X-Correlation-Id", "X-Trace-Id"}

// Most is how many bytes of an id count: it is a name, not a message.
const Most = 200

// parent is a traceparent (W3C Trace Context, section 3.2.2): version, trace id, and the rest.
var parent = regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}`)

// Of is the id in the header fields of a request: the trace id of traceparent, else the X-Request-Id or its like; "" when
// there is none.
func Of(h wire.Fields) string {
	if v, ok := h.Get("traceparent"); ok {
		if m := parent.FindStringSubmatch(v); m != nil && strings.Trim(m[1], "0") != "" {
			return m[1]
		}
	}
	for _, name := range fields {
		if v, ok := h.Get(name); ok && v != "" {
			return Clip(v)
		}
	}
	return ""
}

// Clip is as much of an id as counts.
func Clip(id string) string { return id[:min(len(id), Most)] }

// suffix is what services put behind the id of the request that they work on, to tell their own calls apart: -u1, .2, :3.
var suffix = regexp.MustCompile(`[-.:_][a-z]{0,3}[0-9]{1,3}$`)

// Base is an id without such a suffix; without one, it is the id.
func Base(id string) string {
	if at := suffix.FindStringIndex(id); at != nil && at[0] > 0 {
		return id[:at[0]]
	}
	return id
}

// Belongs says whether a request with an id belongs to one with the id of: they are the same, but for a suffix.
func Belongs(id, of string) bool { return of != "" && (id == of || Base(id) == of) }
