// Package inspect is the control API: how the commands look into a tape and
// act on it. It is HTTP with JSON over the Unix socket beside the database
// while an agent runs, and the same handler in process when none does, so that
// every command works the same either way.
//
// Lists and streams are NDJSON, one object a line. An error that comes when
// part of a list is already sent travels in the trailer Hooktape-Error.
package inspect

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/hooktape/hooktape/store"
)

// Server answers the control API from a store. Set the fields, then use
// Handler or Serve; it may be used by many requests at once.
type Server struct {
	Store  *store.Store
	Signer Signer // nil: nothing can be signed
	// Verifier checks requests; nil: they can't be checked.
	Verifier Verifier
	// Rewriter rewrites requests; nil: nobody knows how.
	Rewriter Rewriter
	Agent    Agent // nil: no agent runs; a command has opened the store itself
	Setup    Setup // nil: no configuration is known
	// Known replaces what the tape remembers of a configuration; nil: use that.
	Known *Known

	Tapes      Tapes            // nil: there are no tape files
	Subscriber Subscriber       // nil: no configuration is known
	Started    time.Time        // when the agent began; records from before it that have no answer will not get one
	Version    string           // of the program
	Now        func() time.Time // nil: time.Now

	joined sync.WaitGroup // counts the connections that lead through tunnels

	making sync.Mutex // held while sources are read or changed: calls of Setup come one at a time
}

// Agent is what the control API needs of a running agent. Its methods are
// called from many goroutines at once.
type Agent interface {
	// Watch reports every record from now on, once it is answered or refused
	// and on its way into the store (Store.Sync waits for it). A slow watcher
	// loses events, and is told how many; the agent never waits for it. stop
	// ends the watch and must be called.
	Watch(buffer int) (events <-chan Event, stop func())
	// Recheck judges a refused record again, under the present configuration, and
	// delivers it if it passes. With dry nothing is changed. The error says why
	// the record can't be judged.
	Recheck(id store.ID, dry bool) (Rejudged, error)
	// Wake makes the agent look at the deliveries of a target again, after
	// they were changed in the store. It returns at once.
	Wake(source, target string)
	// Told waits until the answers that senders are getting now are on their way
	// into the store, or ctx ends.
	Told(ctx context.Context)
	// Away says whether a target counts as away: its deliveries wait until it
	// is back.
	Away(source, target string) bool
	// Laptop is the far end of a tunnel; nil: there is no such tunnel.
	Laptop(tunnel string) *Laptop
	// Through opens a connection to the laptop of a tunnel that is a target, for
	// one request: that of a record which is sent again. It lasts no longer than
	// the agent; the caller closes it.
	Through(ctx context.Context, id store.ID, source, target string) (net.Conn, error)
}

// Event says that nothing more will happen to a record on its sender's side.
type Event struct {
	Record store.ID
	Lost   int // events lost since the last one because the watcher was slow
}

// Handler is the API itself.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, answer := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /v1/status":                                    s.status,
		"GET /v1/mask":                                      s.mask,
		"GET /v1/sources":                                   s.listSources,
		"POST /v1/sources":                                  s.createSource,
		"POST /v1/sources/{name}/{verb}":                    s.changeSource,
		"POST /v1/sources/{name}/subscribe":                 s.subscribe,
		"POST /v1/sources/{name}/unsubscribe":               s.unsubscribe,
		"POST /v1/sources/{name}/signature":                 s.sign,
		"POST /v1/sources/{name}/verification":              s.verify,
		"POST /v1/sources/{name}/rewriting":                 s.rewrite,
		"GET /v1/tokens":                                    s.listTokens,
		"POST /v1/tokens":                                   s.createToken,
		"POST /v1/tokens/{name}/revoke":                     s.revokeToken,
		"GET /v1/records":                                   s.records,
		"GET /v1/records/{name}":                            s.record,
		"GET /v1/records/{name}/raw":                        s.raw,
		"GET /v1/records/{name}/body":                       s.body,
		"GET /v1/records/{name}/answer":                     s.answer,
		"GET /v1/records/{name}/trace":                      s.family,
		"POST /v1/records/{name}/through":                   s.through,
		"GET /v1/records/{name}/attempts":                   s.attempts,
		"GET /v1/playable":                                  s.playable,
		"POST /v1/attempts":                                 s.addAttempts,
		"GET /v1/records/{name}/attempts/{number}/request":  s.request,
		"GET /v1/records/{name}/attempts/{number}/response": s.response,
		"GET /v1/sessions":                                  s.listSessions,
		"GET /v1/room":                                      s.room,
		"POST /v1/sessions/{name}/{verb}":                   s.changeSession,
		"POST /v1/delete":                                   s.delete,
		"POST /v1/recheck":                                  s.recheck,
		"GET /v1/backup":                                    s.backup,
		"POST /v1/export":                                   s.exportTape,
		"POST /v1/import":                                   s.importTape,
		"GET /v1/tail":                                      s.tail,
		"GET /v1/deliveries":                                s.deliveries,
		"POST /v1/deliveries/{verb}":                        s.changeDeliveries,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := answer(w, r); err != nil {
				fail(w, err)
			}
		})
	}
	return mux
}

// Status describes who serves the API.
type Status struct {
	Agent   bool   `json:"agent"` // false: a command that has opened the store itself
	Version string `json:"version"`
	PID     int    `json:"pid"`
	Started Time   `json:"started"`
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) error {
	return reply(w, Status{s.Agent != nil, s.Version, os.Getpid(), Time{s.Started}})
}

func (s *Server) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// reply sends one object.
func reply(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}
