package config

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/mask"
)

// maxMaskName is the most characters that a name in mask may have: more than any key that people choose.
const maxMaskName = 128

// mask reads the names of what to hide besides the defaults.
func (d *decoder) mask(a *hclsyntax.Attribute, into *mask.Names) {
	d.texts(a, func(name string, at hcl.Range) {
		switch {
		case utf8.RuneCountInString(name) > maxMaskName:
			d.fail(at, "a name has at most %d characters", maxMaskName)
		case strings.ContainsAny(name, ".[]/"):
			d.fail(at, "this is a path: give only a name, whose value is masked wherever it occurs")
		case strings.ContainsFunc(name, notOfName) || strings.Trim(name, "-_") == "":
			d.fail(at, "a name is made of letters, digits, dashes and underscores")
		default:
			*into = append(*into, name)
		}
	})
}

func notOfName(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_'
}
