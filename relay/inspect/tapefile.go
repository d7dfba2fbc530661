package inspect

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/hooktape/hooktape/store"
)

// Tapes writes and reads tape files. Its methods are called by many goroutines at once.
type Tapes interface {
	// Write writes a verbatim tape file of the records with all that belongs to them. session says what the file is
	// about; it may be empty. What can't be read is reported to damaged, and the rest is written; an error from damaged
	// ends it.
	Write(w io.Writer, session store.Session, records iter.Seq[*store.Record], damaged func(error) error) error
	// Read puts what is in a tape file onto the tape. What can't be read is reported in the result. The error is that of
	// the tape, or says that it is no tape file; the result then says at least which session it was meant for.
	Read(r io.Reader, q ImportQuery) (Imported, error)
}

// ImportQuery says how to import a tape file.
type ImportQuery struct {
	Session   string // the name of the session to make; "": the file's own name for it, else Otherwise
	Otherwise string
	Force     bool  // a session that is there already is forgotten first
	Add       bool  // a session that is there already keeps its records and gets these too
	Largest   int64 // the most bytes of a message, and of what must be in memory; 0: the default for tape files
}

// Imported says what was put onto the tape.
type Imported struct {
	Session string `json:"session"` // "" when there was nothing to put into one
	Records int    `json:"records"`
	Bytes   int64  `json:"bytes"`           // of the requests, answers and responses
	Masked  bool   `json:"masked"`          // the file says that its secrets are fakes
	Alone   int    `json:"alone,omitempty"` // responses of other tools whose request is not in the file
	Other   int    `json:"other,omitempty"` // records of other tools that are neither request nor response
	// Kinds counts the Other ones by kind.
	Kinds   map[string]int `json:"kinds,omitempty"`
	Damage  []string       `json:"damage,omitempty"`  // what can't be read, and where: the first few places
	Damaged int            `json:"damaged,omitempty"` // how many places there are
	Large   int            `json:"large,omitempty"`   // how many of them were larger than accepted
}

// damageTold is how many places of a damaged file are reported. The first one says where it broke.
const damageTold = 10

// AddDamage counts something that can't be read.
func (m *Imported) AddDamage(err error) {
	if m.Damaged++; len(m.Damage) < damageTold {
		m.Damage = append(m.Damage, err.Error())
	}
}

// exportTape sends the named records, or else those that the query chooses, as a tape file. Damaged ones are named after
// it.
func (s *Server) exportTape(w http.ResponseWriter, r *http.Request) error {
	p := parser{Values: r.URL.Query()}
	chosen, err := s.choose(p.filter())
	if err := errors.Join(p.err, err); err != nil {
		return err
	}
	var names []string
	if err := json.NewDecoder(r.Body).Decode(&names); err != nil {
		return refuse(Misused, "read the question: %s", err)
	}
	var session store.Session
	if chosen.Session != "" {
		if session, err = s.Store.Session(chosen.Session); err != nil {
			return sessionProblem(chosen.Session, err)
		}
	}
	if err := s.upToNow(r.Context()); err != nil {
		return err
	}
	records := s.taken(r.Context(), chosen, chosen.scan())
	if len(names) > 0 {
		if records, err = s.byName(names); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "application/warc")
	w.Header().Set("Trailer", errorTrailer)
	list := &listWriter{ResponseWriter: w}
	if err := cmp.Or(s.writeTape(r.Context(), list, session, records), s.stillThere(chosen.Session)); err != nil {
		fail(list, err)
	}
	return nil
}

// stillThere says so if a session whose records were read is gone: its records may have ended too early then. "" is no session.
func (s *Server) stillThere(session string) error {
	if session == "" {
		return nil
	}
	if _, err := s.Store.Session(session); err != nil {
		return refuse(NoSession, "session %q was deleted during the export: records are missing at its end", session)
	}
	return nil
}

func (s *Server) writeTape(ctx context.Context, w io.Writer, session store.Session, from iter.Seq2[*store.Record, error]) error {
	var lost damage
	var failed error
	records := func(yield func(*store.Record) bool) {
		for rec, err := range from {
			if failed = cmp.Or(lost.passOver(err), ctx.Err()); failed != nil {
				return
			}
			if err == nil && !yield(rec) {
				return
			}
		}
	}
	err := s.Tapes.Write(w, session, records, lost.passOver)
	return cmp.Or(failed, err, ctx.Err(), lost.err())
}

// endingReader fails once its context has ended: in process, nobody closes the body when its reader gives up.
type endingReader struct {
	ctx context.Context
	io.Reader
}

func (r *endingReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// importTape puts a tape file onto the tape, and answers with the result once it is on disk.
func (s *Server) importTape(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	q := ImportQuery{Session: v.Get("session"), Otherwise: v.Get("otherwise"), Force: v.Get("force") == "true", Add: v.Get("add") == "true"}
	q.Largest, _ = strconv.ParseInt(v.Get("largest"), 10, 64) // 0: not given
	from := &endingReader{r.Context(), r.Body}
	done, err := s.Tapes.Read(from, q)
	if err != nil {
		// Otherwise a client that still sends would see a broken connection, and no reason.
		_, _ = io.Copy(io.Discard, from)
		return sessionProblem(done.Session, err)
	}
	return reply(w, done)
}

// Export is a tape file of the records with these names or, without names, of those that the filter chooses: WARC,
// verbatim and without digests. It ends with io.EOF only when it is whole, and with a *Problem when records could not be
// read. The caller closes it.
func (c *Client) Export(ctx context.Context, names []string, f Filter) (io.ReadCloser, error) {
	response, err := c.post(ctx, "/v1/export?"+f.values().Encode(), names)
	if err != nil {
		return nil, err
	}
	return &trailed{response.Body, response}, nil
}

// trailed reads a body, and then the error that may follow it.
type trailed struct {
	io.ReadCloser
	response *http.Response
}

func (t *trailed) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err == io.EOF {
		if problem := trailingProblem(t.response); problem != nil {
			err = problem
		}
	}
	return n, err
}

// Import puts a tape file of any format onto the tape.
func (c *Client) Import(ctx context.Context, file io.Reader, q ImportQuery) (Imported, error) {
	v := url.Values{"session": {q.Session}, "otherwise": {q.Otherwise}}
	if q.Force {
		v.Set("force", "true")
	}
	if q.Add {
		v.Set("add", "true")
	}
	if q.Largest > 0 {
		v.Set("largest", strconv.FormatInt(q.Largest, 10))
	}
	return object[Imported](c.do(ctx, http.MethodPost, "/v1/import?"+v.Encode(), "application/octet-stream", file))
}
