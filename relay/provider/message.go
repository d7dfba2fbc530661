package provider

import (
	"fmt"
	"io"
	"strings"
)

// A message says what is signed: text with variables in braces. {body} is the decoded body, {timestamp} and {id} are as
// sent, {method}, {url} (as the sender has it), {target} (path and query as sent); {X-Name}, {query:name}, {json:path}
// and {form:name} are places. Empty means "{body}".
type message string

const bodyVariable = "{body}"

// cut cuts the message at the body. body is false only for a message without {body}.
func (m message) cut() (before, after string, body bool) {
	if m == "" {
		m = bodyVariable
	}
	return strings.Cut(string(m), bodyVariable)
}

// inBody says that variables stand in the body, which must then be whole before the message can begin.
func (m message) inBody() bool {
	return strings.Contains(string(m), "{json:") || strings.Contains(string(m), "{form:")
}

// check refuses messages that can't be made.
func (m message) check() error {
	if strings.Count(string(m), bodyVariable) > 1 {
		return fmt.Errorf("%s comes twice", bodyVariable)
	}
	return m.each(string(m), func(string) error { return nil }, func(name string) error {
		if name == "" || strings.ContainsAny(name, "{ ") {
			return fmt.Errorf("%q is no variable", "{"+name+"}")
		}
		return nil
	})
}

// each goes through a part of a message: text, then a variable, and so on.
func (message) each(part string, text, variable func(string) error) error {
	for part != "" {
		literal, rest, found := strings.Cut(part, "{")
		if err := text(literal); err != nil || !found {
			return err
		}
		name, rest, closed := strings.Cut(rest, "}")
		if !closed {
			return fmt.Errorf("%q is not closed", "{"+name)
		}
		if err := variable(name); err != nil {
			return err
		}
		part = rest
	}
	return nil
}

// values are what the variables of a message stand for in one request.
type values struct {
	request   *Request
	url       string // as it is signed
	timestamp string
	id        string
}

// write writes a part of a message.
func (v values) write(w io.Writer, m message, part string) error {
	return m.each(part, func(text string) error {
		_, err := io.WriteString(w, text)
		return err
	}, func(name string) error {
		value, err := v.of(name)
		if err == nil {
			_, err = io.WriteString(w, value)
		}
		return err
	})
}

// of returns the value of a variable. The errors are Failures.
func (v values) of(name string) (string, error) {
	switch name {
	case "timestamp":
		return v.timestamp, nil
	case "id":
		return v.id, nil
	case "method":
		return v.request.Head.Method, nil
	case "target":
		return v.request.Head.Target, nil
	case "url":
		if v.url == "" {
			return "", &Failure{Kind: Unavailable, Reason: "the URL is signed, and the public URL is not known"}
		}
		return v.url, nil
	}
	value, ok := place(name).get(v.request)
	if !ok {
		return "", missing(place(name))
	}
	return value, nil
}

func missing(p place) *Failure { return &Failure{Kind: Missing, Reason: p.String() + " is missing"} }
