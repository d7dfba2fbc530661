package config

import (
	"path/filepath"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/shape"
)

// schema reads and compiles the JSON Schema in a file. The schemas that it refers to are files beside it.
func (d *decoder) schema(a *hclsyntax.Attribute, into **shape.Schema) {
	name, ok := d.text(a)
	if !ok {
		return
	}
	dir := filepath.Dir(name)
	s, err := shape.Compile(filepath.Base(name), func(name string) ([]byte, error) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		return d.around.bytes(&path)
	})
	if err != nil {
		d.fail(a.Expr.Range(), "%q can't be used: %s", a.Name, err)
		return
	}
	*into = s
}

func decodeOnInvalidBody(d *decoder, s *Source, a *hclsyntax.Attribute) {
	if text, ok := d.oneOf(a, string(RejectInvalid), string(RecordInvalid)); ok {
		s.BadBody = OnInvalid(text)
	}
}
