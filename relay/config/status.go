package config

import (
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
)

// Status says how to answer a sender that asks what became of its request.
type Status struct {
	Path    string     // added to the source's; begins with "/"
	Record  *expr.Expr // over the request that asks: the id of the record it asks about
	Target  string     // whose delivery to report; "": the first target's
	Headers []Header   // over the record asked about, its delivery, and the last response
	Body    *expr.Expr // likewise
}

var statusSchema = schema[Status]{
	place: "status",
	keys: map[string]func(*decoder, *Status, *hclsyntax.Attribute){
		"path":    func(d *decoder, s *Status, a *hclsyntax.Attribute) { d.sourcePath(a, &s.Path) },
		"record":  func(d *decoder, s *Status, a *hclsyntax.Attribute) { d.template(a.Expr, &s.Record) },
		"target":  func(d *decoder, s *Status, a *hclsyntax.Attribute) { d.textInto(a, &s.Target) },
		"headers": func(d *decoder, s *Status, a *hclsyntax.Attribute) { d.headers(a, &s.Headers) },
		"body":    func(d *decoder, s *Status, a *hclsyntax.Attribute) { d.template(a.Expr, &s.Body) },
	},
}

func decodeStatus(d *decoder, s *Source, b *hclsyntax.Block) {
	d.unlabeled(b)
	if s.Status != nil {
		d.fail(b.TypeRange, "a second status block in this source")
	}
	s.Status = &Status{Path: "/status"}
	decodeBody(d, s.Status, b.Body, &statusSchema)
	if b.Body.Attributes["record"] == nil {
		d.fail(b.TypeRange, "status needs to know which record is asked about: record = query.id")
	}
	if b.Body.Attributes["body"] == nil {
		d.fail(b.TypeRange, "status needs a body: body = jsonencode({ status = delivery.state })")
	}
}

// checkStatus finds a status block about a target that the source does not have.
func (d *decoder) checkStatus(s *Source, b *hclsyntax.Block) {
	if s.Status == nil || s.Status.Target == "" {
		return
	}
	var names []string
	for _, t := range s.Targets {
		if t.Name == s.Status.Target {
			return
		}
		names = append(names, t.Name)
	}
	for _, inner := range b.Body.Blocks {
		if a := inner.Body.Attributes["target"]; inner.Type == "status" && a != nil {
			d.fail(a.Expr.Range(), "this source has no target %q%s", s.Status.Target, didYouMean(s.Status.Target, names))
		}
	}
}

// AsksStatus says whether a request to the source asks what became of another one.
func (s *Source) AsksStatus(h *wire.RequestHead) bool {
	return s.Status != nil && (h.Method == "GET" || h.Method == "HEAD") &&
		h.Path() == strings.TrimSuffix(s.Path, "/")+s.Status.Path
}

// Fields are the header fields of the answer.
func (s *Status) Fields(v *expr.View) (wire.Fields, error) { return fieldsOf(s.Headers, v) }
