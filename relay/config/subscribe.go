package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// Subscription says how to register a source with its sender: by calls of the sender's API, for each combination of
// params. See provider.Subscription for the params there are.
type Subscription struct {
	Name   string
	Path   string              // of the URL that the sender is to call; "": the source's
	Params map[string]string   // for all of Each
	Each   []map[string]string // added to Params: one registration for each; an empty map adds nothing
	Always bool                // register at every start, even when the sender knows the URL
	Tokens []string            // params that say who calls: a change of these alone is no reason to register again

	Login, Create, Update, Delete *Call // all but Create may be nil: nothing to call
	Access                        *expr.Expr
	Exists                        *expr.Expr
	ID                            *expr.Expr
}

// Call is one request to a sender's API.
type Call struct {
	Method  string
	URL     *expr.Expr
	Headers []Header
	Body    *expr.Expr // nil: empty
	Status  []int      // of a success; nil: any 2xx
	OK      *expr.Expr // what else must hold for a success; nil: nothing
}

// Request is what the call sends.
func (c *Call) Request(v *expr.View) (u *url.URL, headers wire.Fields, body []byte, err error) {
	text, err := c.URL.String(v)
	if err != nil {
		return nil, nil, nil, err
	}
	u, err = url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, nil, nil, fmt.Errorf("%s gives no URL", c.URL.Source()) // the result may have secrets in it
	}
	for _, h := range c.Headers {
		value, ok, err := h.value(v)
		if err != nil {
			return nil, nil, nil, err
		}
		if ok {
			headers = append(headers, wire.Field{Name: h.Name, Value: value})
		}
	}
	if c.Body != nil {
		body, err = c.Body.Bytes(v)
	}
	return u, headers, body, err
}

// Succeeded says whether a response, which v has, means success.
func (c *Call) Succeeded(v *expr.View) bool {
	status := v.Response.Head.Status
	if c.Status == nil && status/100 != 2 || c.Status != nil && !slices.Contains(c.Status, status) {
		return false
	}
	if c.OK == nil {
		return true
	}
	ok, err := c.OK.Bool(v)
	return ok && err == nil
}

// Digest identifies what the sender is told with these params when the subscription is made: what to call, for what,
// and the secret, but not who tells it. "" if that can't be computed.
func (s *Subscription) Digest(params map[string]string) string {
	params = maps.Clone(params)
	for _, token := range s.Tokens {
		params[token] = ""
	}
	u, _, body, err := s.Create.Request(&expr.View{Record: new(store.Record), Params: params})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s\n%s", s.Create.Method, u, body))
	return hex.EncodeToString(sum[:16])
}

var subscribeSchema = schema[Subscription]{
	place: "subscribe",
	keys: map[string]func(*decoder, *Subscription, *hclsyntax.Attribute){
		"path":   func(d *decoder, s *Subscription, a *hclsyntax.Attribute) { d.sourcePath(a, &s.Path) },
		"params": func(d *decoder, s *Subscription, a *hclsyntax.Attribute) { d.params(a, &s.Params) },
		"each":   decodeEach,
		"always": func(d *decoder, s *Subscription, a *hclsyntax.Attribute) { d.flag(a, &s.Always) },
		"access": func(d *decoder, s *Subscription, a *hclsyntax.Attribute) { d.template(a.Expr, &s.Access) },
		"exists": func(d *decoder, s *Subscription, a *hclsyntax.Attribute) { d.condition(a, &s.Exists) },
		"id":     func(d *decoder, s *Subscription, a *hclsyntax.Attribute) { d.template(a.Expr, &s.ID) },
	},
	blocks: map[string]func(*decoder, *Subscription, *hclsyntax.Block){
		"login":  decodeCall(func(s *Subscription) **Call { return &s.Login }),
		"create": decodeCall(func(s *Subscription) **Call { return &s.Create }),
		"update": decodeCall(func(s *Subscription) **Call { return &s.Update }),
		"delete": decodeCall(func(s *Subscription) **Call { return &s.Delete }),
	},
}

var callSchema = schema[Call]{
	place: "create", // and login, update, delete
	keys: map[string]func(*decoder, *Call, *hclsyntax.Attribute){
		"method":  decodeMethod,
		"url":     func(d *decoder, c *Call, a *hclsyntax.Attribute) { d.template(a.Expr, &c.URL) },
		"headers": func(d *decoder, c *Call, a *hclsyntax.Attribute) { d.headers(a, &c.Headers) },
		"body":    func(d *decoder, c *Call, a *hclsyntax.Attribute) { d.template(a.Expr, &c.Body) },
		"status":  decodeStatuses,
		"ok":      func(d *decoder, c *Call, a *hclsyntax.Attribute) { d.condition(a, &c.OK) },
	},
}

func decodeCall(place func(*Subscription) **Call) func(*decoder, *Subscription, *hclsyntax.Block) {
	return func(d *decoder, s *Subscription, b *hclsyntax.Block) {
		d.unlabeled(b)
		into := place(s)
		if *into != nil {
			d.fail(b.TypeRange, "a second %s block in this subscription", b.Type)
		}
		*into = &Call{Method: "POST"}
		decodeBody(d, *into, b.Body, &callSchema)
		if b.Body.Attributes["url"] == nil {
			d.fail(b.TypeRange, "a call needs a url")
		}
	}
}

func decodeMethod(d *decoder, c *Call, a *hclsyntax.Attribute) {
	text, ok := d.text(a)
	switch {
	case !ok:
	case !tokenPattern.MatchString(text) || text != strings.ToUpper(text):
		d.fail(a.Expr.Range(), `%q is a method, like "POST"`, a.Name)
	default:
		c.Method = text
	}
}

// decodeStatuses reads a list of statuses.
func decodeStatuses(d *decoder, c *Call, a *hclsyntax.Attribute) {
	list, ok := a.Expr.(*hclsyntax.TupleConsExpr)
	if !ok {
		d.fail(a.Expr.Range(), "%q must be a list: [200, 201]", a.Name)
		return
	}
	for _, e := range list.Exprs {
		var status int
		d.number(&hclsyntax.Attribute{Name: a.Name, Expr: e}, minStatus, maxStatus, &status)
		c.Status = append(c.Status, status)
	}
}

// decodeEach reads { name = ["value", ...] } into all combinations of values, in the order in which they are written.
func decodeEach(d *decoder, s *Subscription, a *hclsyntax.Attribute) {
	object, ok := a.Expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		d.fail(a.Expr.Range(), `%q must be an object of lists: { event = ["...", "..."] }`, a.Name)
		return
	}
	all := []map[string]string{{}}
	for _, item := range object.Items {
		name := hcl.ExprAsKeyword(item.KeyExpr)
		var values []string
		told := len(d.diags)
		d.texts(&hclsyntax.Attribute{Name: cmp.Or(name, a.Name), Expr: item.ValueExpr}, func(text string, _ hcl.Range) {
			values = append(values, text)
		})
		if len(values) == 0 && len(d.diags) == told {
			d.fail(item.ValueExpr.Range(), "no value for %q: then there is nothing to register", name)
		}
		if len(values) == 0 {
			values = []string{""} // it is given: nobody is to say that it is not
		}
		var more []map[string]string
		for _, one := range all {
			for _, value := range values {
				with := maps.Clone(one)
				with[name] = value
				more = append(more, with)
			}
		}
		if all = more; len(all) > maxEach {
			d.fail(a.Expr.Range(), "these are more than %d registrations", maxEach)
			return
		}
	}
	s.Each = all
}

// maxEach bounds the registrations of one block: what is known of all must fit into one value of the store.
const maxEach = 1000

func decodeSubscribe(d *decoder, s *Source, b *hclsyntax.Block) {
	name, at := d.label(b)
	if slices.ContainsFunc(s.Subscribe, func(other Subscription) bool { return other.Name == name }) {
		d.fail(at, "a second subscribe block of that name in this source")
	}
	sub := Subscription{Name: name, Each: []map[string]string{{}}}
	decodeBody(d, &sub, b.Body, &subscribeSchema)
	s.Subscribe = append(s.Subscribe, sub)
}

// checkSubscriptions completes subscriptions with what the provider says.
func (d *decoder) checkSubscriptions(s *Source, b *hclsyntax.Block) {
	blocks := slices.DeleteFunc(slices.Clone(b.Body.Blocks), func(inner *hclsyntax.Block) bool { return inner.Type != "subscribe" })
	for i, block := range blocks {
		sub := &s.Subscribe[i]
		switch {
		case sub.Create != nil:
		case s.Provider == nil || s.Provider.Subscribe == nil:
			d.fail(block.TypeRange, `hooktape does not know how to subscribe at this provider: describe it in a create block`)
		default:
			d.adoptSubscription(sub, s.Provider, block.TypeRange)
		}
	}
}

// adoptSubscription takes the provider's calls.
func (d *decoder) adoptSubscription(sub *Subscription, p *provider.Provider, at hcl.Range) {
	its := p.Subscribe
	sub.Always, sub.Tokens = sub.Always || its.Always, its.Credentials
	sub.Login, sub.Create = d.builtinCall(p, its.Login, at), d.builtinCall(p, its.Create, at)
	sub.Update, sub.Delete = d.builtinCall(p, its.Update, at), d.builtinCall(p, its.Delete, at)
	for into, src := range map[**expr.Expr]string{&sub.Access: its.Access, &sub.ID: its.ID} {
		if src != "" {
			*into = d.builtin(p, "subscription", src, expr.ParseText, at)
		}
	}
	if its.Exists != "" {
		sub.Exists = d.builtin(p, "subscription", its.Exists, expr.Parse, at)
	}
	defaults := make(map[string]string)
	for _, param := range its.Params {
		_, each := sub.Each[0][param.Name]
		_, given := sub.Params[param.Name]
		switch {
		case param.Default != "":
			defaults[param.Name] = param.Default
		case param.Required && !given && !each:
			d.fail(at, "%s wants a param %q to subscribe: params = { %s = \"...\" }", p.Title, param.Name, param.Name)
		}
	}
	maps.Copy(defaults, sub.Params)
	sub.Params = defaults
}

func (d *decoder) builtinCall(p *provider.Provider, c *provider.Call, at hcl.Range) *Call {
	if c == nil {
		return nil
	}
	call := &Call{Method: c.Method, Status: c.Status, URL: d.builtin(p, "subscription", c.URL, expr.ParseText, at)}
	if c.Body != "" {
		call.Body = d.builtin(p, "subscription", c.Body, expr.ParseText, at)
	}
	if c.OK != "" {
		call.OK = d.builtin(p, "subscription", c.OK, expr.Parse, at)
	}
	for _, h := range c.Headers {
		call.Headers = append(call.Headers, Header{h.Name, d.builtin(p, "subscription", h.Value, expr.ParseText, at)})
	}
	return call
}
