package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/replay"
	tapefile "github.com/hooktape/hooktape/replay/tape"
	"github.com/hooktape/hooktape/store"
)

// mocking is one call of mock.
type mocking struct {
	*env
	rules   ruleFlags
	session string
	listen  string
	match   []string
	latency string
	missing string
	cut     string
	reveal  bool
	asJSON  bool

	path   string // of the tape file; "": a session is used
	names  mask.Names
	tape   *replay.Tape
	saving sync.Mutex // held while a missing response is saved
}

// mockAddress is where a mock receives by default: beside the agent's own ports.
const mockAddress = "127.0.0.1:7072"

func newMock(e *env) *cobra.Command {
	m := &mocking{env: e}
	c := &cobra.Command{
		Use:   "mock TAPE | --session NAME",
		Short: "Answer requests with recorded responses",
		Long: `Answers requests with the recorded responses of a tape file or a session, byte
for byte: an app that called a service through hooktape gets that service's
responses, a client that calls the app gets the app's.

A request matches a recorded one if method, path, query and body are the same,
or the parts that --match names; --ignore excludes more. If a request was
recorded several times, its responses are given in order, then the last one
repeats. A request that was not recorded gets 404, with the nearest recordings
and how they differ: as text, or as JSON if Accept asks for it.

--record-missing forwards such requests to a URL, and adds the responses to the
tape file, which is created if there is none, or to the session. The path of
URL is put before theirs, or replaces --strip-prefix; requests whose path does
not begin with that prefix are not forwarded.

When it is stopped, the exit code is 130, or 3 if the tape file is damaged, so
that only its readable part was used.`,
		Example: `  hooktape mock checkout.warc.gz
  hooktape mock --session checkout --listen 127.0.0.1:9000 --match method,path,json.order.id
  hooktape mock api.warc.gz --record-missing https://api.example.com --ignore query.timestamp`,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) > 1, len(args) == 1 && m.session != "", len(args) == 0 && m.session == "":
				return misused("usage: "+c.UseLine(), "%s takes a tape file or a session", c.CommandPath())
			case len(args) == 1:
				m.path = args[0]
			}
			return m.run(c.Context())
		},
	}
	flags := c.Flags()
	flags.Var(filled{&m.session}, "session", "answer with the records of this session")
	m.listen = mockAddress
	flags.Var(filled{&m.listen}, "listen", "host:port to receive on; port 0 takes any free one")
	flags.StringSliceVar(&m.match, "match", nil, "parts that requests are matched by: method, path, query, query.page, body, header.x-tenant, json.order.id, form.event (default method,path,query,body)")
	flags.StringVar(&m.latency, "latency", "none", "wait before each response: none, recorded (as long as it took then), or a multiple of that like 0.5x")
	flags.Var(filled{&m.missing}, "record-missing", "forward requests that were not recorded to this URL, and record the responses")
	flags.StringVar(&m.cut, "strip-prefix", "", "with --record-missing: path prefix that the path of URL replaces: /crm")
	m.rules.add(c)
	jsonFlag(c, &m.asJSON)
	revealFlag(c, &m.reveal)
	return c
}

func (m *mocking) run(ctx context.Context) error {
	o := replay.MockOptions{Match: m.match, Told: m.print}
	var err error
	if o.Latency, err = latency(m.latency); err != nil {
		return err
	}
	if _, err := replay.NewMatching(m.match, nil); err != nil {
		return misused("parts are method, path, query, query.page, body, header.x-tenant, json.order.id, form.event", "--match %w", err)
	}
	switch {
	case m.missing == "" && m.cut != "":
		return misused("--record-missing URL forwards them", "--strip-prefix is for requests that are forwarded, and none are")
	case m.cut != "" && !strings.HasPrefix(m.cut, "/"):
		return misused("as in --strip-prefix /crm", "--strip-prefix %q does not begin with /", m.cut)
	case m.missing != "":
		to, err := appURL(m.missing)
		if err != nil {
			return err
		}
		waits := timeouts(replayTimeout)
		waits.Total = wholeMost // a stream of events can't be a recording
		o.Missing, o.Keep = &replay.Aim{Route: wire.Route{URL: to, Prefix: m.cut}, Timeouts: waits}, func(r *tapefile.Recording) error { return m.keep(ctx, r) }
	}
	if err := m.read(ctx); err != nil {
		return err
	}
	defer m.tape.Close()
	if err := m.mayKeep(); err != nil {
		return err
	}
	if o.Rules, err = m.rules.rules(m.names, m.reveal); err != nil {
		return err
	}
	mock, err := replay.NewMock(m.tape, o)
	if err != nil {
		return cannot("", "mock: %w", err)
	}
	defer mock.Close()
	if n, _ := mock.Recordings(); n == 0 && m.missing == "" {
		return &failure{exitNotSo, fmt.Errorf("mock: %s has no recorded response", m.name()), "--record-missing URL forwards requests, and records the responses"}
	}
	return m.serve(ctx, mock)
}

// mayKeep checks first of all whether the tape file can take what is missing: in WARC, as bytes come.
func (m *mocking) mayKeep() error {
	switch form := formOf(m.path); {
	case m.missing == "" || m.path == "":
		return nil
	case form != formWARC && form != formWARCGz:
		return misused("hooktape import and export make a .warc.gz of it", "--record-missing writes into TAPE, and %s is no .warc or .warc.gz", m.path)
	case m.tape.Info().Masked:
		return misused("name another TAPE, and export that with --mask", "--record-missing would write secrets into %s, which is masked", m.path)
	}
	if err := tapefile.Appendable(m.path); err != nil {
		return misused("hooktape import and export make a .warc.gz of it", "--record-missing writes into TAPE: %s: %w", m.path, err)
	}
	return nil
}

// latency reads how much of the recorded time to wait.
func latency(text string) (float64, error) {
	switch text {
	case "none":
		return 0, nil
	case "recorded":
		return 1, nil
	}
	const most = 1000 // times slower: more must be a typing error
	part, isPart := strings.CutSuffix(text, "x")
	n, err := strconv.ParseFloat(part, 64)
	if !isPart || err != nil || !(n >= 0 && n <= most) {
		return 0, misused("none, recorded, or a part of it like 0.5x", "--latency %q is no latency", text)
	}
	return n, nil
}

// name says for people what the mock answers with.
func (m *mocking) name() string {
	if m.path == "" {
		return "session " + m.session
	}
	return m.path
}

// read reads the tape file, or the session.
func (m *mocking) read(ctx context.Context) (err error) {
	if m.path == "" {
		return m.readSession(ctx)
	}
	if m.config != "" { // what it masks is masked in a tape file too
		cfg, err := m.loadConfig()
		if err != nil {
			return err
		}
		m.names = cfg.Mask
	}
	m.tape, err = replay.OpenTape(m.path)
	if m.missing != "" && errors.Is(err, fs.ErrNotExist) {
		m.tape, err = replay.NewTape()
	}
	if err != nil {
		return cannot("hooktape export writes tape files", "mock: %w", err)
	}
	first, all := m.tape.Damage()
	for _, damage := range first {
		fmt.Fprintf(m.stderr, "hooktape: %s: %s\n", clean(m.path), cleanLines(damage.Error()))
	}
	if all > 0 {
		fmt.Fprintf(m.stderr, "hooktape: %s can't be read; the rest is used\n", count(all, "place", "places"))
	}
	return nil
}

func (m *mocking) readSession(ctx context.Context) error {
	t, err := m.openTape(ctx, toRead)
	if err != nil {
		return err
	}
	defer t.Close()
	if m.names, err = t.Mask(ctx); err != nil {
		return apiError("mock", err)
	}
	from, err := t.Export(ctx, nil, inspect.Filter{Session: m.session})
	if err != nil {
		return apiError("mock", err)
	}
	defer from.Close()
	if m.tape, err = replay.ReadTape(from); err != nil {
		return cannot("", "mock: %w", err)
	}
	return nil
}

// mockGrace is how long answers under way may take when the mock is stopped.
const mockGrace = 5 * time.Second

func (m *mocking) serve(ctx context.Context, mock *replay.Mock) error {
	l, err := net.Listen("tcp", m.listen)
	if err != nil {
		return cannot("choose another address with --listen", "%w", err)
	}
	answering, left := mock.Recordings()
	text := fmt.Sprintf("answers %s of %s", counted(answering, "recording"), clean(m.name()))
	if left > 0 {
		text += fmt.Sprintf("; %s no response", count(left, "other has", "others have"))
	}
	fmt.Fprintf(m.stdout, "receiving on http://%s\n%s\n", l.Addr(), text)
	server := &wire.Server{Serve: func(x *wire.Exchange) { mock.Serve(ctx, x) }, Panicked: func(value any, stack []byte) {
		m.warn("request could not be answered", "panic", value, "stack", string(stack))
	}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), mockGrace)
		defer cancel()
		_ = server.Shutdown(grace) // clients that are cut off notice
	}()
	if err := server.Run(l); !errors.Is(err, wire.ErrServerClosed) {
		return cannot("", "%w", err)
	}
	<-ended
	if _, damaged := m.tape.Damage(); damaged > 0 {
		return cannot("the part of it that can be read was used", "mock: %s is damaged", m.name())
	}
	return ctx.Err()
}

// mockedJSON is a request to a mock as JSON shows it.
type mockedJSON struct {
	Time     inspect.Time         `json:"time"`
	Method   string               `json:"method"`
	Path     string               `json:"path"`
	Status   int                  `json:"status"` // 0: it was not answered
	Size     int64                `json:"size"`
	Duration inspect.Milliseconds `json:"duration_ms"`
	ID       string               `json:"id,omitempty"` // of the recording
	Missing  bool                 `json:"missing"`      // it was not recorded; if there is an id, it is now
	Error    string               `json:"error,omitempty"`
}

// print prints a line about a request.
func (m *mocking) print(t replay.Told) {
	path := t.Target
	if !m.reveal {
		path = m.names.Target(path)
	}
	m.saving.Lock() // one line at a time
	defer m.saving.Unlock()
	if m.asJSON {
		line := mockedJSON{inspect.Time{Time: t.Time}, t.Method, path, t.Status, t.Size, inspect.Milliseconds(t.Duration), t.ID, t.Missing, ""}
		if t.Err != nil {
			line.Error = t.Err.Error()
		}
		_ = m.printJSON(line) // fails when nobody reads any more
		return
	}
	i := m.inkFor(m.stdout)
	name := t.ID
	if id, err := store.ParseID(t.ID); err == nil {
		name = ending(id)
	}
	switch {
	case t.Err != nil:
		name = i.red(cleanLines(t.Err.Error()))
	case t.Missing && t.ID == "":
		name = i.yellow("missing")
	case t.Missing:
		name = i.yellow("recorded")
	}
	l := recordLine{Time: t.Time, Method: t.Method, Path: path, Status: t.Status, Duration: t.Duration, Size: t.Size, Name: name}
	fmt.Fprint(m.stdout, i.line(l, terminalWidth(m.stdout)))
}

// keep adds what was missing to the session, or to the end of the file.
func (m *mocking) keep(ctx context.Context, r *tapefile.Recording) error {
	m.saving.Lock()
	defer m.saving.Unlock()
	if m.path != "" {
		return tapefile.Append(m.path, m.tape.Info(), r)
	}
	t, err := m.openTape(ctx, toWrite)
	if err != nil {
		return err
	}
	defer t.Close()
	from, to := io.Pipe()
	go func() { to.CloseWithError(writeTape(to, m.tape.Info(), r)) }()
	defer from.Close() // the writer ends with its reader
	_, err = t.Import(ctx, from, inspect.ImportQuery{Session: m.session, Add: true})
	return err
}

// writeTape writes a tape file of one recording.
func writeTape(to io.Writer, info tapefile.Info, r *tapefile.Recording) error {
	w := tapefile.NewWriter(to, info)
	return errors.Join(w.Write(r), w.Close())
}
