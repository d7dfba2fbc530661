// Package config reads hooktape's configuration: HCL 2 in, plain values out.
//
// All problems of a file are found at once, and each is shown with its line. Values that come from env() and file()
// appear in no message. What a key means and what it is when it is not given stands in config.example.hcl, at the top
// of the project; a test holds the two together.
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

// Config is a configuration that was found right.
type Config struct {
	Path      string  // the config file, as given to Load; "" when built in code
	Blank     bool    // there is nothing in the config file: all values are those of keys that are not given
	Listen    string  // host:port
	Inspect   string  // host:port
	Data      string  // path of the tape; one that is relative in the file is made relative to the file
	PublicURL string  // without a slash at its end; "" when not given
	TLS       *TLS    // nil: the listener speaks plain HTTP
	Edge      *Edge   // nil: no tunnel comes in
	Uplink    *Uplink // nil: no tunnel goes out
	Limits    Limits
	Retain    Retain
	Sources   []Source
	Files     []File // the config file and those that were read for it: what Watch looks at

	Mask mask.Names // what is hidden from people's eyes beside the defaults; nil: nothing

	TrustedProxies []netip.Prefix // whose X-Forwarded-For and X-Forwarded-Proto count
}

// Limits bound what the agent takes.
type Limits struct {
	MaxBody     int64 // bytes of a body; the limit of every source that sets none
	Memory      int64 // bytes that all requests under way may keep in memory
	Connections int   // open at once
	Head        int64 // bytes of a head
}

// Retain bounds the tape. Records that are beyond go, the oldest first; those with pending deliveries stay.
type Retain struct {
	MaxAge  time.Duration // since a record came
	MaxSize int64         // bytes that the tape takes
}

// Source is where requests come in.
type Source struct {
	Name      string
	Path      string         // begins with "/"; as written
	Host      string         // in lower case, without a port; "" takes any
	PublicURL string         // as Config.PublicURL, in the place of it; "": that of Config
	Methods   []string       // nil takes all
	Allow     []netip.Prefix // addresses that it takes requests from; nil: any
	Respond   Respond
	Patience  time.Duration // 0: never takes over
	MaxBody   int64         // bytes
	Rate      Rate          // requests that it takes; the zero Rate takes any number
	Provider  *provider.Provider
	Setting   provider.Setting // for Provider, without Fetch; Params whether or not there is a provider
	KeyFrom   *KeyFrom         // where a secret is handed out, beside those of Setting; nil: nowhere
	OnInvalid OnInvalid
	Schema    *shape.Schema // that bodies have to fit; nil: any will do
	BadBody   OnInvalid     // what happens with those that do not; "" is RejectInvalid
	Direction Direction
	Trace     *expr.Expr // what makes requests belong together; nil, null or empty: what their header fields say
	Event     *expr.Expr // the name of the event, or a list of names; nil: requests have none
	Dedupe    *Dedupe    // nil: every request is one of its own
	Acks      []Ack      // the first whose When holds answers, else DefaultAck
	Targets   []Target
	Status    *Status // how senders learn what became of what they sent; nil: they can't ask
	Subscribe []Subscription

	Tunnel   string // whose own address it is: it has two, at Host and below TunnelPath; "": no tunnel's
	Template bool   // takes no requests itself: sources made at run time are like it
	ID       string // of a source made at run time; "": it is in the config file
	Disabled bool   // takes no requests: senders get 410
}

// Direction says whose requests come in through a source.
type Direction string

// The values of direction.
const (
	Inbound  Direction = "inbound"  // those of others, for the app
	Outbound Direction = "outbound" // those of the app, for others
)

// OnInvalid says what happens with requests that fail the check of the provider, or whose bodies do not fit the schema.
type OnInvalid string

// The values of on_invalid.
const (
	RejectInvalid OnInvalid = "reject" // the sender gets 401 or so, or 400
	RecordInvalid OnInvalid = "record" // they are taken, marked as not verified or as not fitting
)

// Checks says whether the source can tell whose requests come.
func (s *Source) Checks() bool {
	return s.Provider != nil && s.Provider.Scheme != nil && (len(s.Setting.Secrets) > 0 || s.KeyFrom != nil || s.Provider.Keyless)
}

// Dedupe says which requests are the same: the first of them is delivered, the others are answered like it.
type Dedupe struct {
	Key    *expr.Expr // those with the same; null or empty: none is the same
	Window time.Duration
}

// defaultWindow is for how long a first request is remembered: most providers give up within a day.
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

// errBadFieldValue is a computed value that would end the field it stands in.
var errBadFieldValue = errors.New("the value has a line break or NUL in it")

// Fields are the ack's header fields for a record. Values are computed, from what senders send, so each is checked: one
// that would break the head is an error.
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

// value is that of the field for a record; not ok: null.
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

// isFieldValue keeps out what ends a field or is refused in one (RFC 9110 section 5.5).
func isFieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// Target is where a source's requests go.
type Target struct {
	Name        string
	URL         *url.URL   // of a tunnel it is for show
	Tunnel      string     // of the edge; "": URL
	When        *expr.Expr // nil: always
	OrderBy     *expr.Expr // nil: no order
	Timeout     time.Duration
	Concurrency int
	KeepHost    bool   // host = "original"
	Forwarded   bool   // X-Forwarded-For, -Proto and -Host are added
	IDHeader    string // the field that the record's id is sent in; "": none
	Primary     bool
	Copy        bool     // a laptop has asked for it: its response is nobody's answer
	Rewrite     *Rewrite // nil: what was recorded is sent
	Expect      *Expect  // nil: every 2xx will do
	Follow      *Follow  // nil: a response is all there is to come
	Retry       Retry
	Hold        time.Duration // how long a delivery waits for a target that is away; 0: for ever
	MaxPending  int           // deliveries that may wait; 0: any number
	Full        Full          // what happens beyond MaxPending; "" is FullReject
}

// Full says what happens when as many deliveries wait for a target as may.
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

// Default is the configuration where no key is given. It has no source.
func Default() *Config {
	return &Config{
		Listen:  "127.0.0.1:7070",
		Inspect: "127.0.0.1:7071",
		Data:    "hooktape.db",
		Limits:  Limits{MaxBody: 32 << 20, Memory: 256 << 20, Connections: 1024, Head: 64 << 10},
		Retain:  Retain{MaxAge: 30 * 24 * time.Hour, MaxSize: 10 << 30},
	}
}

// DefaultSource is a source where only its name and path are given.
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

// DefaultTarget is a target where only its name and URL are given.
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

// Scheme is that of the URLs that the listener is reached by.
func (c *Config) Scheme() string {
	if c.TLS != nil {
		return "https"
	}
	return "http"
}

// Source is the source of a name; nil when there is none.
func (c *Config) Source(name string) *Source {
	if i := slices.IndexFunc(c.Sources, func(s Source) bool { return s.Name == name }); i >= 0 {
		return &c.Sources[i]
	}
	return nil
}
