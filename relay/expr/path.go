package expr

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// ParsePath reads a path to a part of a request, as expressions have it: json.order.items[0].id, header["X-Id"] or
// form.data.PARAMS. Its first name is that of the variable; indexes are names too. The error is a *SyntaxError.
func ParsePath(src string) (names []string, err error) {
	traversal, diags := hclsyntax.ParseTraversalAbs([]byte(src), "", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, newSyntaxError([]byte(src), diags)
	}
	names = []string{traversal.RootName()}
	c := &compiler{load: &Load{Text: []byte(src)}}
	path, ok := c.path(traversal[1:])
	if !ok {
		return nil, newSyntaxError([]byte(src), c.diags)
	}
	if _, known := variables[names[0]]; !known {
		return nil, &SyntaxError{Message: fmt.Sprintf("unknown variable %q%s", names[0], didYouMean(names[0], variableNames))}
	}
	for _, s := range path {
		names = append(names, s.name)
	}
	return names, nil
}
