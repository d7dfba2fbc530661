package config

import (
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
)

// Follow says how to learn an outcome that a target only promises: by asking until it has come.
type Follow struct {
	When    *expr.Expr // over the call and its response; nil: status 202
	URL     *expr.Expr // likewise: where to ask, of which only path and query count; nil: where Location says
	Headers []Header   // likewise: fields of the question, besides the call's Authorization
	Key     *expr.Expr // likewise: the value of EndedBy's key that ends it; nil: only an answer does
	Until   *expr.Expr // over the call and an answer: the outcome has come
	Every   time.Duration
	For     time.Duration // how long to ask, from the response on
	EndedBy *EndedBy      // nil: only an answer ends it
}

// EndedBy says which requests bring the outcome, too.
type EndedBy struct {
	Source string
	Key    *expr.Expr // over the request
}

var followSchema = schema[Follow]{
	place: "follow",
	keys: map[string]func(*decoder, *Follow, *hclsyntax.Attribute){
		"when":    func(d *decoder, f *Follow, a *hclsyntax.Attribute) { d.condition(a, &f.When) },
		"url":     func(d *decoder, f *Follow, a *hclsyntax.Attribute) { d.template(a.Expr, &f.URL) },
		"headers": func(d *decoder, f *Follow, a *hclsyntax.Attribute) { d.headers(a, &f.Headers) },
		"key":     func(d *decoder, f *Follow, a *hclsyntax.Attribute) { d.template(a.Expr, &f.Key) },
		"until":   func(d *decoder, f *Follow, a *hclsyntax.Attribute) { d.condition(a, &f.Until) },
		"every":   func(d *decoder, f *Follow, a *hclsyntax.Attribute) { d.duration(a, minTimeout, &f.Every) },
		"for":     func(d *decoder, f *Follow, a *hclsyntax.Attribute) { d.duration(a, minTimeout, &f.For) },
	},
	blocks: map[string]func(*decoder, *Follow, *hclsyntax.Block){"ended_by": after(unknownAtRequest, decodeEndedBy)},
}

var endedBySchema = schema[EndedBy]{
	place: "ended_by",
	keys: map[string]func(*decoder, *EndedBy, *hclsyntax.Attribute){
		"source": func(d *decoder, e *EndedBy, a *hclsyntax.Attribute) { d.textInto(a, &e.Source) },
		"key":    func(d *decoder, e *EndedBy, a *hclsyntax.Attribute) { d.template(a.Expr, &e.Key) },
	},
}

func decodeFollow(d *decoder, t *Target, b *hclsyntax.Block) {
	d.unlabeled(b)
	if t.Follow != nil {
		d.fail(b.TypeRange, "a second follow block in this target")
	}
	t.Follow = &Follow{Every: 30 * time.Second, For: 24 * time.Hour}
	decodeBody(d, t.Follow, b.Body, &followSchema)
	if b.Body.Attributes["until"] == nil {
		d.fail(b.TypeRange, `follow needs to know when the outcome has come: until = response.json.status == "done"`)
	}
	if t.Follow.EndedBy != nil && b.Body.Attributes["key"] == nil {
		d.fail(b.TypeRange, "ended_by has a key, so follow needs one that it is compared with: key = response.json.id")
	}
}

func decodeEndedBy(d *decoder, f *Follow, b *hclsyntax.Block) {
	d.unlabeled(b)
	if f.EndedBy != nil {
		d.fail(b.TypeRange, "a second ended_by block in this follow")
	}
	f.EndedBy = new(EndedBy)
	decodeBody(d, f.EndedBy, b.Body, &endedBySchema)
	if a := b.Body.Attributes["source"]; a != nil && f.EndedBy.Source != "" {
		d.ends = append(d.ends, ending{f.EndedBy.Source, a.Expr.Range()})
	}
	if b.Body.Attributes["source"] == nil || b.Body.Attributes["key"] == nil {
		d.fail(b.TypeRange, `ended_by needs "source", where the request that ends it arrives, and "key", an expression over that request`)
	}
}

// ending is the source that an ended_by block names, and where it does.
type ending struct {
	source string
	at     hcl.Range
}

// checkFollows finds ended_by blocks that name a source which does not exist.
func (d *decoder) checkFollows(c *Config) {
	var names []string
	for _, s := range c.Sources {
		names = append(names, s.Name)
	}
	for _, e := range d.ends {
		if !slices.Contains(names, e.source) {
			d.fail(e.at, "there is no source %q%s", e.source, didYouMean(e.source, names))
		}
	}
}

// Fields are the header fields of a question.
func (f *Follow) Fields(v *expr.View) (wire.Fields, error) { return fieldsOf(f.Headers, v) }
