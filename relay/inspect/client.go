package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// Client asks the control API. Several goroutines may use it. Refusals are
// *Problem; any other error means that the agent can't be reached or went away.
type Client struct {
	http  http.Client
	local *Server // in this process: questions about many records need not go through JSON; nil: elsewhere

	dial func(context.Context) (net.Conn, error) // to the agent; nil: none runs
}

// Dial reaches the agent of a database over its socket; ErrNoAgent when none
// runs.
func Dial(ctx context.Context, database string) (*Client, error) {
	all, err := places(database, runtimeDirs())
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if !p.trusted() {
			continue
		}
		dial := func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", p.socket)
		}
		c := newClient(&http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }})
		c.dial = dial
		if err = c.hello(ctx); err == nil {
			return c, nil
		}
		c.Close()
		if !nobodyThere(err) {
			return nil, fmt.Errorf("ask the agent on %s: %w", p.socket, err)
		}
	}
	return nil, ErrNoAgent
}

// dialTimeout is how long an agent may take to say who it is. An agent that is
// stopped in a debugger must not hang a command.
const dialTimeout = 5 * time.Second

func (c *Client) hello(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	_, err := c.Status(ctx)
	return err
}

// nobodyThere says whether a connection failed because there is no socket, or
// nobody listens on it any more.
func nobodyThere(err error) bool {
	for _, cause := range []error{fs.ErrNotExist, syscall.ENOTDIR, syscall.ECONNREFUSED, wsaConnRefused} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// wsaConnRefused is ECONNREFUSED on Windows.
const wsaConnRefused = syscall.Errno(10061)

// InProcess is a client of a server in the same process, for when no agent runs.
func InProcess(s *Server) *Client {
	c := newClient(inProcess{s.Handler()})
	c.local = s
	return c
}

func newClient(t http.RoundTripper) *Client { return &Client{http: http.Client{Transport: t}} }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status says who answers.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return object[Status](c.get(ctx, "/v1/status", nil))
}

// Mask is what whoever shows bytes must hide besides the defaults.
func (c *Client) Mask(ctx context.Context) (mask.Names, error) {
	return object[mask.Names](c.get(ctx, "/v1/mask", nil))
}

// Records lists records.
func (c *Client) Records(ctx context.Context, q Query) iter.Seq2[Record, error] {
	return lines[Record](func() (*http.Response, error) { return c.get(ctx, "/v1/records", q.values()) })
}

// Record is one record, by its id, a unique ending of it, last, or last~N.
func (c *Client) Record(ctx context.Context, name string, unmasked bool) (Record, error) {
	v := url.Values{}
	reveal(v, unmasked)
	return object[Record](c.get(ctx, recordPath(name, ""), v))
}

// Raw is the exact bytes of a record. The caller closes it.
func (c *Client) Raw(ctx context.Context, name string) (io.ReadCloser, error) {
	return stream(c.get(ctx, recordPath(name, "/raw"), nil))
}

// Body is the decoded body of a record. The caller closes it.
func (c *Client) Body(ctx context.Context, name string) (io.ReadCloser, error) {
	return stream(c.get(ctx, recordPath(name, "/body"), nil))
}

// Answer is the exact bytes that the sender got. The caller closes it.
func (c *Client) Answer(ctx context.Context, name string) (io.ReadCloser, error) {
	return stream(c.get(ctx, recordPath(name, "/answer"), nil))
}

// Request is the exact bytes that an attempt sent. The caller closes it.
func (c *Client) Request(ctx context.Context, name string, attempt int) (io.ReadCloser, error) {
	return stream(c.get(ctx, recordPath(name, "/attempts/"+strconv.Itoa(attempt)+"/request"), nil))
}

// Response is the exact bytes of the response to an attempt. The caller closes it.
func (c *Client) Response(ctx context.Context, name string, attempt int) (io.ReadCloser, error) {
	return stream(c.get(ctx, recordPath(name, "/attempts/"+strconv.Itoa(attempt)+"/response"), nil))
}

// Attempts are the attempts for a record, in the order of their numbers. Together
// with an error it returns those that can be read.
func (c *Client) Attempts(ctx context.Context, name string, unmasked bool) ([]Attempt, error) {
	v := url.Values{}
	reveal(v, unmasked)
	return collect(lines[Attempt](func() (*http.Response, error) { return c.get(ctx, recordPath(name, "/attempts"), v) }))
}

// Family are the records that belong together with one, as a tree.
func (c *Client) Family(ctx context.Context, name string, unmasked bool) iter.Seq2[Traced, error] {
	v := url.Values{}
	reveal(v, unmasked)
	return lines[Traced](func() (*http.Response, error) { return c.get(ctx, recordPath(name, "/trace"), v) })
}

// Sources are what the tape remembers of the configured sources.
func (c *Client) Sources(ctx context.Context) ([]Source, error) {
	return collect(lines[Source](func() (*http.Response, error) { return c.get(ctx, "/v1/sources", nil) }))
}

// Tail gives records as they come, until the agent stops (which is an error:
// io.EOF or io.ErrUnexpectedEOF) or ctx ends.
func (c *Client) Tail(ctx context.Context, q TailQuery) iter.Seq2[TailLine, error] {
	return func(yield func(TailLine, error) bool) {
		for line, err := range lines[TailLine](func() (*http.Response, error) { return c.get(ctx, "/v1/tail", q.values()) }) {
			if !yield(line, err) || err != nil {
				return
			}
		}
		yield(TailLine{}, io.EOF)
	}
}

// Delete removes records from the tape, by their whole ids.
func (c *Client) Delete(ctx context.Context, ids []store.ID) (Deleted, error) {
	return object[Deleted](c.post(ctx, "/v1/delete", ids))
}

// Sign says what to change in a request so that it is as the sender of a source
// would send it now. body is the decoded one. Where the agent can't sign for the
// source, it is signed as in the tape file that record came from; "": there is no
// record.
func (c *Client) Sign(ctx context.Context, source, record string, head *wire.RequestHead, body []byte) (*provider.Signature, error) {
	path := "/v1/sources/" + segment(source) + "/signature?" + url.Values{"record": {record}}.Encode()
	g, err := object[provider.Signature](c.do(ctx, http.MethodPost, path, "application/octet-stream", message(head, body)))
	return &g, err
}

// Verify checks a request as one of a source that came at a given time; at the
// zero time its age is not checked. sawTLS says how its sender came.
func (c *Client) Verify(ctx context.Context, source string, head *wire.RequestHead, body []byte, at time.Time, sawTLS bool) (Verified, error) {
	v := url.Values{"tls": {strconv.FormatBool(sawTLS)}}
	if !at.IsZero() {
		v.Set("time", at.UTC().Format(time.RFC3339Nano))
	}
	path := "/v1/sources/" + segment(source) + "/verification?" + v.Encode()
	return object[Verified](c.do(ctx, http.MethodPost, path, "application/octet-stream", message(head, body)))
}

// message is a request as it is posted: its head, then the decoded body.
func message(head *wire.RequestHead, body []byte) io.Reader {
	return io.MultiReader(strings.NewReader(head.Raw), bytes.NewReader(body))
}

// Recheck judges refused records again and delivers those that pass: those that
// are named, or if none is, those that the filter chooses. With dry nothing is
// changed.
func (c *Client) Recheck(ctx context.Context, names []string, f Filter, dry bool) iter.Seq2[Rejudged, error] {
	return lines[Rejudged](func() (*http.Response, error) {
		v := f.values()
		v["record"] = names
		if dry {
			v.Set("dry", "true")
		}
		return c.do(ctx, http.MethodPost, "/v1/recheck?"+v.Encode(), "", nil)
	})
}

// Backup is the whole database at one moment. The caller closes it; it ends with io.EOF only when it is whole.
func (c *Client) Backup(ctx context.Context) (io.ReadCloser, error) {
	return stream(c.get(ctx, "/v1/backup", nil))
}

// Deliveries lists deliveries.
func (c *Client) Deliveries(ctx context.Context, q DeliveryQuery) iter.Seq2[RecordDelivery, error] {
	return lines[RecordDelivery](func() (*http.Response, error) { return c.get(ctx, "/v1/deliveries", q.values()) })
}

// RetryDeliveries makes the chosen deliveries due now, and returns those that
// were not delivered already.
func (c *Client) RetryDeliveries(ctx context.Context, q DeliveryQuery) iter.Seq2[RecordDelivery, error] {
	return c.changeDeliveries(ctx, "retry", q)
}

// DropDeliveries gives up the chosen deliveries, and returns those that were
// neither delivered nor dropped already.
func (c *Client) DropDeliveries(ctx context.Context, q DeliveryQuery) iter.Seq2[RecordDelivery, error] {
	return c.changeDeliveries(ctx, "drop", q)
}

func (c *Client) changeDeliveries(ctx context.Context, verb string, q DeliveryQuery) iter.Seq2[RecordDelivery, error] {
	return lines[RecordDelivery](func() (*http.Response, error) { return c.post(ctx, "/v1/deliveries/"+verb, q) })
}

// segment is a name as one segment of a path. Even a name of dots stays a name and leads nowhere else.
func segment(name string) string {
	if strings.Trim(name, ".") == "" {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

func recordPath(name, rest string) string { return "/v1/records/" + segment(name) + rest }

func (c *Client) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, "", nil)
}

// post sends a question as JSON.
func (c *Client) post(ctx context.Context, path string, question any) (*http.Response, error) {
	text, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	return c.do(ctx, http.MethodPost, path, "application/json", bytes.NewReader(text))
}

// do asks, and turns a refusal into an error.
func (c *Client) do(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	// The host stands for whoever is at the other end of the socket.
	r, err := http.NewRequestWithContext(ctx, method, "http://hooktape"+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(r)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the URL says nothing to the user
		}
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	return nil, problemIn(response)
}

// problemIn is the refusal in a response.
func problemIn(response *http.Response) *Problem {
	problem := &Problem{}
	if err := json.NewDecoder(response.Body).Decode(problem); err != nil || problem.Message == "" {
		return &Problem{Status: response.StatusCode, Kind: Failed, Message: "the agent answered " + response.Status}
	}
	problem.Status = response.StatusCode
	return problem
}

func stream(response *http.Response, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

func object[T any](response *http.Response, err error) (v T, _ error) {
	if err != nil {
		return v, err
	}
	defer response.Body.Close()
	err = json.NewDecoder(response.Body).Decode(&v)
	return v, err
}

// lines reads NDJSON, and the error that may follow it.
func lines[T any](ask func() (*http.Response, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		response, err := ask()
		if err != nil {
			yield(none, err)
			return
		}
		defer response.Body.Close()
		decoder := json.NewDecoder(response.Body)
		for {
			var v T
			err := decoder.Decode(&v)
			if errors.Is(err, io.EOF) {
				break
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
		if problem := trailingProblem(response); problem != nil {
			yield(none, problem)
		}
	}
}

// trailingProblem is the error that follows a body which was read to its end; nil when there is none.
func trailingProblem(response *http.Response) *Problem {
	text := response.Trailer.Get(errorTrailer)
	if text == "" {
		return nil
	}
	problem := &Problem{Kind: Failed}
	if err := json.Unmarshal([]byte(text), problem); err != nil {
		problem.Message = text
	}
	return problem
}

// collect gathers what comes before an error.
func collect[T any](from iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for v, err := range from {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}
