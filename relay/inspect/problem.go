package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/hooktape/hooktape/store"
)

// Problem is a refusal of the API: an HTTP status and a sentence for the user.
type Problem struct {
	Status  int        `json:"-"`
	Kind    Kind       `json:"kind"`
	Message string     `json:"message"`
	IDs     []store.ID `json:"ids,omitempty"` // for Ambiguous: the records that may have been meant
}

// Kind tells apart the refusals that callers decide by.
type Kind string

const (
	Misused   Kind = "misused"    // the question is wrong: an expression, an id, a parameter
	Unknown   Kind = "unknown"    // no such record, or it has no answer
	NoAttempt Kind = "no_attempt" // the record has no such attempt
	Ambiguous Kind = "ambiguous"  // several records have this ending
	NoSession Kind = "no_session" // no such session
	Taken     Kind = "taken"      // another session has the name
	Unsigned  Kind = "unsigned"   // nobody signs requests of this source
	Failed    Kind = "failed"     // the store could not do it
)

func (p *Problem) Error() string { return p.Message }

var statusOf = map[Kind]int{
	Misused:   http.StatusBadRequest,
	Unknown:   http.StatusNotFound,
	NoAttempt: http.StatusNotFound,
	Ambiguous: http.StatusConflict,
	NoSession: http.StatusNotFound,
	Taken:     http.StatusConflict,
	Unsigned:  http.StatusConflict,
	Failed:    http.StatusInternalServerError,
}

func refuse(kind Kind, format string, args ...any) *Problem {
	return &Problem{Status: statusOf[kind], Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// errorTrailer carries an error that came after the first line of a list.
const errorTrailer = "Hooktape-Error"

// fail answers with err. In a list that has begun, err becomes the trailer.
func fail(w http.ResponseWriter, err error) {
	p := problemOf(err)
	text, err := json.Marshal(p)
	if err != nil {
		panic(http.ErrAbortHandler) // a Problem is plain text and ids: it always marshals
	}
	if list, ok := w.(*listWriter); ok && list.begun {
		w.Header().Set(errorTrailer, string(text))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.Status)
	w.Write(text)
}

// problemOf is an error as callers get it.
func problemOf(err error) *Problem {
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		p = refuse(Failed, "%s", err)
	}
	return p
}
