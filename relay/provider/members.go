package provider

import "github.com/tidwall/gjson"

// members returns the members of a body that is a JSON object. Names that come twice are refused: we would check one
// of them, and the app would read the other.
func members(body []byte) (map[string]gjson.Result, *Failure) {
	root := gjson.ParseBytes(body)
	if !gjson.ValidBytes(body) || !root.IsObject() {
		return nil, misshapen("the body is no JSON object")
	}
	found := map[string]gjson.Result{}
	twice := ""
	root.ForEach(func(name, value gjson.Result) bool {
		if _, ok := found[name.Str]; ok {
			twice = name.Str
		}
		found[name.Str] = value
		return true
	})
	if twice != "" {
		return nil, misshapen("the body has %q twice", twice)
	}
	return found, nil
}

// wholeBody is the part of a Verifier that looks at the body when it is there whole.
type wholeBody struct{}

func (wholeBody) Write(p []byte) (int, error) { return len(p), nil }
func (wholeBody) Whole() bool                 { return true }
