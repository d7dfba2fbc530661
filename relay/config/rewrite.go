package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
)

// Rewrite makes what a target gets from a record. What it has no expression for stays as recorded.
type Rewrite struct {
	Method  *expr.Expr
	URL     *expr.Expr // on the target's host: a URL, or its path and query; null: as it was
	Headers []Header   // each replaces the fields of its name; null: they are left out
	Body    *expr.Expr // null: empty
}

var rewriteSchema = schema[Rewrite]{
	place: "rewrite",
	keys: map[string]func(*decoder, *Rewrite, *hclsyntax.Attribute){
		"method":  func(d *decoder, r *Rewrite, a *hclsyntax.Attribute) { d.template(a.Expr, &r.Method) },
		"url":     func(d *decoder, r *Rewrite, a *hclsyntax.Attribute) { d.template(a.Expr, &r.URL) },
		"headers": func(d *decoder, r *Rewrite, a *hclsyntax.Attribute) { d.headers(a, &r.Headers) },
		"body":    func(d *decoder, r *Rewrite, a *hclsyntax.Attribute) { d.template(a.Expr, &r.Body) },
	},
}

func decodeRewrite(d *decoder, t *Target, b *hclsyntax.Block) {
	d.unlabeled(b)
	if t.Rewrite != nil {
		d.fail(b.TypeRange, "a second rewrite block in this target")
	}
	t.Rewrite = new(Rewrite)
	decodeBody(d, t.Rewrite, b.Body, &rewriteSchema)
}

// checkRewrite reports what a rewrite block says of every record and could never be sent.
func (d *decoder) checkRewrite(t *Target, target *hclsyntax.Block) {
	for _, b := range target.Body.Blocks {
		if b.Type != "rewrite" || t.URL == nil {
			continue
		}
		for name, problem := range t.Rewrite.constantProblems(t.URL) {
			d.fail(b.Body.Attributes[name].Expr.Range(), "%q: %s", name, problem)
		}
	}
}

// constantProblems are those of keys that are the same for every record.
func (r *Rewrite) constantProblems(base *url.URL) map[string]error {
	problems := map[string]error{}
	if isConstant(r.Method) {
		if _, err := r.method(nil); err != nil {
			problems["method"] = err
		}
	}
	if isConstant(r.URL) {
		if _, err := r.target(nil, base); err != nil {
			problems["url"] = err
		}
	}
	return problems
}

func isConstant(x *expr.Expr) bool {
	if x == nil {
		return false
	}
	_, ok := x.Constant()
	return ok
}

var (
	// errElsewhere keeps senders from choosing where requests go.
	errElsewhere = errors.New("the URL is not on the host of the target's url")
	errNoURL     = errors.New(`the text is neither a URL nor a path that begins with "/"`)
	errNoMethod  = errors.New("the text is no method")
)

// Edit is what the rewrite changes for a target at base, and the new body; nil: the body stays. The error says which
// key could not be computed.
func (r *Rewrite) Edit(v *expr.View, base *url.URL) (edit wire.Edit, body []byte, err error) {
	if edit.Method, err = r.method(v); err != nil {
		return edit, nil, fmt.Errorf("rewrite method: %w", err)
	}
	if edit.Target, err = r.target(v, base); err != nil {
		return edit, nil, fmt.Errorf("rewrite url: %w", err)
	}
	for _, h := range r.Headers {
		value, ok, err := h.value(v)
		switch {
		case err != nil:
			return edit, nil, fmt.Errorf("rewrite headers: %w", err)
		case ok:
			edit.Set = append(edit.Set, wire.Field{Name: h.Name, Value: value})
		default:
			edit.Drop = append(edit.Drop, h.Name)
		}
	}
	if r.Body == nil {
		return edit, nil, nil
	}
	if body, err = r.Body.Bytes(v); err != nil {
		return edit, nil, fmt.Errorf("rewrite body: %w", err)
	}
	if body == nil {
		body = []byte{}
	}
	size := int64(len(body))
	edit.Length = &size
	return edit, body, nil
}

// Rewrite is Rewrite.Edit for the source's target of that name. The view is given the source's Params.
func (s *Source) Rewrite(target string, v *expr.View) (wire.Edit, []byte, error) {
	v.Params = s.Setting.Params
	for _, t := range s.Targets {
		if t.Name == target && t.Rewrite != nil {
			return t.Rewrite.Edit(v, t.URL)
		}
	}
	return wire.Edit{}, nil, fmt.Errorf("source %q has no target %q that gets requests rewritten", s.Name, target)
}

func (r *Rewrite) method(v *expr.View) (string, error) {
	if r.Method == nil {
		return "", nil
	}
	method, err := r.Method.String(v)
	if err == nil && method != "" && !tokenPattern.MatchString(method) {
		err = errNoMethod
	}
	return method, err
}

func (r *Rewrite) target(v *expr.View, base *url.URL) (string, error) {
	if r.URL == nil {
		return "", nil
	}
	text, err := r.URL.String(v)
	if err != nil || text == "" {
		return "", err
	}
	target, err := onHost(text, base)
	if path, _, _ := strings.Cut(target, "?"); err == nil && wire.HasDotSegment(path) {
		return "", wire.ErrDotSegments
	}
	return target, err
}

// onHost is the path and query of a text that is either a whole URL or just these.
func onHost(text string, base *url.URL) (string, error) {
	if strings.HasPrefix(text, "/") {
		return text, nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return "", errNoURL // the library's own error quotes the text, which may have secrets
	case !strings.EqualFold(u.Scheme, base.Scheme) || !strings.EqualFold(u.Host, base.Host) || u.User != nil:
		return "", errElsewhere
	}
	return u.RequestURI(), nil
}
