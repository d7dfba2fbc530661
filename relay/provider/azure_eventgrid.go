package provider

import (
	"cmp"
	"strings"

	"github.com/tidwall/gjson"
)

// azureEventGrid is Azure Event Grid with either schema, CloudEvents or its own. It signs nothing: the URL that it is
// given has a secret, in the parameter that params.query names (default "code", as in Azure's own handlers).
var azureEventGrid = Provider{
	Name:      "azure-eventgrid",
	Title:     "Azure Event Grid",
	Doc:       "https://learn.microsoft.com/en-us/azure/event-grid/security-authentication#using-client-secret-as-a-query-parameter",
	Scheme:    eventGridToken{},
	Methods:   []string{"POST"},
	Event:     "json[0].eventType != null ? json[0].eventType : json.type",
	Handshake: eventGridValidation,
	Headers:   []string{"aeg-event-type"},
}

// eventGridToken is a token in the parameter that the setting names.
type eventGridToken struct{}

func (eventGridToken) of(s *Setting) *token {
	return &token{At: []place{place("query:" + cmp.Or(s.Params["query"], "code"))}}
}

// Verifier implements Scheme.
func (c eventGridToken) Verifier(r *Request, s *Setting) Verifier { return c.of(s).Verifier(r, s) }

// Sign implements Scheme.
func (c eventGridToken) Sign(r *Request, s *Setting, id string) (*Signature, error) {
	return c.of(s).Sign(r, s, id)
}

// eventGridValidation answers the validation event of a subscription, which comes to the URL with the secret. With the
// CloudEvents schema it answers that specification's question instead, which may come without the secret.
func eventGridValidation(r *Request, s *Setting) *Reply {
	if reply := cloudEventsValidation(r, s); reply != nil {
		return reply
	}
	kind, _ := r.Head.Fields.Get("aeg-event-type")
	code := gjson.GetBytes(r.Body, "0.data.validationCode")
	if !strings.EqualFold(kind, "SubscriptionValidation") || code.Type != gjson.String {
		return nil
	}
	return echoJSON(map[string]string{"validationResponse": code.Str}).checked()
}
