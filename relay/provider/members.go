package provider

import "github.com/tidwall/gjson"

// members returns the members of a body that is a JSON object.
func members(body []byte) (map[string]gjson.Result, *Failure) {
	if !oneMeaning(body) {
		return nil, misshapen("the body is no JSON, or parsers can take it for different things")
	}
	root := gjson.ParseBytes(body)
	if !root.IsObject() {
		return nil, misshapen("the body is no JSON object")
	}
	return root.Map(), nil
}

// wholeBody is the part of a Verifier that needs the whole body at once.
type wholeBody struct{}

func (wholeBody) Write(p []byte) (int, error) { return len(p), nil }
func (wholeBody) Whole() bool                 { return true }
