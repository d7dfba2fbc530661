package shape

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func compile(t *testing.T, text string) *Schema {
	t.Helper()
	s, err := Compile("s.json", func(string) ([]byte, error) { return []byte(text), nil })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stocks is what ASNA's answers tell of its schema.
const stocks = `{
	"type": "object",
	"required": ["date", "stocks"],
	"properties": {"stocks": {"type": "array", "items": {
		"type": "object",
		"required": ["prtId"],
		"additionalProperties": false,
		"properties": {
			"prtId":   {"type": "string"},
			"supDate": {"type": "string", "format": "date-time"},
			"gnvls":   {"type": ["boolean", "null"]}
		}
	}}}
}`

func TestWhatDoesNotFitIsToldByFieldAndPlace(t *testing.T) {
	s := compile(t, stocks)
	const body = `{"date": "2018-11-22",` + "\n" + `"stocks":[{"prtId":111445,"supDate":"","gnvls":1},{"odd":true,"prtId":"x"},{}]}`
	invalid, ok := errors.AsType[*Invalid](s.Check([]byte(body)))
	if !ok {
		t.Fatal("it fits")
	}
	want := []Problem{
		{"stocks[0].prtId", "Line: 2 Position: 20 Value: 111445 Error: Invalid type. Expected String but got Number."},
		{"stocks[0].supDate", "Line: 2 Position: 37 Value: Error: String '' does not validate against format 'date-time'."},
		{"stocks[0].gnvls", "Line: 2 Position: 48 Value: 1 Error: Invalid type. Expected Boolean, Null but got Number."},
		{"stocks[1].odd", "Line: 2 Position: 51 Value: Error: Property 'odd' has not been defined and the schema does not allow additional properties."},
		{"stocks[2].prtId", "Line: 2 Position: 76 Value: Error: Required properties are missing from object: prtId."},
	}
	if diff := cmp.Diff(want, invalid.Problems); diff != "" {
		t.Error(diff)
	}
	if got := invalid.Error(); got != "the body does not fit the schema: stocks[0].prtId, stocks[0].supDate, stocks[0].gnvls, stocks[1].odd, stocks[2].prtId" {
		t.Error(got)
	}
	for _, fits := range []string{`{"date":1,"stocks":[]}`, "\uFEFF {\"date\":1,\"stocks\":[{\"prtId\":\"1\",\"gnvls\":null}]}\n"} {
		if err := s.Check([]byte(fits)); err != nil {
			t.Errorf("%s: %v", fits, err)
		}
	}
}

func TestABodyThatDoesNotParseGetsTheMessageAlone(t *testing.T) {
	s := compile(t, `{}`)
	for body, want := range map[string]string{
		"{\n \"a\" 1}": "Invalid character '1' after object key. Line 2, position 6.",
		`{"a":1`:       "The JSON ends too early. Line 1, position 7.",
		``:             "The body is empty.",
		`{} {}`:        "There is something behind the end of the JSON. Line 1, position 6.",
		strings.Repeat("[", 600) + strings.Repeat("]", 600): "It is nested more than 512 deep. Line 1, position 1201.",
	} {
		invalid, ok := errors.AsType[*Invalid](s.Check([]byte(body)))
		if !ok || invalid.Problems != nil || invalid.Message != want || invalid.Error() != want {
			t.Errorf("%.20q: %+v, want %q", body, invalid, want)
		}
	}
}

func TestAlternativesAndNumbers(t *testing.T) {
	s := compile(t, `{"properties": {"n": {"type": "number", "maximum": 5}},
		"anyOf": [{"required": ["client_id"]}, {"required": ["user_id"]}, {"required": ["yclid"]}]}`)
	for body, want := range map[string]Problem{
		`{"n": 7, "yclid": 1}`:         {"n", "Line: 1 Position: 7 Value: 7 Error: Maximum: got 7, want 5."},
		`{"n": 1e1000000, "yclid": 1}`: {"n", "Line: 1 Position: 7 Value: 1e1000000 Error: the number has too many digits or too large an exponent"},
		`{}`: {"", "Line: 1 Position: 1 Value: Error: None of the alternatives fits: Required properties are missing from object: client_id. " +
			"Required properties are missing from object: user_id. Required properties are missing from object: yclid."},
	} {
		invalid, ok := errors.AsType[*Invalid](s.Check([]byte(body)))
		if !ok || len(invalid.Problems) != 1 || invalid.Problems[0] != want {
			t.Errorf("%s: %+v, want %+v", body, invalid, want)
		}
	}
}

func TestTheFirstHundredProblemsAreTold(t *testing.T) {
	s := compile(t, `{"items": {"type": "string"}}`)
	invalid, ok := errors.AsType[*Invalid](s.Check([]byte("[" + strings.Repeat("1,", 500) + "1]")))
	if !ok || len(invalid.Problems) != 100 || invalid.Problems[99].Field != "[99]" {
		t.Errorf("%d problems", len(invalid.Problems))
	}
	if got := invalid.Error(); got != "the body does not fit the schema: [0], [1], [2], [3], [4], and 95 more" {
		t.Error(got)
	}
}

func TestSchemasThatAreNone(t *testing.T) {
	read := func(name string) ([]byte, error) {
		text, ok := map[string]string{
			"cut.json":      `{"type": `,
			"odd.json":      `{"type": "strin"}`,
			"parts.json":    `{"$ref": "sub/part.json#/a"}`,
			"remote.json":   `{"$ref": "https://example.com/schema.json"}`,
			"sub/part.json": `{"a": {"type": "string"}}`,
		}[name]
		if !ok {
			return nil, fmt.Errorf("cannot read %q: %w", name, os.ErrNotExist)
		}
		return []byte(text), nil
	}
	for name, want := range map[string]string{
		"cut.json":    "unexpected EOF",
		"odd.json":    "it is no JSON Schema: type: ",
		"none.json":   `cannot read "none.json"`,
		"remote.json": errRemote.Error(),
	} {
		if _, err := Compile(name, read); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	s, err := Compile("parts.json", read)
	if err != nil {
		t.Fatal(err)
	}
	if s.Check([]byte(`1`)) == nil || s.Check([]byte(`"a"`)) != nil {
		t.Error("the other file counts for nothing")
	}
}
