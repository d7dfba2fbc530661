package config

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/expr"
)

// Expect says what a 2xx response of a target must be like.
type Expect struct {
	When   *expr.Expr // over the request and the response; when it can't be computed, it does not hold
	OnFail OnFail
}

// OnFail says what happens to a response that is not as expected.
type OnFail string

// The values of on_fail.
const (
	RetryUnexpected  OnFail = "retry"  // the attempt has failed
	RecordUnexpected OnFail = "record" // it is noted and counted, and the delivery is done
)

var expectSchema = schema[Expect]{
	place: "expect",
	keys: map[string]func(*decoder, *Expect, *hclsyntax.Attribute){
		"when":    func(d *decoder, e *Expect, a *hclsyntax.Attribute) { d.condition(a, &e.When) },
		"on_fail": decodeOnFail,
	},
}

func decodeOnFail(d *decoder, e *Expect, a *hclsyntax.Attribute) {
	if text, ok := d.oneOf(a, string(RetryUnexpected), string(RecordUnexpected)); ok {
		e.OnFail = OnFail(text)
	}
}

func decodeExpect(d *decoder, t *Target, b *hclsyntax.Block) {
	d.unlabeled(b)
	if t.Expect != nil {
		d.fail(b.TypeRange, "a second expect block in this target")
	}
	t.Expect = &Expect{OnFail: RetryUnexpected}
	decodeBody(d, t.Expect, b.Body, &expectSchema)
	if b.Body.Attributes["when"] == nil {
		d.fail(b.TypeRange, "expect needs a condition: when = length(response.json.data) > 0")
	}
}
