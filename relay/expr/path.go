package expr

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// ParsePath reads the path of a part of a request, as in expressions: json.order.items[0].id, header["X-Id"] or
// form.data.PARAMS. The first name is the variable; indexes count as names. The error is a *SyntaxError.
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

// ParsePattern is ParsePath for paths in which * stands for any characters of a name, or for any index:
// json.items[*].id, header.x-trace-*, json.meta.*.
func ParsePattern(src string) (names []string, err error) { return ParsePath(quoteWildcards(src)) }

// quoteWildcards puts names with a * into brackets and quotes, so that HCL accepts them.
func quoteWildcards(src string) string {
	var b strings.Builder
	for src != "" {
		step, rest := firstStep(src)
		name, dotted := strings.CutPrefix(step, ".")
		switch fixed := strings.ReplaceAll(name, "*", ""); {
		case step == "[*]":
			step = `["*"]`
		case dotted && fixed != name && hclsyntax.ValidIdentifier("x"+fixed):
			step = `["` + name + `"]`
		}
		b.WriteString(step)
		src = rest
	}
	return b.String()
}

// firstStep cuts .name or [index] off a path.
func firstStep(src string) (first, rest string) {
	quoted := false
	for i := 1; i < len(src); i++ {
		switch {
		case src[i] == '\\' && quoted:
			i++
		case src[i] == '"':
			quoted = !quoted
		case !quoted && (src[i] == '.' || src[i] == '['):
			return src[:i], src[i:]
		}
	}
	return src, ""
}

// plainMax is the most bytes of a name that is written without quotes. Names come from strangers, and checking whether
// one is an identifier takes a hundred times its size.
const plainMax = 255

// FormatPath writes a path as ParsePath reads it. A name made of digits is written as an index, which means the same.
func FormatPath(names ...string) string {
	var b strings.Builder
	for i, name := range names {
		_, counts := arrayIndex(name)
		switch {
		case i == 0:
			b.WriteString(name)
		case counts:
			b.WriteString("[" + name + "]")
		case len(name) <= plainMax && hclsyntax.ValidIdentifier(name):
			b.WriteString("." + name)
		default:
			b.WriteString(`["` + quoteName(name) + `"]`)
		}
	}
	return b.String()
}

// quoteName escapes a name for the inside of quotes.
func quoteName(name string) string {
	var b strings.Builder
	name = toUTF8(name)
	for i, r := range name {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
		case r == '\n':
			b.WriteString(`\n`)
			continue
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		case (r == '$' || r == '%') && strings.HasPrefix(name[i+1:], "{"):
			b.WriteRune(r) // doubled, so that it begins no template
		}
		b.WriteRune(r)
	}
	return b.String()
}
