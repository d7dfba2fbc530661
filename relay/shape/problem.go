package shape

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// finder gathers problems with the paths of the values they are about.
type finder struct {
	found []located
}

type located struct {
	path   []string // of the value
	child  string   // below it, where something is missing or too much; "": nothing
	reason string
}

// english words what the library says.
var english = message.NewPrinter(language.English)

// problems are those at the leaves of the library's tree, without their places.
func (f *finder) problems(e *jsonschema.ValidationError) []Problem {
	f.gather(e)
	return f.list()
}

func (f *finder) one(path []string, reason string) []Problem {
	f.found = []located{{path: path, reason: reason}}
	return f.list()
}

func (f *finder) list() []Problem {
	problems := make([]Problem, len(f.found))
	for i, l := range f.found {
		path := l.path
		if l.child != "" {
			path = append(slices.Clone(path), l.child)
		}
		problems[i] = Problem{Field: fieldName(path), Message: l.reason}
	}
	return problems
}

func (f *finder) gather(e *jsonschema.ValidationError) {
	add := func(child, reason string) { f.found = append(f.found, located{e.InstanceLocation, child, reason}) }
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			add(name, "Required properties are missing from object: "+name+".")
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			add(name, "Property '"+name+"' has not been defined and the schema does not allow additional properties.")
		}
	case *kind.Type:
		add("", fmt.Sprintf("Invalid type. Expected %s but got %s.", titles(k.Want), titles([]string{k.Got})))
	case *kind.Format:
		add("", fmt.Sprintf("String '%v' does not validate against format '%s'.", k.Got, k.Want))
	case *kind.AnyOf, *kind.OneOf, *kind.Not:
		add("", alternatives(e))
	default:
		if len(e.Causes) == 0 {
			add("", sentence(e.ErrorKind.LocalizedString(english)))
		}
		for _, cause := range e.Causes {
			f.gather(cause)
		}
	}
}

// alternatives says what would have made one of several schemas fit.
func alternatives(e *jsonschema.ValidationError) string {
	inner := &finder{}
	for _, cause := range e.Causes {
		inner.gather(cause)
	}
	var wants []string
	for _, p := range inner.list() {
		if !slices.Contains(wants, p.Message) {
			wants = append(wants, p.Message)
		}
	}
	if len(wants) == 0 {
		return sentence(e.ErrorKind.LocalizedString(english))
	}
	return "None of the alternatives fits: " + strings.Join(wants, " ")
}

// titles are the names of types as validation services write them, null the last.
func titles(types []string) string {
	var names, null []string
	for _, t := range types {
		title := strings.TrimSuffix(sentence(t), ".")
		if t == "null" {
			null = []string{title}
			continue
		}
		names = append(names, title)
	}
	return strings.Join(append(names, null...), ", ")
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// fieldName writes a path as JavaScript does: stocks[0].prtId.
func fieldName(path []string) string {
	var b strings.Builder
	for _, step := range path {
		if n, err := strconv.ParseUint(step, 10, 31); err == nil && strconv.FormatUint(n, 10) == step {
			fmt.Fprintf(&b, "[%s]", step)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(step)
	}
	return b.String()
}

// placed puts before each problem where its value stands and what it is, in the order of the body.
func (f *finder) placed(problems []Problem, body []byte) []Problem {
	w := walker{body: body, decoder: json.NewDecoder(bytes.NewReader(body)), wanted: map[string]*span{}}
	w.decoder.UseNumber()
	for _, l := range f.found {
		w.wanted[pointer(l.path)] = &span{}
	}
	w.value("")
	order := make([]int, len(problems))
	for i := range order {
		order[i] = i
	}
	at := func(i int) *span { return w.wanted[pointer(f.found[i].path)] }
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(at(i).from, at(j).from) })
	sorted := make([]Problem, 0, min(len(order), maxProblems))
	for _, i := range order[:min(len(order), maxProblems)] {
		line, position := placeOf(body, at(i).from)
		p := problems[i]
		p.Message = fmt.Sprintf("Line: %d Position: %d Value: %sError: %s", line, position, shown(body[at(i).from:at(i).to]), p.Message)
		sorted = append(sorted, p)
	}
	return sorted
}

// shown is a value in a message: scalars only, a text without its quotes, and a space behind what is not empty.
func shown(value []byte) string {
	const most = 100 // characters
	text := string(value)
	if text == "" || text[0] == '{' || text[0] == '[' {
		return ""
	}
	var inner string
	if json.Unmarshal(value, &inner) == nil && text != "null" {
		text = inner
	}
	if text == "" {
		return ""
	}
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "…"
	}
	return text + " "
}

// placeOf is the line of an offset and the position in it, both from 1, the latter in characters.
func placeOf(body []byte, offset int64) (line, position int) {
	before := body[:min(offset, int64(len(body)))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}

// pointer joins a path into a name that no other path has.
func pointer(path []string) string {
	var b strings.Builder
	for _, step := range path {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
	}
	return b.String()
}

// span is where a value stands in the body.
type span struct{ from, to int64 }

// walker goes through a body that is JSON, and notes where the wanted values stand.
type walker struct {
	body    []byte
	decoder *json.Decoder
	wanted  map[string]*span
}

// value reads one value. Of keys that come twice the last one counts.
func (w *walker) value(at string) {
	from := w.next()
	token, err := w.decoder.Token()
	if err != nil {
		return
	}
	switch token {
	case json.Delim('{'):
		for w.decoder.More() {
			key, err := w.decoder.Token()
			if err != nil {
				return
			}
			name, _ := key.(string)
			w.value(at + pointer([]string{name}))
		}
		_, _ = w.decoder.Token()
	case json.Delim('['):
		for i := 0; w.decoder.More(); i++ {
			w.value(at + pointer([]string{strconv.Itoa(i)}))
		}
		_, _ = w.decoder.Token()
	}
	if s := w.wanted[at]; s != nil {
		*s = span{from, w.decoder.InputOffset()}
	}
}

// next is where the next value begins.
func (w *walker) next() int64 {
	at := w.decoder.InputOffset()
	for at < int64(len(w.body)) && bytes.IndexByte([]byte(" \t\r\n,:"), w.body[at]) >= 0 {
		at++
	}
	return at
}
