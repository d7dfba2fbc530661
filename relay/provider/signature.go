package provider

import (
	"slices"
	"strings"

	"github.com/hooktape/hooktape/relay/wire"
)

// Edit is what the signature changes in a request's head. If there is a Body, the edited head is one for that;
// otherwise only what g names changes.
func (g *Signature) Edit(h *wire.RequestHead) wire.Edit {
	e := wire.Edit{Set: g.Fields}
	if len(g.Query) > 0 {
		e.Target = withQuery(h.Target, g.Query)
	}
	if g.Body != nil {
		size := int64(len(g.Body))
		e.Length = &size
	}
	return e
}

// applied returns r with the changes of g, as far as schemes look at them: the raw head stays as it was.
func applied(r *Request, g *Signature) *Request {
	head := *r.Head
	head.Fields = withFields(head.Fields, g.Fields)
	head.Target = withQuery(head.Target, g.Query)
	return &Request{Head: &head, Body: bodyWith(g, r), URL: withQuery(r.URL, g.Query), Time: r.Time}
}

// withFields returns fields with each of set replacing those of its name, where the first stood, or added at the end.
func withFields(fields, set wire.Fields) wire.Fields {
	fields = slices.Clone(fields)
	for _, f := range set {
		named := func(g wire.Field) bool { return strings.EqualFold(f.Name, g.Name) }
		i := slices.IndexFunc(fields, named)
		if i < 0 {
			fields = append(fields, f)
			continue
		}
		fields[i] = f
		fields = slices.Concat(fields[:i+1], slices.DeleteFunc(slices.Clone(fields[i+1:]), named))
	}
	return fields
}

// withQuery returns a target or URL with parameters set.
func withQuery(target string, query wire.Fields) string {
	if len(query) == 0 {
		return target
	}
	path, parameters, _ := strings.Cut(target, "?")
	for _, q := range query {
		parameters = wire.SetParameter(parameters, q.Name, q.Value)
	}
	return path + "?" + parameters
}
