package provider

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
)

// A Sample is an event of a provider, modelled on its documentation with values of our own. trigger sends it. It is not
// signed.
type Sample struct {
	Event  string // its name, which is that of the file
	Method string
	Path   string // appended to the path of the URL it is sent to, with the query; usually ""
	Fields wire.Fields
	Body   []byte
}

// samples/NAME/EVENT.http is a request line without a version, fields, an empty line and the body. A JSON body is laid
// out for readers but sent compact. {{id}}, {{unix}} and {{time}} are fresh each time.
//
//go:embed samples
var samples embed.FS

// Samples returns all samples of p's events, sorted by name, as they would be sent now. A different id makes them
// differ from those sent earlier.
func (p *Provider) Samples(now time.Time, id string) ([]Sample, error) {
	dir := "samples/" + p.Name
	entries, err := fs.ReadDir(samples, dir)
	if err != nil {
		return nil, nil // it has none
	}
	all := make([]Sample, len(entries))
	for i, entry := range entries {
		text, err := fs.ReadFile(samples, dir+"/"+entry.Name())
		if err != nil {
			return nil, err
		}
		if all[i], err = parseSample(fill(text, now, id)); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", dir, entry.Name(), err)
		}
		all[i].Event = strings.TrimSuffix(entry.Name(), ".http")
	}
	return all, nil
}

// fill puts fresh values into a sample.
func fill(text []byte, now time.Time, id string) []byte {
	return []byte(strings.NewReplacer(
		"{{id}}", id,
		"{{unix}}", fmt.Sprint(now.Unix()),
		"{{time}}", now.UTC().Format(time.RFC3339),
	).Replace(string(text)))
}

func parseSample(text []byte) (s Sample, err error) {
	head, body, _ := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n\n")
	line, fields, _ := strings.Cut(head, "\n")
	s.Method, s.Path, _ = strings.Cut(line, " ")
	for field := range strings.Lines(fields) {
		name, value, ok := strings.Cut(strings.TrimSuffix(field, "\n"), ": ")
		if !ok {
			return s, fmt.Errorf("field %q has no value", name)
		}
		s.Fields = append(s.Fields, wire.Field{Name: name, Value: value})
	}
	s.Body = []byte(strings.TrimSuffix(body, "\n"))
	contentType, _ := s.Fields.Get("Content-Type")
	if strings.HasPrefix(contentType, "application/json") {
		var compact bytes.Buffer
		err = json.Compact(&compact, s.Body)
		s.Body = compact.Bytes()
	}
	s.Method = cmp.Or(s.Method, "POST")
	return s, err
}
