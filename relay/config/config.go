// Package config reads hooktape's configuration: HCL 2 in, plain values out.
//
// All problems of a file are found at once, and each is shown with its line. Values that come from env() and file()
// appear in no message. What each key means, and its default, is said in config.example.hcl at the top of the project;
// a test keeps the two in step.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/shape"
	"github.com/hooktape/hooktape/relay/wire"
)

// Config is a valid configuration.
type Config struct {
	Path      string  // the config file, as given to Load; "" when built in code
	Blank     bool    // the config file is empty: every key has its default
	Listen    string  // host:port
	Inspect   string  // host:port
	Data      string  // path of the tape; a relative one in the file is relative to the file
	PublicURL string  // without a slash at its end; "" when not given
	TLS       *TLS    // nil: the listener speaks plain HTTP
	Edge      *Edge   // nil: no tunnel comes in
	Uplink    *Uplink // nil: no tunnel goes out
	Limits    Limits
	Retain    Retain
	Sources   []Source
	Files     []File // the config file and those that were read for it: what Watch looks at

	Mask mask.Names // what to hide from people besides the defaults; nil: nothing

	TrustedProxies []netip.Prefix // whose X-Forwarded-For and X-Forwarded-Proto count
}

// Limits bound what the agent takes.
type Limits struct {
	MaxBody     int64 // bytes of a body; the limit of every source that sets none
	Memory      int64 // bytes that all requests under way may keep in memory
	Connections int   // open at once
	Head        int64 // bytes of a head
}

// Retain bounds the tape. Records beyond a bound go, the oldest first; those with pending deliveries stay.
type Retain struct {
	MaxAge  time.Duration // since a record came
	MaxSize int64         // bytes that the tape takes
}

// Source is where requests come in.
type Source struct {
	Name      string
	Path      string         // begins with "/"; as written
	Host      string         // in lower case, without a port; "" takes any
	PublicURL string         // instead of Config.PublicURL; "": that one
	Methods   []string       // nil takes all
	Allow     []netip.Prefix // addresses that may send to it; nil: any
	Respond   Respond
	Patience  time.Duration // 0: hooktape never takes over
	MaxBody   int64         // bytes
	Rate      Rate          // the most requests that it takes; the zero Rate: any number
	Provider  *provider.Provider
	Setting   provider.Setting // for Provider, without Fetch; Params whether or not there is a provider
	KeyFrom   *KeyFrom         // where a secret can be fetched, besides those of Setting; nil: nowhere
	OnInvalid OnInvalid
	Schema    *shape.Schema // that bodies must fit; nil: any body will do
	BadBody   OnInvalid     // what happens to bodies that do not fit; "" is RejectInvalid
	Direction Direction
	Trace     *expr.Expr // what makes requests belong together; nil, null or empty: their header fields decide
	Event     *expr.Expr // the name of the event, or a list of names; nil: requests have none
	Dedupe    *Dedupe    // nil: no request is a duplicate
	Acks      []Ack      // the first whose When holds answers; if none does, DefaultAck
	Targets   []Target
	Status    *Status // how senders can ask what became of their requests; nil: they can't
	Subscribe []Subscription

	Tunnel   string // the tunnel whose own source this is, at Host and below TunnelPath; "": none
	Template bool   // takes no requests itself: sources made at run time are modelled on it
	ID       string // of a source made at run time; "": it is in the config file
	Disabled bool   // takes no requests: senders get 410
}

// Direction says whose requests a source takes.
type Direction string

// The values of direction.
const (
	Inbound  Direction = "inbound"  // those of others, for the app
	Outbound Direction = "outbound" // those of the app, for others
)

// OnInvalid says what happens to requests that fail the provider's check, or whose bodies do not fit the schema.
type OnInvalid string

// The values of on_invalid.
const (
	RejectInvalid OnInvalid = "reject" // the sender gets an error: 401 or the like, 400 for a body
	RecordInvalid OnInvalid = "record" // they are taken, marked as not verified or as not fitting
)

// Checks says whether the source can tell who sent a request.
func (s *Source) Checks() bool {
	return s.Provider != nil && s.Provider.Scheme != nil && (len(s.Setting.Secrets) > 0 || s.KeyFrom != nil || s.Provider.Keyless)
}

// Dedupe says which requests are the same: the first of them is delivered, the others are answered like it.
type Dedupe struct {
	Key    *expr.Expr // requests with the same key are the same; null or empty: this one is like no other
	Window time.Duration
}

// defaultWindow is how long a first request is remembered: most providers give up within a day.
const defaultWindow = 24 * time.Hour

// Respond says who answers the sender.
type Respond string

// The values of respond.
const (
	RespondAck    Respond = "ack"    // hooktape, as soon as the record is committed
	RespondTarget Respond = "target" // the primary target, while it can be reached in time
)

// Ack is an answer of hooktape's own.
type Ack struct {
	When    *expr.Expr // nil: always
	Status  int
	Headers []Header
	Body    *expr.Expr // nil: empty
	Deliver bool       // whether the record goes to the targets
}

// Header is a header field of an ack or a rewrite.
type Header struct {
	Name  string
	Value *expr.Expr // null: the field is left out
}

// DefaultAck is the answer where no ack block holds: 200, empty, delivered.
func DefaultAck() Ack { return Ack{Status: 200, Deliver: true} }

// errBadFieldValue says that a computed value would end the field it stands in.
var errBadFieldValue = errors.New("the value has a line break or NUL in it")

// Fields are the ack's header fields for a record. Their values are computed from what senders send, so each is
// checked: one that would break the head is an error.
func (a *Ack) Fields(v *expr.View) (wire.Fields, error) { return fieldsOf(a.Headers, v) }

func fieldsOf(headers []Header, v *expr.View) (wire.Fields, error) {
	var fields wire.Fields
	for _, h := range headers {
		value, ok, err := h.value(v)
		if err != nil {
			return nil, err
		}
		if ok {
			fields = append(fields, wire.Field{Name: h.Name, Value: value})
		}
	}
	return fields, nil
}

// value is the field's value for a record; ok is false when it is null.
func (h *Header) value(v *expr.View) (value string, ok bool, err error) {
	bytes, err := h.Value.Bytes(v)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("header %q: %w", h.Name, err)
	case !isFieldValue(string(bytes)):
		return "", false, fmt.Errorf("header %q: %w", h.Name, errBadFieldValue)
	}
	return strings.Trim(string(bytes), " \t"), bytes != nil, nil
}

// isFieldValue rejects what ends a field, or is not allowed in one (RFC 9110 section 5.5).
func isFieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// Target is where a source's requests go.
type Target struct {
	Name        string
	URL         *url.URL   // only for show if the target is a tunnel
	Tunnel      string     // name of a tunnel of the edge; "": URL is the target
	When        *expr.Expr // nil: always
	OrderBy     *expr.Expr // nil: no order
	Timeout     time.Duration
	Concurrency int
	KeepHost    bool   // host = "original"
	Forwarded   bool   // X-Forwarded-For, -Proto and -Host are added
	IDHeader    string // the field that the record's id is sent in; "": none
	Primary     bool
	Copy        bool     // a laptop has asked for it: its response never becomes the answer
	Rewrite     *Rewrite // nil: what was recorded is sent
	Expect      *Expect  // nil: every 2xx will do
	Follow      *Follow  // nil: the response is all there is to come
	Retry       Retry
	Hold        time.Duration // how long a delivery waits for a target that is away; 0: for ever
	MaxPending  int           // deliveries that may wait; 0: any number
	Full        Full          // what happens beyond MaxPending; "" is FullReject
}

// Full says what happens when no more deliveries may wait for a target.
type Full string

// The values of full.
const (
	FullReject Full = "reject" // the sender gets 503
	FullDrop   Full = "drop"   // the oldest that waits expires
)

// Retry says how a delivery is tried again.
type Retry struct {
	For time.Duration // how long since the delivery was made; 0: one attempt
	Min time.Duration // the first wait is about this long
	Max time.Duration // no wait is longer
}

// Default is the configuration in which no key is given. It has no source.
func Default() *Config {
	return &Config{
		Listen:  "127.0.0.1:7070",
		Inspect: "127.0.0.1:7071",
		Data:    "hooktape.db",
		Limits:  Limits{MaxBody: 32 << 20, Memory: 256 << 20, Connections: 1024, Head: 64 << 10},
		Retain:  Retain{MaxAge: 30 * 24 * time.Hour, MaxSize: 10 << 30},
	}
}

// DefaultSource is a source with only its name and path given.
func DefaultSource(name, path string) Source {
	return Source{
		Name:     name,
		Path:     path,
		Respond:  RespondAck,
		Patience: 5 * time.Second,
		MaxBody:  Default().Limits.MaxBody,

		OnInvalid: RejectInvalid,
		Direction: Inbound,
	}
}

// DefaultTarget is a target with only its name and URL given.
func DefaultTarget(name string, u *url.URL) Target {
	return Target{
		Name:        name,
		URL:         u,
		Timeout:     10 * time.Second,
		Concurrency: 8,
		Retry:       Retry{For: 72 * time.Hour, Min: time.Second, Max: 10 * time.Minute},
		Hold:        168 * time.Hour,
		Full:        FullReject,
	}
}

// Scheme is the scheme of the URLs at which the listener is reached.
func (c *Config) Scheme() string {
	if c.TLS != nil {
		return "https"
	}
	return "http"
}

// Source is the source of that name; nil when there is none.
func (c *Config) Source(name string) *Source {
	if i := slices.IndexFunc(c.Sources, func(s Source) bool { return s.Name == name }); i >= 0 {
		return &c.Sources[i]
	}
	return nil
}
