package config

import (
	"net/url"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/wire"
)

// KeyFrom says where the provider hands out the secret that it signs with.
type KeyFrom struct {
	URL     *url.URL      // asked with GET
	Headers wire.Fields   // of the question
	Path    string        // where in the answer, which is JSON, the secret is: "secret", "data.key"
	Every   time.Duration // how often to ask again even if no check fails
}

// keyFromKeys is what a key_from block says.
type keyFromKeys struct {
	KeyFrom
	headers []Header
}

var keyFromSchema = schema[keyFromKeys]{
	place: "key_from",
	keys: map[string]func(*decoder, *keyFromKeys, *hclsyntax.Attribute){
		"url": func(d *decoder, k *keyFromKeys, a *hclsyntax.Attribute) {
			if u, ok := d.parseURL(a); ok {
				k.URL = u
			}
		},
		"headers": func(d *decoder, k *keyFromKeys, a *hclsyntax.Attribute) { d.headers(a, &k.headers) },
		"path":    func(d *decoder, k *keyFromKeys, a *hclsyntax.Attribute) { d.textInto(a, &k.Path) },
		"every":   func(d *decoder, k *keyFromKeys, a *hclsyntax.Attribute) { d.duration(a, time.Minute, &k.Every) },
	},
}

func decodeKeyFrom(d *decoder, s *Source, b *hclsyntax.Block) {
	d.unlabeled(b)
	if s.KeyFrom != nil {
		d.fail(b.TypeRange, "a second key_from block in this source")
	}
	k := keyFromKeys{KeyFrom: KeyFrom{Path: "secret", Every: 24 * time.Hour}}
	before := len(d.diags)
	decodeBody(d, &k, b.Body, &keyFromSchema)
	if b.Body.Attributes["url"] == nil {
		d.fail(b.TypeRange, "key_from needs the url that hands the secret out")
	}
	for _, h := range k.headers {
		if _, ok := h.Value.Constant(); !ok {
			d.fail(b.Body.Attributes["headers"].Expr.Range(), "the secret is fetched before there is a record: %q cannot depend on one", h.Name)
		}
	}
	if len(d.diags) > before {
		return
	}
	// A line break can't be written in the config itself, but may come from a file that it reads.
	fields, err := fieldsOf(k.headers, &expr.View{})
	if err != nil {
		d.fail(b.Body.Attributes["headers"].Expr.Range(), "%s", err)
	}
	k.Headers = fields
	s.KeyFrom = &k.KeyFrom
}
