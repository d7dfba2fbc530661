package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/hooktape/hooktape/relay/inspect"
	tapefile "github.com/hooktape/hooktape/replay/tape"
	"github.com/hooktape/hooktape/store"
)

// tapeFiles is what the control API knows of tape files: inspect.Tapes on a store.
type tapeFiles struct{ store *store.Store }

// Write implements inspect.Tapes.
func (f tapeFiles) Write(to io.Writer, session store.Session, records iter.Seq[*store.Record], damaged func(error) error) error {
	sources, err := inspect.LoadSources(f.store)
	if err != nil {
		return err
	}
	paths := make(map[string]string, len(sources))
	for _, s := range sources {
		paths[s.Name] = s.Path
	}
	info := tapefile.Info{
		Session: session.Name, Masked: session.Masked != nil || len(session.Signing) > 0, Hidden: hiddenOf(session.Masked), Signing: tapeSigning(session.Signing),
	}
	w := tapefile.NewStreamWriter(to, info)
	for rec := range records {
		recording, err := tapefile.Of(f.store, rec)
		if err := damaged(err); err != nil {
			return err
		}
		if recording == nil {
			continue
		}
		switch lost := recording.Readable(); { // half of it would swallow what follows
		case lost == nil:
		case damaged(lost) != nil:
			return lost
		default:
			continue
		}
		recording.Path = cmp.Or(recording.Path, paths[recording.Source])
		if err := w.Write(recording); err != nil {
			return err
		}
	}
	return w.Close()
}

func tapeSigning(all []store.Signing) (signing []tapefile.Signing) {
	for _, s := range all {
		signing = append(signing, tapefile.Signing(s))
	}
	return signing
}

// Read implements inspect.Tapes.
func (f tapeFiles) Read(from io.Reader, q inspect.ImportQuery) (done inspect.Imported, err error) {
	file, err := tapefile.NewReader(from)
	if err != nil {
		return done, err
	}
	defer file.Close()
	file.Largest = q.Largest
	into := &tapefile.Importer{Store: f.store}
	defer func() { err = errors.Join(err, into.Close()) }()
	for recording, err := range file.Recordings() {
		if damage, ok := errors.AsType[*tapefile.Damage](err); ok {
			done.AddDamage(damage)
			if _, large := errors.AsType[*tapefile.TooLarge](damage); large {
				done.Large++
			}
			continue
		}
		if err != nil {
			return done, err
		}
		if into.Session == "" {
			into.Session, err = f.newSession(q, file.Info())
			if done.Session = into.Session; err != nil {
				return done, err
			}
		}
		switch err := into.Add(recording); {
		case errors.Is(err, store.ErrTooLarge):
			done.AddDamage(err)
			continue
		case err != nil:
			return done, err
		}
		done.Records++
		done.Bytes += recording.Size()
	}
	if into.Session != "" && !q.Add { // a masked file says at its end what it is signed with
		if err := f.mark(into.Session, file.Info()); err != nil {
			return done, err
		}
	}
	skipped := file.Skipped()
	done.Session, done.Masked, done.Alone = into.Session, file.Info().Masked, skipped.Alone
	for _, n := range skipped.Other {
		done.Other += n
	}
	done.Kinds = skipped.Other
	return done, nil
}

// mark stores with a session what its file says about masking.
func (f tapeFiles) mark(session string, info tapefile.Info) error {
	return f.store.SetMasked(session, maskedBy(info), storedSigning(info.Signing))
}

// newSession makes the session for a tape file. It is marked as masked at once, since the import may be broken off.
func (f tapeFiles) newSession(q inspect.ImportQuery, info tapefile.Info) (name string, err error) {
	if name = q.Session; name == "" {
		name = cmp.Or(sessionName(info.Session), sessionName(q.Otherwise), "imported")
	}
	if err = f.store.CreateSession(name, q.Force); q.Add && errors.Is(err, store.ErrExists) {
		err = nil
	}
	if err == nil && info.Masked && !q.Add {
		err = f.mark(name, info)
	}
	return name, err
}

// maskedBy are the rules of a masked file in the form that a session stores; nil: it is not masked.
func maskedBy(info tapefile.Info) []byte {
	if !info.Masked {
		return nil
	}
	text, err := json.Marshal(cmp.Or(info.Hidden, new(tapefile.Hidden)))
	if err != nil {
		panic(err) // texts always marshal
	}
	return text
}

// hiddenOf are the rules that a session stores; nil: it is not masked.
func hiddenOf(masked []byte) *tapefile.Hidden {
	var h *tapefile.Hidden
	if len(masked) == 0 || json.Unmarshal(masked, &h) != nil {
		return nil
	}
	return h
}

func storedSigning(all []tapefile.Signing) (signing []store.Signing) {
	for _, s := range all {
		signing = append(signing, store.Signing(s))
	}
	return signing
}

// sessionName turns a text into a valid session name; "" if nothing is left of it.
func sessionName(text string) string {
	if text == "" {
		return ""
	}
	return strings.TrimLeft(safeName(text), "._-")
}

// tapeForm is the form of a tape file.
type tapeForm string

const (
	formWARC   tapeForm = "warc"
	formWARCGz tapeForm = "warc.gz"
	formHAR    tapeForm = "har"
)

var tapeForms = []string{string(formWARC), string(formWARCGz), string(formHAR)}

// formOf is the format that a file's name asks for; "" if it names none.
func formOf(name string) tapeForm {
	name = strings.ToLower(name)
	for _, form := range slices.Backward(tapeForms) { // the longest first
		if strings.HasSuffix(name, "."+form) {
			return tapeForm(form)
		}
	}
	return ""
}

// sessionOfFile is the name of a file without its format's ending.
func sessionOfFile(name string) string {
	base := name[strings.LastIndexAny(name, `/\`)+1:]
	if form := formOf(base); form != "" {
		base = base[:len(base)-len(form)-1]
	}
	return base
}
