package store

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Source is a source that was made at run time. What happens to its requests is in the configuration; this is what the
// source has of its own.
type Source struct {
	Name     string            // unique among all sources, those of the configuration included
	ID       string            // stands in its path
	Provider string            // "": none
	Template string            // the source of the configuration whose blocks and keys it has; "": none
	Path     string            // "": the template's, followed by ID
	To       string            // URL of its target; "": the template's targets
	Secret   string            // shared with its sender
	Params   map[string]string // for expressions
	Disabled bool              // takes no requests
	Created  time.Time
}

// bucketSources is: "source." and a name → a source. It is made when it is first needed.
var bucketSources = []byte("sources")

// sourceKey stands before the names, so that salvage can tell a source from other rows.
const sourceKey = "source."

// sourceFacts are a source as stored, without its name.
type sourceFacts struct {
	ID       string            `cbor:"1,keyasint,omitempty"`
	Provider string            `cbor:"2,keyasint,omitempty"`
	Template string            `cbor:"3,keyasint,omitempty"`
	Path     string            `cbor:"4,keyasint,omitempty"`
	To       string            `cbor:"5,keyasint,omitempty"`
	Secret   string            `cbor:"6,keyasint,omitempty"`
	Params   map[string]string `cbor:"7,keyasint,omitempty"`
	Disabled bool              `cbor:"8,keyasint,omitempty"`
	Created  int64             `cbor:"9,keyasint,omitempty"`
}

// PutSource keeps a source under its name, in the place of one that has it, and returns when it is on the disk.
func (s *Store) PutSource(src Source) error {
	facts := &sourceFacts{
		ID: src.ID, Provider: src.Provider, Template: src.Template, Path: src.Path, To: src.To, Secret: src.Secret,
		Params: src.Params, Disabled: src.Disabled, Created: nanos(src.Created),
	}
	value, err := pack(facts)
	if err != nil {
		return fmt.Errorf("source %q: %w", src.Name, err)
	}
	return s.changeSource(src.Name, value)
}

// DeleteSource forgets a source. It is no error when there is none.
func (s *Store) DeleteSource(name string) error { return s.changeSource(name, nil) }

func (s *Store) changeSource(name string, value *bytes.Buffer) error {
	if len(name) > metaKeyMax {
		return fmt.Errorf("source %.32q: %w", name, ErrTooLarge)
	}
	ch := &sourceChange{key: []byte(sourceKey + name)}
	if value != nil {
		ch.value = seal(ch.key, value)
	}
	c, err := s.queue.enter(len(ch.key) + len(ch.value))
	if err != nil {
		return err
	}
	s.queue.fill(c, ch, c.size, nil)
	return c.Wait()
}

type sourceChange struct{ key, value []byte }

func (c *sourceChange) apply(t *txn) error {
	b, err := t.CreateBucketIfNotExists(bucketSources)
	switch {
	case err != nil:
		return err
	case c.value == nil:
		return b.Delete(c.key)
	}
	return b.Put(c.key, c.value)
}

func (c *sourceChange) release(error) {}

// Sources returns the sources that were made at run time, by name. When some can't be read, the others are returned with
// an error that wraps ErrDamaged.
func (s *Store) Sources() (sources []Source, err error) {
	var damaged []error
	err = s.view(func(tx *bolt.Tx) error {
		sources, damaged = nil, nil
		b := tx.Bucket(bucketSources)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			src, err := readSource(k, v)
			if err != nil {
				damaged = append(damaged, fmt.Errorf("%s: %w: %w", nameRow(string(bucketSources), k), ErrDamaged, err))
				return nil
			}
			sources = append(sources, src)
			return nil
		})
	})
	return sources, errors.Join(append(damaged, err)...)
}

func readSource(k, v []byte) (Source, error) {
	var f sourceFacts
	if _, err := unpack(k, v, &f); err != nil {
		return Source{}, err
	}
	return Source{
		Name: string(bytes.TrimPrefix(k, []byte(sourceKey))), ID: f.ID, Provider: f.Provider, Template: f.Template,
		Path: f.Path, To: f.To, Secret: f.Secret, Params: f.Params, Disabled: f.Disabled, Created: fromNanos(f.Created),
	}, nil
}
