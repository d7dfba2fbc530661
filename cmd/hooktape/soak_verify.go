package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/hooktape/hooktape/store"
)

// soakVerifier compares a tape, of which no agent runs, with the ledger.
type soakVerifier struct {
	*soakLedger
	tape *store.Store
	seen store.ID // the newest record that was compared

	deliveries, failed int64 // of the last whole comparison
}

// open opens the tape and does something with it.
func (v *soakVerifier) open(path string, do func() error) error {
	tape, err := store.Open(path, store.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	v.tape = tape
	return errors.Join(do(), tape.Close())
}

// acknowledged checks that every acknowledged request is on the tape, byte for
// byte. It reads the records that came since it was called last.
func (v *soakVerifier) acknowledged() error {
	for r, err := range v.tape.Records(store.Query{After: v.seen}) {
		if err := v.readable(r, err); err != nil {
			return err
		}
		if r != nil {
			v.seen = r.ID
			v.compare(r)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for n := range v.entries {
		if e := &v.entries[n]; e.acked && !e.tape {
			v.find("lost", n, "it was acknowledged%s and is not on the tape", v.as(e))
		}
	}
	return nil
}

// readable notes a record that is damaged; another error ends the reading.
func (v *soakVerifier) readable(r *store.Record, err error) error {
	if err == nil {
		return nil
	}
	if r == nil && !errors.Is(err, store.ErrDamaged) {
		return fmt.Errorf("read the tape: %w", err)
	}
	v.note("damaged", -1, "%v", err)
	return nil
}

func (v *soakVerifier) as(e *soakEntry) string {
	if e.id == (store.ID{}) {
		return ""
	}
	return " as " + e.id.String()
}

// compare compares one record with what was sent.
func (v *soakVerifier) compare(r *store.Record) {
	sum, err := v.digest(r.Raw)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		v.find("damaged", -1, "record %s: %v", r.ID, err)
		return
	}
	n, ok := v.byPath(r.Target)
	switch {
	case r.Verdict.Refused() && !ok: // what never became a request has no path
		return
	case !ok:
		v.find("unknown", -1, "record %s is of %q, which nobody sent", r.ID, r.Target)
		return
	}
	e := &v.entries[n]
	e.tape = e.tape || !r.Verdict.Refused()
	switch {
	case r.Verdict.Refused():
		if !e.refused && e.acked {
			v.find("lost", n, "it was acknowledged, and recorded as %s", r.Verdict)
		}
	case e.refused:
		v.find("let through", n, "it was to be refused, and recorded as %s", r.Verdict)
	case sum != e.sum:
		v.find("changed", n, "record %s has other bytes than were sent", r.ID)
	case e.acked && e.id != (store.ID{}) && e.id != r.ID:
		v.find("changed", n, "it was acknowledged as %s, and recorded as %s", e.id, r.ID)
	}
}

func (v *soakVerifier) digest(raw store.Raw) (sum [sha256.Size]byte, err error) {
	hash := sha256.New()
	f := v.tape.Open(raw)
	defer f.Close()
	if _, err := io.Copy(hash, f); err != nil {
		return sum, err
	}
	hash.Sum(sum[:0])
	return sum, nil
}

// everything checks the whole tape: each byte can be read, and each delivery
// has come to its end.
func (v *soakVerifier) everything() error {
	v.seen, v.deliveries, v.failed = store.ID{}, 0, 0
	if err := v.acknowledged(); err != nil {
		return err
	}
	for r, err := range v.tape.Records(store.Query{NoRaw: true}) {
		if err != nil || r == nil {
			continue // noted by acknowledged
		}
		if err := v.outcome(r); err != nil {
			v.note("damaged", -1, "record %s: %v", r.ID, err)
		}
	}
	return nil
}

// outcome checks what became of a record.
func (v *soakVerifier) outcome(r *store.Record) error {
	if r.Answer != nil {
		if _, err := v.digest(r.Answer.Raw); err != nil {
			return fmt.Errorf("its answer: %w", err)
		}
	}
	attempts, err := v.tape.Attempts(r.ID)
	if err != nil {
		return err
	}
	for _, a := range attempts {
		if _, err := v.digest(a.Response); err != nil {
			return fmt.Errorf("the response of attempt %d: %w", a.Number, err)
		}
	}
	deliveries, err := v.tape.Deliveries(r.ID)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if n, ok := v.byPath(r.Target); ok && !r.Verdict.Refused() {
		v.delivered(n, deliveries)
	}
	return nil
}

// delivered checks the deliveries of a record. Callers hold mu.
func (v *soakVerifier) delivered(n int, deliveries []store.Delivery) {
	e := &v.entries[n]
	app := false
	for _, d := range deliveries {
		target := soakSecond
		if d.Target == soakTargets[soakApp] {
			target, app = soakApp, true
		}
		v.deliveries++
		switch {
		case d.State == store.Delivered && !e.got[target]:
			v.find("undelivered", n, "target %s never received it whole, though its delivery is %s", d.Target, d.State)
		case d.State == store.Delivered:
		case d.State == store.Failed && (e.gone[target] || e.source == soakPass && !e.acked):
			v.failed++ // the target or the sender was told so
		default:
			v.find("undelivered", n, "its delivery to %s is %s after %d attempts: status %d %s", d.Target, d.State, d.Attempts, d.Status, d.Error)
		}
	}
	switch {
	case !app && e.source == soakAck:
		v.find("undelivered", n, "it has no delivery to target app")
	case e.acked && !e.got[soakApp]:
		v.find("undelivered", n, "it was acknowledged and never came to target app")
	}
}
