package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/relay/shape"
	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

// decodedCopies is how many times the size of a body its values take in memory while they are held against a schema.
const decodedCopies = 8

// checkBody holds a body against the schema of its source. The body is read within the memory budget; what its values
// take beside it, if it is large, is part of what is held too. An error is one of reading.
func (a *Agent) checkBody(src *config.Source, read func() ([]byte, error), held *holding) (finding, error) {
	body, err := read()
	if err != nil {
		return finding{}, err
	}
	if held.size > 0 && !held.take(a.memory.Load().whole, decodedCopies*int64(len(body))) {
		return finding{}, errNoRoom
	}
	invalid, ok := errors.AsType[*shape.Invalid](src.Schema.Check(body))
	switch {
	case !ok:
		return finding{verdict: store.Accepted}, nil
	case src.BadBody == config.RecordInvalid:
		return finding{verdict: store.Accepted, reason: invalid.Error()}, nil
	}
	return invalidBody(invalid), nil
}

// invalidBody is the finding about a body that does not fit. The sender learns what is wrong in the shape in which
// validation services answer, ASNA's among them.
func invalidBody(invalid *shape.Invalid) finding {
	var answer bytes.Buffer
	encoder := json.NewEncoder(&answer)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(struct { // of texts and numbers: it can't fail
		StatusCode       int             `json:"statusCode"`
		IsError          bool            `json:"isError"`
		IsTransient      bool            `json:"isTransient"`
		ExceptionMessage string          `json:"exceptionMessage"`
		ValidationErrors []shape.Problem `json:"validationErrors,omitempty"`
	}{http.StatusBadRequest, true, false, invalid.Message, invalid.Problems})
	return finding{
		verdict: store.InvalidBody, reason: invalid.Error(), status: http.StatusBadRequest,
		fields: wire.Fields{{Name: "Content-Type", Value: "application/json; charset=utf-8"}}, body: answer.Bytes(),
	}
}

// validate finds out whether the body fits the schema of the source. What was noted before stays noted.
func (r *reception) validate() {
	if r.src.Schema == nil || r.found.verdict != store.Accepted || r.asksStatus() {
		return
	}
	found, err := r.checkBody(&r.src.Source, r.view.Body, &r.held)
	switch {
	case errors.Is(err, errNoRoom):
		r.found = r.noRoom()
	case err != nil:
		r.found = unwritten()
	case found.refused() || r.found.reason == "":
		r.found = found
	case found.reason != "":
		r.found.reason += "; " + found.reason
	}
}
