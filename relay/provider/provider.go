// Package provider knows the dialects of webhook senders: how they sign, shake hands, name events and expect to be
// answered.
//
//	Named("github") → Provider → Scheme.Verifier(request) ← the body while it comes → nil, or a Failure that says why
//	                           → Scheme.Sign(request)     → Signature: what to change of a request so that it verifies
//	                           → Explain                  → one sentence: what was done to a request that fails
//
// A provider is a value, usually a literal over the schemes of this package. Nothing here does I/O: keys that must be
// fetched come through Setting.Fetch, time through Request.Time.
package provider

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"
)

// A Provider is the dialect of one webhook sender. Everything except Name, Title and Doc is optional. Providers are not
// changed after they are made, and are safe for use by many goroutines.
type Provider struct {
	Name  string // as the configuration has it: "github"
	Title string // as its maker writes it
	Doc   string // the page that documents how it signs

	Scheme  Scheme   // how requests are signed; nil: they are not
	Methods []string // methods of its events; nil: any
	// Event, Dedupe and what Acks are made of are expressions in the language of relay/expr.
	Event    string // the name of the event: `header.x-github-event`; "": events have no names
	Dedupe   string // what repeats of one event have in common: `json.id`; "": not known
	Acks     []Ack  // how it wants to be answered, the first whose When holds; nil: 200 without a body
	Optional bool   // it may be used without secrets, because it or its documentation leaves that to the receiver: then nothing is checked
	Keyless  bool   // Scheme needs no secret: it fetches the keys
	// Needs are the names of the params without which nothing can be checked.
	Needs  []string
	Denied int // the status of the answer to a request that fails the check; 0: 401
	// Allow are the addresses, as CIDR, that it sends from, if only they show who sent a request; nil: any.
	Allow []string

	// Handshake answers a request that is not an event, but the provider's way of asking who is there. It returns nil
	// for all others. Request.Body must be whole; a request with a body of more than MaxHandshake bytes is no
	// handshake.
	Handshake func(*Request, *Setting) *Reply

	// Headers identify requests of the provider (see Recognise): names in lower case, all of which must be there.
	// "name: text" wants a field whose value contains the text, in any case too.
	Headers []string

	Subscribe *Subscription // how to register a receiver with it; nil: no calls for that are known here
}

// MaxHandshake is the size of the largest body, in bytes, that a handshake can have.
const MaxHandshake = 64 << 10

// An Ack is an answer to an event.
type Ack struct {
	When    string   // a condition in the language of relay/expr; "": always
	Status  int      // 0: 200
	Headers []Header // in their order
	Body    string   // an expression that yields a string; "": none
	Ignore  bool     // the event is recorded but not delivered
}

// A Header is a field of an Ack.
type Header struct {
	Name  string
	Value string // an expression that yields a string
}

// Named returns the provider of that name.
func Named(name string) (*Provider, bool) {
	i, ok := slices.BinarySearchFunc(table, name, func(p *Provider, name string) int { return strings.Compare(p.Name, name) })
	if !ok {
		return nil, false
	}
	return table[i], true
}

// All returns the providers, sorted by name.
func All() []*Provider { return slices.Clone(table) }

// table has all providers, sorted by name. hmac is not among them: Custom makes it from the user's description.
var table = []*Provider{
	&adyen,
	&asna,
	&awsSNS,
	&azureEventGrid,
	&basicAuth,
	&bearerAuth,
	&bitbucket,
	&bitrix24,
	&clerk,
	&cloudevents,
	&cloudpayments,
	&coinbase,
	&contentful,
	&discord,
	&docusign,
	&dropbox,
	&gitea,
	&github,
	&gitlab,
	&googlePubSub,
	&hubspot,
	&iiko,
	&intercom,
	&linear,
	&mailgun,
	&meta,
	&metrika,
	&microsoftGraph,
	&mollie,
	&notion,
	&paddle,
	&pagerduty,
	&plaid,
	&qtickets,
	&razorpay,
	&sendgrid,
	&sentry,
	&shopify,
	&slack,
	&square,
	&standardwebhooks,
	&stripe,
	&svix,
	&telegram,
	&tinkoff,
	&twilio,
	&twitch,
	&typeform,
	&vercel,
	&vk,
	&websub,
	&woocommerce,
	&workos,
	&yookassa,
	&zendesk,
	&zoom,
}

// ErrUnsigned says that there is nothing to sign: the sender never does.
var ErrUnsigned = errors.New("its requests are not signed")

// Sign says what to change in a request so that it is as the provider would send it at r.Time, with a fresh id. s must
// be complete. The error is ErrUnsigned where the provider has no Scheme.
func (p *Provider) Sign(s *Setting, r *Request) (*Signature, error) {
	if p.Scheme == nil {
		return nil, fmt.Errorf("%s: %w", p.Title, ErrUnsigned)
	}
	g, err := p.Scheme.Sign(r, s, ulid.Make().String())
	if err != nil {
		return nil, fmt.Errorf("sign as %s: %w", p.Title, err)
	}
	return g, nil
}
