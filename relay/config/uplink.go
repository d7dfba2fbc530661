package config

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/store"
)

// Uplink is the tunnel that the agent opens to an edge, so that it can be reached through it.
type Uplink struct {
	Edge     *url.URL
	Token    string
	TakeOver bool
	Backlog  string // what happens to deliveries that have waited at the edge: deliver, hold or drop
	Copies   []store.Copy
}

// Backlogs are the values of backlog; the first is the default.
var Backlogs = []string{"deliver", "hold", "drop"}

var uplinkSchema = schema[Uplink]{
	place: "uplink",
	keys: map[string]func(*decoder, *Uplink, *hclsyntax.Attribute){
		"edge":      func(d *decoder, u *Uplink, a *hclsyntax.Attribute) { u.Edge, _ = d.parseURL(a) },
		"token":     func(d *decoder, u *Uplink, a *hclsyntax.Attribute) { d.textInto(a, &u.Token) },
		"take_over": func(d *decoder, u *Uplink, a *hclsyntax.Attribute) { d.flag(a, &u.TakeOver) },
		"backlog": func(d *decoder, u *Uplink, a *hclsyntax.Attribute) {
			if text, ok := d.oneOf(a, Backlogs...); ok {
				u.Backlog = text
			}
		},
	},
	blocks: map[string]func(*decoder, *Uplink, *hclsyntax.Block){"copy": decodeCopy},
}

var copySchema = schema[copyOf]{
	place: "copy",
	keys: map[string]func(*decoder, *copyOf, *hclsyntax.Attribute){
		"where": func(d *decoder, c *copyOf, a *hclsyntax.Attribute) { d.condition(a, &c.where) },
	},
}

// copyOf is a copy block while it is read.
type copyOf struct{ where *expr.Expr }

func decodeUplink(d *decoder, c *Config, b *hclsyntax.Block) {
	d.unlabeled(b)
	d.once("uplink", b.TypeRange, "a second uplink block")
	c.Uplink = &Uplink{Backlog: Backlogs[0]}
	decodeBody(d, c.Uplink, b.Body, &uplinkSchema)
	if b.Body.Attributes["edge"] == nil || b.Body.Attributes["token"] == nil {
		d.fail(b.TypeRange, `uplink needs "edge", the URL of an agent with an edge block, and "token", which hooktape token new gives there`)
	}
}

func decodeCopy(d *decoder, u *Uplink, b *hclsyntax.Block) {
	name, at := d.label(b)
	if slices.ContainsFunc(u.Copies, func(c store.Copy) bool { return c.Source == name }) {
		d.fail(at, "a second copy of that source")
	}
	var c copyOf
	decodeBody(d, &c, b.Body, &copySchema)
	u.Copies = append(u.Copies, newCopy(name, c.where))
}

// newCopy asks for those requests of a source for which an expression holds; nil: for all.
func newCopy(source string, where *expr.Expr) store.Copy {
	c := store.Copy{Source: source}
	if where != nil {
		c.Where = where.Source()
	}
	return c
}

// CheckWhere says what is wrong with an expression that is sent to an edge.
func CheckWhere(text string) error {
	if _, err := expr.ParseWhere(text); err != nil {
		return fmt.Errorf("the expression is not valid: %w", err)
	}
	return nil
}
