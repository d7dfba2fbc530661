package provider_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/expr"
	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// TestSamplesHaveTheNamesOfTheirEvents: what the provider's expression makes of a sample is the name it is asked by.
func TestSamplesHaveTheNamesOfTheirEvents(t *testing.T) {
	for _, p := range provider.All() {
		samples, err := p.Samples(now, "01JSAMPLE")
		if err != nil {
			t.Fatal(err)
		}
		if p.Scheme != nil && len(samples) == 0 {
			t.Errorf("%s has no sample", p.Name)
		}
		for _, s := range samples {
			contentType, _ := s.Fields.Get("Content-Type")
			if strings.HasPrefix(contentType, "application/json") && !json.Valid(s.Body) {
				t.Errorf("%s %s: the body is not JSON", p.Name, s.Event)
			}
			if strings.Contains(string(s.Body), "{{") {
				t.Errorf("%s %s: a value was not filled in: %s", p.Name, s.Event, s.Body)
			}
			if p.Event == "" {
				continue
			}
			if got := evaluate(t, p.Event, s); fileName(got) != s.Event {
				t.Errorf("%s %s: its event is %q", p.Name, s.Event, got)
			}
		}
	}
}

// fileName is an event's name as a file can have it.
func fileName(event string) string {
	return strings.NewReplacer("/", "-", ":", "-").Replace(event)
}

// TestExpressionsOfProvidersCompile: they are compiled when a source asks for them, which no test of one may do.
func TestExpressionsOfProvidersCompile(t *testing.T) {
	for _, p := range provider.All() {
		if _, err := expr.ParseValue(p.Event); p.Event != "" && err != nil {
			t.Errorf("%s: %s: %v", p.Name, p.Event, err)
		}
		texts := []string{p.Dedupe}
		for _, ack := range p.Acks {
			if _, err := expr.Parse(ack.When); ack.When != "" && err != nil {
				t.Errorf("%s: %s: %v", p.Name, ack.When, err)
			}
			texts = append(texts, ack.Body)
			for _, h := range ack.Headers {
				texts = append(texts, h.Value)
			}
		}
		for _, text := range texts {
			if text == "" {
				continue
			}
			if _, err := expr.ParseText(text); err != nil {
				t.Errorf("%s: %s: %v", p.Name, text, err)
			}
		}
	}
}

func evaluate(t *testing.T, text string, s provider.Sample) string {
	t.Helper()
	e, err := expr.ParseValue(text)
	if err != nil {
		t.Fatal(err)
	}
	raw := s.Method + " /" + s.Path + " HTTP/1.1\r\nHost: hooks.example.com\r\n"
	for _, f := range s.Fields {
		raw += f.Name + ": " + f.Value + "\r\n"
	}
	head, err := wire.ParseRequestHead([]byte(raw + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Texts(&expr.View{Record: new(store.Record), Head: head, Body: func() ([]byte, error) { return s.Body, nil }})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return strings.Join(got, " ")
}
