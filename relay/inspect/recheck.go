package inspect

import (
	"errors"
	"net/http"
	"slices"

	"github.com/hooktape/hooktape/store"
)

// Rejudged is the result of judging a refused record again.
type Rejudged struct {
	Record     store.ID      `json:"record"`
	Was        store.Verdict `json:"was"`
	Verdict    store.Verdict `json:"verdict"` // as before when it does not pass
	Reason     string        `json:"reason"`
	Deliveries int           `json:"deliveries"`      // that were made
	Error      string        `json:"error,omitempty"` // why it can't be judged; then nothing has changed
}

// recheckable are the verdicts whose records are judged again when none is named:
// the request was whole, and something in the configuration was wrong. Senders of
// requests that were too many, or could not be recorded, were told to come again.
// come again.
var recheckable = []store.Verdict{
	store.Unauthorized, store.InvalidSignature, store.Unverified, store.AddressNotAllowed, store.InvalidBody,
	store.MethodNotAllowed, store.Disabled, store.NoSource,
}

// recheck judges records again, in the order in which they came, and sends the
// result of each, one a line.
func (s *Server) recheck(w http.ResponseWriter, r *http.Request) error {
	if s.Agent == nil {
		return refuse(Failed, "no agent is running, and only an agent knows the secrets")
	}
	p := parser{Values: r.URL.Query()}
	f, dry := p.filter(), p.bool("dry")
	if p.err != nil {
		return p.err
	}
	if err := s.upToNow(r.Context()); err != nil {
		return err
	}
	ids, err := s.named(p.Values["record"])
	var lost damage
	if len(ids) == 0 && err == nil {
		ids, err = s.chooseRefused(f, &lost)
	}
	if err != nil {
		return err
	}
	return sendLines(w, func(line func(any) error) error {
		for _, id := range ids {
			if r.Context().Err() != nil {
				return nil
			}
			done, err := s.Agent.Recheck(id, dry)
			if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrJudged) {
				continue // deleted, or judged by someone else
			}
			if err != nil {
				done.Error = err.Error()
			}
			if err := line(done); err != nil {
				return err
			}
		}
		return lost.err()
	})
}

// chooseRefused gathers the refused records that a filter takes. It does so first,
// because judging changes the lists that they are found by. lost is told of
// damaged ones.
func (s *Server) chooseRefused(f Filter, lost *damage) (ids []store.ID, err error) {
	if len(f.Verdicts) == 0 {
		f.Verdicts = recheckable
	}
	chosen, err := s.choose(f)
	if err != nil {
		return nil, err
	}
	for _, verdict := range f.Verdicts {
		scan := chosen.scan()
		scan.Verdict = verdict
		for rec, err := range s.Store.Records(scan) {
			if err := lost.passOver(err); err != nil {
				return nil, err
			}
			if err == nil && chosen.takes(rec) && rec.Verdict.Refused() {
				ids = append(ids, rec.ID)
			}
		}
	}
	slices.SortFunc(ids, store.ID.Compare)
	return ids, nil
}
