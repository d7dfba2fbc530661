package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
)

// showFlags are the flags of show, which choose at most one part.
type showFlags struct {
	raw, body, answer bool
	family            bool
	sent, response    int // number of the attempt; 0: none
	asJSON, reveal    bool
}

func newShow(e *env) *cobra.Command {
	var f showFlags
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show a record, exact to the byte",
		Long: `Shows a record: what came, what was decided about it, what was answered, and
what was attempted with it. ID is last, last~2 (the second before it), an id,
or any unique ending of an id. Secrets are masked unless --reveal is given;
--raw, --body, --answer, --sent and --response print the exact bytes.`,
		Example: `  hooktape show last
  hooktape show 8Q2F4K --raw > request.http
  hooktape show last~1 --body | jq .`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return misused("hooktape show last", "%s takes the id of one record, got %d", c.CommandPath(), len(args))
		},
		RunE: func(c *cobra.Command, args []string) error {
			if chosen(f.raw, f.body, f.answer, f.asJSON && !f.family, f.family, f.sent != 0, f.response != 0) > 1 {
				return misused("", "give one of --raw, --body, --answer, --sent, --response, --trace and --json")
			}
			t, err := e.openTape(c.Context(), toRead)
			if err != nil {
				return err
			}
			defer t.Close()
			s := &shower{e, t.Client, args[0], f.reveal}
			return s.show(c.Context(), &f)
		},
	}
	c.Flags().BoolVar(&f.raw, "raw", false, "the exact bytes of the record")
	c.Flags().BoolVar(&f.body, "body", false, "the exact bytes of the body, without chunk framing")
	c.Flags().BoolVar(&f.answer, "answer", false, "the exact bytes of the answer")
	c.Flags().BoolVar(&f.family, "trace", false, "the records linked to it, as a tree: the calls that the app made because of it, with times")
	c.Flags().IntVar(&f.sent, "sent", 0, "the exact bytes sent in the attempt with this `number`")
	c.Flags().IntVar(&f.response, "response", 0, "the exact bytes of the response to the attempt with this `number`")
	jsonFlag(c, &f.asJSON)
	revealFlag(c, &f.reveal)
	return c
}

// numbered is a question about the attempt of that number.
func numbered(ask func(context.Context, string, int) (io.ReadCloser, error), number int) func(context.Context, string) (io.ReadCloser, error) {
	return func(ctx context.Context, name string) (io.ReadCloser, error) { return ask(ctx, name, number) }
}

func chosen(flags ...bool) (n int) {
	for _, flag := range flags {
		if flag {
			n++
		}
	}
	return n
}

// shower shows one record in one of its forms.
type shower struct {
	env    *env
	client *inspect.Client
	name   string
	reveal bool
}

// show prints the part asked for, or else the whole page.
func (s *shower) show(ctx context.Context, f *showFlags) error {
	switch {
	case f.raw:
		return s.bytes(ctx, s.client.Raw)
	case f.body:
		return s.bytes(ctx, s.client.Body)
	case f.answer:
		return s.bytes(ctx, s.client.Answer)
	case f.family:
		return s.family(ctx, f.asJSON)
	case f.sent != 0:
		return s.bytes(ctx, numbered(s.client.Request, f.sent))
	case f.response != 0:
		return s.bytes(ctx, numbered(s.client.Response, f.response))
	case f.asJSON:
		return s.json(ctx)
	}
	return s.page(ctx)
}

// bytes prints bytes exactly, except on a terminal, which hostile bytes could take
// over.
func (s *shower) bytes(ctx context.Context, open func(context.Context, string) (io.ReadCloser, error)) error {
	r, err := open(ctx, s.name)
	if err != nil {
		return apiError("show", err)
	}
	defer r.Close()
	if isTerminal(s.env.stdout) {
		return s.safely(r)
	}
	if _, err := io.Copy(s.env.stdout, r); err != nil {
		return cannot("", "show: %w", err)
	}
	return nil
}

// safely prints bytes, escaping those that do not belong on a terminal.
func (s *shower) safely(r io.Reader) error {
	changed, err := copySafely(s.env.stdout, r)
	if changed {
		fmt.Fprintln(s.env.stderr, "hint: some bytes are shown as escapes; send the output to a file or a pipe to get them as they are")
	}
	if err != nil {
		return cannot("", "show: %w", err)
	}
	return nil
}

// json prints the record and what was tried with it.
func (s *shower) json(ctx context.Context) error {
	r, err := s.client.Record(ctx, s.name, s.reveal)
	if err != nil {
		return apiError("show", err)
	}
	attempts, err := s.client.Attempts(ctx, r.ID.String(), s.reveal)
	if attempts == nil {
		attempts = []inspect.Attempt{}
	}
	printed := s.env.printJSON(struct {
		inspect.Record
		Attempts []inspect.Attempt `json:"attempts"`
	}{r, attempts})
	return errors.Join(printed, damaged(&r, err))
}

// page gathers what the page shows and prints it.
func (s *shower) page(ctx context.Context) error {
	p := &page{now: s.env.now(), ink: s.env.inkFor(s.env.stdout), reveal: s.reveal}
	var err error
	if p.names, err = s.client.Mask(ctx); err != nil {
		return apiError("show", err)
	}
	if p.record, err = s.client.Record(ctx, s.name, s.reveal); err != nil {
		return apiError("show", err)
	}
	id := p.record.ID.String()
	var unread [3]error
	p.attempts, unread[0] = s.client.Attempts(ctx, id, s.reveal)
	if p.request, unread[1] = readMessage(ctx, s.client.Raw, id, requestHead); p.request == nil {
		return apiError("show", unread[1])
	}
	if p.record.Answer != nil {
		p.answer, unread[2] = readMessage(ctx, s.client.Answer, id, responseHead(p.record.Method))
	}
	_, err = io.WriteString(s.env.stdout, p.String())
	return errors.Join(err, damaged(&p.record, unread[:]...))
}

// damaged says what of a record can't be read, once the rest was shown.
func damaged(r *inspect.Record, unread ...error) error {
	what := slices.Clone(r.Damage)
	for _, err := range unread {
		if errors.Is(err, context.Canceled) {
			return err
		}
		if err != nil {
			what = append(what, err.Error())
		}
	}
	if len(what) == 0 {
		return nil
	}
	return cannot("hooktape check --data FILE reads the whole tape", "show: not all of it can be read: %s", strings.Join(what, "; "))
}
