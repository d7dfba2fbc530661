package provider

import (
	"fmt"

	"github.com/tidwall/gjson"
)

// microsoftGraph sends several notifications at once, each with the clientState of its subscription: the secret. It
// wants a 202.
var microsoftGraph = Provider{
	Name:      "microsoft-graph",
	Title:     "Microsoft Graph",
	Doc:       "https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks",
	Scheme:    graphState{},
	Methods:   []string{"POST"},
	Event:     "json.value[0].changeType != null ? json.value[0].changeType : json.value[0].lifecycleEvent",
	Acks:      []Ack{{Status: 202}},
	Handshake: graphValidation,
}

// graphValidation answers the question whether the URL is ours, which comes before a subscription exists.
func graphValidation(r *Request, _ *Setting) *Reply {
	token, ok := parameter(r.Head.Query(), "validationToken")
	if r.Head.Method != "POST" || !ok {
		return nil
	}
	return echo(token)
}

// graphState is the clientState of each notification.
type graphState struct{}

// Verifier implements Scheme.
func (graphState) Verifier(r *Request, s *Setting) Verifier {
	return &graphVerifier{request: r, setting: s}
}

type graphVerifier struct {
	wholeBody
	request *Request
	setting *Setting
}

// Verify implements Verifier. One notification that is not ours makes all of them suspect.
func (v *graphVerifier) Verify() *Failure {
	if !anySecret(v.setting) {
		return &Failure{Kind: Unavailable, Token: true, Reason: errNoKey.Error()}
	}
	root, failure := members(v.request.Body)
	if failure != nil {
		failure.Token = true
		return failure
	}
	notifications := root["value"].Array()
	if !root["value"].IsArray() || len(notifications) == 0 {
		return &Failure{Kind: Missing, Token: true, Reason: "the body has no notifications"}
	}
	for i, n := range notifications {
		if failure := v.judge(n, i); failure != nil {
			return failure
		}
	}
	return nil
}

func (v *graphVerifier) judge(notification gjson.Result, i int) *Failure {
	state := notification.Get("clientState")
	switch {
	case state.Type != gjson.String || state.Str == "":
		return &Failure{Kind: Missing, Token: true, Reason: fmt.Sprintf("clientState of notification %d is missing", i+1)}
	case !sameAsAny(state.Str, v.setting.Secrets):
		return &Failure{Kind: Mismatch, Token: true, Reason: fmt.Sprintf("clientState of notification %d is not the configured one", i+1)}
	}
	return nil
}

// Sign implements Scheme.
func (graphState) Sign(r *Request, s *Setting, _ string) (*Signature, error) {
	if len(s.Secrets) == 0 || s.Secrets[0] == "" {
		return nil, errNoKey
	}
	g := new(Signature)
	for i := range gjson.GetBytes(r.Body, "value").Array() {
		if err := place(fmt.Sprintf("json:value.%d.clientState", i)).set(g, r, s.Secrets[0]); err != nil {
			return nil, err
		}
	}
	return g, nil
}
