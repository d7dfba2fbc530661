package config

import (
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/expr"
)

const (
	maxConcurrency = 1024 // attempts to one target at once
	maxPending     = 1e9  // deliveries that wait: beyond this it is no bound
	maxConnections = 1 << 20
	minMemory      = 1 << 20 // many a single body needs more
	minHead        = 1 << 10 // smaller than any sender's head
	minStatus      = 200     // an answer is final
	maxStatus      = 599
	minRetainAge   = time.Minute
	minRetainSize  = 1 << 20 // an empty tape takes 64 KiB
)

var topSchema = schema[Config]{
	keys: map[string]func(*decoder, *Config, *hclsyntax.Attribute){
		"listen":          func(d *decoder, c *Config, a *hclsyntax.Attribute) { d.address(a, &c.Listen) },
		"inspect":         func(d *decoder, c *Config, a *hclsyntax.Attribute) { d.address(a, &c.Inspect) },
		"data":            func(d *decoder, c *Config, a *hclsyntax.Attribute) { d.path(a, &c.Data) },
		"mask":            func(d *decoder, c *Config, a *hclsyntax.Attribute) { d.mask(a, &c.Mask) },
		"trusted_proxies": func(d *decoder, c *Config, a *hclsyntax.Attribute) { d.networks(a, &c.TrustedProxies) },
		"public_url":      func(d *decoder, c *Config, a *hclsyntax.Attribute) { d.publicURL(a, &c.PublicURL) },
	},
	blocks: map[string]func(*decoder, *Config, *hclsyntax.Block){
		"limits": func(d *decoder, c *Config, b *hclsyntax.Block) {
			d.unlabeled(b)
			d.once("limits", b.TypeRange, "a second limits block")
			decodeBody(d, &c.Limits, b.Body, &limitsSchema)
		},
		"retain": func(d *decoder, c *Config, b *hclsyntax.Block) {
			d.unlabeled(b)
			d.once("retain", b.TypeRange, "a second retain block")
			decodeBody(d, &c.Retain, b.Body, &retainSchema)
		},
		"source": decodeSource,
		"tls":    decodeTLS,
		"edge":   decodeEdge,
		"uplink": decodeUplink,
	},
}

var limitsSchema = schema[Limits]{
	place: "limits",
	keys: map[string]func(*decoder, *Limits, *hclsyntax.Attribute){
		"max_body":    func(d *decoder, l *Limits, a *hclsyntax.Attribute) { d.size(a, &l.MaxBody) },
		"memory":      func(d *decoder, l *Limits, a *hclsyntax.Attribute) { d.sizeFrom(a, minMemory, &l.Memory) },
		"connections": func(d *decoder, l *Limits, a *hclsyntax.Attribute) { d.number(a, 1, maxConnections, &l.Connections) },
		"head":        func(d *decoder, l *Limits, a *hclsyntax.Attribute) { d.sizeFrom(a, minHead, &l.Head) },
	},
}

var retainSchema = schema[Retain]{
	place: "retain",
	keys: map[string]func(*decoder, *Retain, *hclsyntax.Attribute){
		"max_age":  func(d *decoder, r *Retain, a *hclsyntax.Attribute) { d.duration(a, minRetainAge, &r.MaxAge) },
		"max_size": func(d *decoder, r *Retain, a *hclsyntax.Attribute) { d.sizeFrom(a, minRetainSize, &r.MaxSize) },
	},
}

var sourceSchema = schema[Source]{
	place: "source",
	keys: map[string]func(*decoder, *Source, *hclsyntax.Attribute){
		"path":     func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.sourcePath(a, &s.Path) },
		"host":     func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.host(a, &s.Host) },
		"methods":  func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.methods(a, &s.Methods) },
		"respond":  decodeRespond,
		"patience": func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.duration(a, 0, &s.Patience) },
		"max_body": func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.size(a, &s.MaxBody) },
		"rate":     func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.rate(a, &s.Rate) },

		"template":   func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.flag(a, &s.Template) },
		"public_url": func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.publicURL(a, &s.PublicURL) },
		"allow":      func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.networks(a, &s.Allow) },
		"provider":   func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.provider(a, &s.Provider) },
		"secrets":    func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.secrets(a, &s.Setting.Secrets) },
		"tolerance":  func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.duration(a, time.Second, &s.Setting.Tolerance) },
		"params":     func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.params(a, &s.Setting.Params) },
		"on_invalid": decodeOnInvalid,
		"direction":  decodeDirection,
		"trace":      func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.template(a.Expr, &s.Trace) },
		"schema":     func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.schema(a, &s.Schema) },

		"on_invalid_body": decodeOnInvalidBody,
		"event":           func(d *decoder, s *Source, a *hclsyntax.Attribute) { d.value(a.Expr, &s.Event) },
	},
	blocks: map[string]func(*decoder, *Source, *hclsyntax.Block){
		"signature": decodeSignature,
		"key_from":  decodeKeyFrom,

		"dedupe": decodeDedupe,
		"ack":    decodeAck,
		"status": after(nil, decodeStatus),
		"target": decodeTarget,

		"subscribe": after(unknownAfterResponse, decodeSubscribe),
	},
}

var dedupeSchema = schema[Dedupe]{
	place: "dedupe",
	keys: map[string]func(*decoder, *Dedupe, *hclsyntax.Attribute){
		"key":    func(d *decoder, p *Dedupe, a *hclsyntax.Attribute) { d.template(a.Expr, &p.Key) },
		"window": func(d *decoder, p *Dedupe, a *hclsyntax.Attribute) { d.duration(a, time.Second, &p.Window) },
	},
}

var ackSchema = schema[Ack]{
	place: "ack",
	keys: map[string]func(*decoder, *Ack, *hclsyntax.Attribute){
		"when":    func(d *decoder, k *Ack, a *hclsyntax.Attribute) { d.condition(a, &k.When) },
		"status":  func(d *decoder, k *Ack, a *hclsyntax.Attribute) { d.number(a, minStatus, maxStatus, &k.Status) },
		"headers": func(d *decoder, k *Ack, a *hclsyntax.Attribute) { d.headers(a, &k.Headers) },
		"body":    func(d *decoder, k *Ack, a *hclsyntax.Attribute) { d.template(a.Expr, &k.Body) },
		"deliver": func(d *decoder, k *Ack, a *hclsyntax.Attribute) { d.flag(a, &k.Deliver) },
	},
}

var targetSchema = schema[Target]{
	place: "target",
	keys: map[string]func(*decoder, *Target, *hclsyntax.Attribute){
		"url":         func(d *decoder, t *Target, a *hclsyntax.Attribute) { d.targetURL(a, &t.URL) },
		"tunnel":      decodeTargetTunnel,
		"when":        func(d *decoder, t *Target, a *hclsyntax.Attribute) { d.condition(a, &t.When) },
		"timeout":     func(d *decoder, t *Target, a *hclsyntax.Attribute) { d.duration(a, minTimeout, &t.Timeout) },
		"concurrency": func(d *decoder, t *Target, a *hclsyntax.Attribute) { d.number(a, 1, maxConcurrency, &t.Concurrency) },
		"order_by":    func(d *decoder, t *Target, a *hclsyntax.Attribute) { d.template(a.Expr, &t.OrderBy) },
		"host":        decodeTargetHost,
		"forwarded":   func(d *decoder, t *Target, a *hclsyntax.Attribute) { d.flag(a, &t.Forwarded) },
		"id_header":   func(d *decoder, t *Target, a *hclsyntax.Attribute) { d.fieldName(a, &t.IDHeader) },
		"primary":     func(d *decoder, t *Target, a *hclsyntax.Attribute) { d.flag(a, &t.Primary) },
		"hold":        func(d *decoder, t *Target, a *hclsyntax.Attribute) { d.duration(a, minTimeout, &t.Hold) },
		"max_pending": func(d *decoder, t *Target, a *hclsyntax.Attribute) { d.number(a, 1, maxPending, &t.MaxPending) },
		"full":        decodeFull,
	},
	blocks: map[string]func(*decoder, *Target, *hclsyntax.Block){
		"rewrite": decodeRewrite,
		"expect":  after(unknownAfterResponse, decodeExpect),
		"follow":  after(unknownAfterResponse, decodeFollow),
		"retry": func(d *decoder, t *Target, b *hclsyntax.Block) {
			d.unlabeled(b)
			decodeBody(d, &t.Retry, b.Body, &retrySchema)
			if t.Retry.Min > t.Retry.Max {
				d.fail(b.TypeRange, `"min" must not be more than "max", which is %s`, durationText(t.Retry.Max))
			}
		},
	},
}

var retrySchema = schema[Retry]{
	place: "retry",
	keys: map[string]func(*decoder, *Retry, *hclsyntax.Attribute){
		"for": func(d *decoder, r *Retry, a *hclsyntax.Attribute) { d.duration(a, 0, &r.For) },
		"min": func(d *decoder, r *Retry, a *hclsyntax.Attribute) { d.duration(a, minTimeout, &r.Min) },
		"max": func(d *decoder, r *Retry, a *hclsyntax.Attribute) { d.duration(a, minTimeout, &r.Max) },
	},
}

func decodeSource(d *decoder, c *Config, b *hclsyntax.Block) {
	name, at := d.label(b)
	d.once("source "+name, at, "a second source of that name")
	s := DefaultSource(name, "")
	s.MaxBody = 0 // then the one in limits, which may come further down
	decodeBody(d, &s, b.Body, &sourceSchema)
	d.checkSource(&s, b)
	c.Sources = append(c.Sources, s)
}

// checkSource checks what only shows once all of a source is read.
func (d *decoder) checkSource(s *Source, b *hclsyntax.Block) {
	if b.Body.Attributes["path"] == nil {
		d.fail(b.DefRange(), `a source needs a path, which begins with "/"`)
	}
	if s.Path != "" {
		d.once("path "+s.place(), b.Body.Attributes["path"].Expr.Range(), "another source has this path and host")
	}
	if s.Respond == RespondTarget && len(s.Targets) == 0 {
		d.fail(b.Body.Attributes["respond"].Expr.Range(), `respond = "target" needs a target block in this source`)
	}
	if a := b.Body.Attributes["on_invalid_body"]; a != nil && b.Body.Attributes["schema"] == nil {
		d.fail(a.NameRange, `"on_invalid_body" says what happens with bodies that do not fit "schema", which is not given`)
	}
	var always *hclsyntax.Block
	for _, ack := range b.Body.Blocks {
		switch {
		case ack.Type != "ack":
		case always != nil:
			d.fail(ack.TypeRange, `this ack is never given: the one in line %d has no "when"`, always.TypeRange.Start.Line)
		case ack.Body.Attributes["when"] == nil:
			always = ack
		}
	}
	d.checkTargets(b)
	d.checkStatus(s, b)
	d.checkSender(s, b)
	d.adopt(s, b)
	d.checkSubscriptions(s, b)
	d.checkDedupe(s, b)
}

// checkTargets finds names that come twice, and more than one primary.
func (d *decoder) checkTargets(source *hclsyntax.Block) {
	names, primary := map[string]int{}, 0
	for _, b := range source.Body.Blocks {
		if b.Type != "target" || len(b.Labels) == 0 {
			continue
		}
		if line := names[b.Labels[0]]; line > 0 {
			d.fail(b.LabelRanges[0], "a second target of that name in this source; the first is in line %d", line)
		}
		names[b.Labels[0]] = b.TypeRange.Start.Line
		a := b.Body.Attributes["primary"]
		if a == nil || hcl.ExprAsKeyword(a.Expr) == "false" {
			continue
		}
		if primary > 0 {
			d.fail(a.SrcRange, "a source has one primary target; the other is in line %d", primary)
		}
		primary = a.SrcRange.Start.Line
	}
}

func decodeDirection(d *decoder, s *Source, a *hclsyntax.Attribute) {
	if text, ok := d.oneOf(a, string(Inbound), string(Outbound)); ok {
		s.Direction = Direction(text)
	}
}

func decodeRespond(d *decoder, s *Source, a *hclsyntax.Attribute) {
	if text, ok := d.oneOf(a, string(RespondAck), string(RespondTarget)); ok {
		s.Respond = Respond(text)
	}
}

func decodeTargetHost(d *decoder, t *Target, a *hclsyntax.Attribute) {
	if text, ok := d.oneOf(a, "target", "original"); ok {
		t.KeepHost = text == "original"
	}
}

func decodeFull(d *decoder, t *Target, a *hclsyntax.Attribute) {
	if text, ok := d.oneOf(a, string(FullReject), string(FullDrop)); ok {
		t.Full = Full(text)
	}
}

func decodeDedupe(d *decoder, s *Source, b *hclsyntax.Block) {
	d.unlabeled(b)
	if s.Dedupe != nil {
		d.fail(b.TypeRange, "a second dedupe block in this source")
	}
	s.Dedupe = &Dedupe{Window: defaultWindow}
	decodeBody(d, s.Dedupe, b.Body, &dedupeSchema)
}

func decodeAck(d *decoder, s *Source, b *hclsyntax.Block) {
	d.unlabeled(b)
	ack := DefaultAck()
	decodeBody(d, &ack, b.Body, &ackSchema)
	if ack.Body != nil && (ack.Status == 204 || ack.Status == 304) {
		d.fail(b.Body.Attributes["body"].SrcRange, "an answer with status %d has no body", ack.Status)
	}
	s.Acks = append(s.Acks, ack)
}

func decodeTarget(d *decoder, s *Source, b *hclsyntax.Block) {
	name, _ := d.label(b)
	t := DefaultTarget(name, nil)
	through := b.Body.Attributes["tunnel"] != nil
	if through {
		t = tunnelTarget(name, "")
	}
	decodeBody(d, &t, b.Body, &targetSchema)
	switch {
	case through:
		d.checkTunnel(b)
	case b.Body.Attributes["url"] == nil:
		d.fail(b.DefRange(), "a target needs a url, or a tunnel")
	default:
		d.urls[s.Name+" "+name] = b.Body.Attributes["url"].Expr.Range()
	}
	if a := b.Body.Attributes["full"]; a != nil && b.Body.Attributes["max_pending"] == nil {
		d.fail(a.NameRange, `"full" says what happens beyond "max_pending", which is not given`)
	}
	retries := 0
	for _, inner := range b.Body.Blocks {
		if inner.Type == "retry" {
			if retries++; retries > 1 {
				d.fail(inner.TypeRange, "a second retry block in this target")
			}
		}
	}
	d.checkRewrite(&t, b)
	s.Targets = append(s.Targets, t)
}

// checkConfig checks and completes what only shows once all of the file is read.
func (d *decoder) checkConfig(c *Config) {
	d.checkFollows(c)
	d.checkEdge(c)
	d.checkACME(c)
	for i := range c.Sources {
		if c.Sources[i].MaxBody == 0 {
			c.Sources[i].MaxBody = c.Limits.MaxBody
		}
	}
}

// oneOf reads one of a few words.
func (d *decoder) oneOf(a *hclsyntax.Attribute, words ...string) (string, bool) {
	text, ok := d.text(a)
	if !ok {
		return "", false
	}
	for _, w := range words {
		if text == w {
			return text, true
		}
	}
	did := ""
	if near := expr.Nearest(text, words); near != "" {
		did = `; did you mean "` + near + `"?`
	}
	d.fail(a.Expr.Range(), `%q must be "%s"%s`, a.Name, strings.Join(words, `" or "`), did)
	return "", false
}
