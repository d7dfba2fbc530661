package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/replay"
)

// triggerFlags are the flags of trigger.
type triggerFlags struct {
	sender    senderFlags
	to        string
	publicURL string
	sets      []string
	list      bool
	asJSON    bool
	reveal    bool
}

func newTrigger(e *env) *cobra.Command {
	var f triggerFlags
	c := &cobra.Command{
		Use:   "trigger PROVIDER EVENT --to URL | --list [PROVIDER]",
		Short: "Send a sample event as its provider would",
		Long: `Sends a sample event of a provider to a URL, signed with the secret in
--secret-file, with the current time and fresh ids. The samples follow the
providers' documentation; --set changes parts of them, named by the same paths
as in expressions.

--list shows the providers and their sample events.

The exit code is 0 if the answer was a 2xx, 1 if not, and 3 if none came.`,
		Example: `  hooktape trigger --list
  hooktape trigger iiko CREATE --to http://localhost:3000/webhooks --secret-file iiko.token
  hooktape trigger stripe charge.succeeded --to http://localhost:3000 --set json.data.object.amount=50`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkPublicURL(&f.publicURL); err != nil {
				return err
			}
			if f.list {
				return f.listSamples(e, args)
			}
			return f.trigger(c.Context(), e, args)
		},
	}
	f.sender.registerKeys(c)
	c.Flags().StringVar(&f.to, "to", "", "the URL to send to")
	c.Flags().StringVar(&f.publicURL, "public-url", "", "the receiver's public URL, for providers that sign it")
	c.Flags().StringArrayVar(&f.sets, "set", nil, "PATH=VALUE, change this part: json.order.id=17, header.x-event=paid; repeatable")
	c.Flags().BoolVar(&f.list, "list", false, "show the providers and their sample events")
	jsonFlag(c, &f.asJSON)
	revealFlag(c, &f.reveal)
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return providerNames(), cobra.ShellCompDirectiveNoFileComp
		case 1:
			return eventNames(args[0]), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c
}

// sampleJSON is a sample event in a list.
type sampleJSON struct {
	Provider string `json:"provider"`
	Title    string `json:"title"`
	Event    string `json:"event"`
	Method   string `json:"method"`
	Size     int    `json:"size"`   // of the body
	Signed   bool   `json:"signed"` // with --secret-file
	Doc      string `json:"doc"`
}

// listSamples prints the providers with their events.
func (f *triggerFlags) listSamples(e *env, args []string) error {
	providers := provider.All()
	switch len(args) {
	case 0:
	case 1:
		p, err := providerNamed(args[0])
		if err != nil {
			return err
		}
		providers = []*provider.Provider{p}
	default:
		return misused("usage: hooktape trigger --list [PROVIDER]", "--list takes one provider, got %d", len(args))
	}
	t := newTable(e.stdout, e.inkFor(e.stdout), "PROVIDER", "EVENT", "METHOD", "BODY", "DOCUMENTED AT")
	t.right, t.long = []int{3}, 4
	for _, p := range providers {
		samples, err := p.Samples(e.now(), "")
		if err != nil {
			return err
		}
		for _, s := range samples {
			line := sampleJSON{p.Name, p.Title, s.Event, s.Method, len(s.Body), p.Scheme != nil, p.Doc}
			if f.asJSON {
				err = e.printJSON(line)
			} else {
				err = t.add([]cell{{text: p.Name}, {text: s.Event}, {text: s.Method}, {text: size(int64(line.Size))}, {text: p.Doc, paint: ink.dim}})
			}
			if err != nil {
				return err
			}
		}
	}
	if f.asJSON {
		return nil
	}
	return t.flush()
}

func eventNames(name string) (names []string) {
	p, ok := provider.Named(name)
	if !ok {
		return nil
	}
	samples, _ := p.Samples(time.Time{}, "") // no samples, nothing to complete
	for _, s := range samples {
		names = append(names, s.Event)
	}
	return names
}

// trigger sends one event.
func (f *triggerFlags) trigger(ctx context.Context, e *env, args []string) error {
	if len(args) != 2 || f.to == "" {
		return misused("hooktape trigger --list shows what there is", "usage: hooktape trigger PROVIDER EVENT --to URL")
	}
	p, err := providerNamed(args[0])
	if err != nil {
		return err
	}
	to, err := appURL(f.to)
	if err != nil {
		return err
	}
	request, err := f.request(e, p, args[1], to)
	if err != nil {
		return err
	}
	sender := replay.Sender{Client: new(wire.Client)}
	defer sender.Client.Close()
	aim := replay.Aim{Route: wire.Route{URL: &url.URL{Scheme: to.Scheme, Host: to.Host}}, Timeouts: timeouts(replayTimeout)}
	result, err := sender.Send(ctx, request, aim)
	if err != nil {
		return cannot("", "trigger: %w", err)
	}
	defer result.Kept.Close()
	t := triggered{Provider: p.Name, Event: args[1], URL: to.String()}
	return f.print(ctx, e, t, request, result)
}

// request is the sample with everything that --set changes, signed.
func (f *triggerFlags) request(e *env, p *provider.Provider, event string, to *url.URL) (*replay.Request, error) {
	sample, err := sampleNamed(e, p, event)
	if err != nil {
		return nil, err
	}
	request, err := sampleRequest(sample, to)
	if err != nil {
		return nil, cannot("", "trigger: %w", err)
	}
	var sets []replay.Edit
	for _, text := range f.sets {
		s, err := replay.ParseAdd(text)
		if err != nil {
			return nil, misused("give it as in --set json.order.id=17", "--set: %w", err)
		}
		sets = append(sets, s)
	}
	if request, err = request.With(sets...); err != nil {
		return nil, misused("", "--set: %w", err)
	}
	return f.signed(e, p, request)
}

// signed is the request as the provider would sign it, if there is a secret.
func (f *triggerFlags) signed(e *env, p *provider.Provider, request *replay.Request) (*replay.Request, error) {
	setting, err := f.sender.setting()
	switch {
	case err != nil:
		return nil, err
	case p.Scheme == nil:
		return request, nil
	case setting.Secrets == nil:
		fmt.Fprintln(e.stderr, "not signed: no secret is given with --secret-file")
		return request, nil
	}
	signed, err := request.Signed(func(head *wire.RequestHead, body []byte) (*provider.Signature, error) {
		return p.Scheme.Sign(&provider.Request{
			Head: head, Body: body, URL: provider.RequestURL(f.publicURL, head, false), Time: e.now(),
		}, setting, ulid.Make().String())
	})
	if err != nil {
		return nil, cannot("without --secret-file it is sent as it is, not signed", "sign as %s: %w", p.Title, err)
	}
	return signed, nil
}

func sampleNamed(e *env, p *provider.Provider, event string) (*provider.Sample, error) {
	samples, err := p.Samples(e.now(), ulid.Make().String())
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(samples, func(s provider.Sample) bool { return s.Event == event }); i >= 0 {
		return &samples[i], nil
	}
	hint := "its samples: " + strings.Join(eventNames(p.Name), ", ")
	if samples == nil {
		hint = "hooktape trigger --list shows what there is"
	}
	return nil, misused(hint, "there is no sample %q of %s", event, p.Name)
}

// sampleRequest is a sample on its way to a URL.
func sampleRequest(s *provider.Sample, to *url.URL) (*replay.Request, error) {
	path, query, _ := strings.Cut(s.Path, "?")
	target := strings.TrimSuffix(to.EscapedPath(), "/") + path
	if target == "" {
		target = "/"
	}
	if all := strings.Trim(to.RawQuery+"&"+query, "&"); all != "" {
		target += "?" + all
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", s.Method, target, to.Host)
	for _, field := range s.Fields {
		fmt.Fprintf(&b, "%s: %s\r\n", field.Name, field.Value)
	}
	if len(s.Body) > 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(s.Body))
	}
	b.WriteString("\r\n")
	b.Write(s.Body)
	return replay.Load(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(b.String())), nil })
}

// triggered is the result of sending an event.
type triggered struct {
	Provider string               `json:"provider"`
	Event    string               `json:"event"`
	URL      string               `json:"url"`
	Status   int                  `json:"status"` // 0: no answer came
	Duration inspect.Milliseconds `json:"duration_ms"`
	Body     string               `json:"body"` // of the answer, its beginning
	Error    string               `json:"error,omitempty"`
}

// answerShown is how many bytes of an answer are printed.
const answerShown = 4 << 10

// print prints what was sent and what came back.
func (f *triggerFlags) print(ctx context.Context, e *env, t triggered, request *replay.Request, r *replay.Result) error {
	names := e.maskedNames(ctx)
	if !f.reveal {
		t.URL = names.Target(t.URL)
	}
	if r.Unreachable() {
		return cannot("start the app, or name another place with --to URL", "send to %s: %w", t.URL, r.Err)
	}
	t.Duration = inspect.Milliseconds(r.Duration)
	if r.Err != nil {
		t.Error = r.Err.Error()
	}
	if r.Response != nil {
		t.Status = r.Response.Status
		t.Body = f.answer(names, request, r)
	}
	if err := f.show(e, t, request); err != nil {
		return err
	}
	switch {
	case t.Status == 0 || t.Error != "":
		return &failure{code: exitCannot}
	case t.Status/100 != 2:
		return notSo()
	}
	return nil
}

// maskedNames are the names that the config masks besides the defaults: the config given, or that of the tape, if there is
// a tape.
func (e *env) maskedNames(ctx context.Context) mask.Names {
	if e.config != "" {
		if cfg, err := e.loadConfig(); err == nil {
			return cfg.Mask
		}
	}
	t, err := e.openTape(ctx, toRead)
	if err != nil {
		return nil
	}
	defer t.Close()
	names, _ := t.Mask(ctx)
	return names
}

// answer is the beginning of the answer's body, with its secrets masked.
func (f *triggerFlags) answer(names mask.Names, request *replay.Request, r *replay.Result) string {
	kept, err := r.Kept.Open()
	if err != nil {
		return ""
	}
	raw, err := io.ReadAll(io.LimitReader(kept, int64(r.Response.HeadSize)+answerShown))
	if err != nil {
		return ""
	}
	head, err := wire.ParseResponseHead(raw, request.Head.Method)
	if err != nil {
		return ""
	}
	body, _, _ := wire.DecodeBody(head.Framing, raw[len(head.Raw):]) // if it is long, its beginning comes with an error
	if contentType, _ := head.Fields.Get("Content-Type"); !f.reveal {
		body = names.Body(contentType, body)
	}
	return string(body)
}

func (f *triggerFlags) show(e *env, t triggered, request *replay.Request) error {
	if f.asJSON {
		return e.printJSON(t)
	}
	i := e.inkFor(e.stdout)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s → %s\n", t.Provider, i.bold(t.Event), clean(t.URL))
	switch {
	case t.Error != "":
		fmt.Fprintf(&b, "  %s\n", i.red(clean(t.Error)))
	default:
		fmt.Fprintf(&b, "  %s  %s\n", i.status(t.Status, statusText(t.Status)), milliseconds(t.Duration.Duration()))
	}
	for line := range strings.Lines(cleanLines(t.Body)) {
		fmt.Fprintf(&b, "  %s\n", strings.TrimSuffix(line, "\n"))
	}
	_, err := io.WriteString(e.stdout, b.String())
	return err
}
