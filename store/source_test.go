package store

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

func TestSourcesStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tape.db")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if made, err := s.Sources(); err != nil || made != nil {
		t.Errorf("before there is one: %v %v", made, err)
	}
	shop := Source{
		Name: "shop", ID: "550e8400", Provider: "metrika", Template: "conversions", Path: "/p", To: "http://127.0.0.1:1",
		Secret: "s", Params: map[string]string{"token": "t", "counter_id": "1"}, Created: time.Unix(5, 6).UTC(),
	}
	crm := Source{Name: "crm", Disabled: true}
	for _, src := range []Source{shop, {Name: "gone"}, {Name: "crm"}, crm} {
		if err := s.PutSource(src); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second one is not there
		if err := s.DeleteSource("gone"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(path, Options{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	made, err := s.Sources()
	if diff := cmp.Diff([]Source{crm, shop}, made); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if err := s.PutSource(crm); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a tape that is only read took a source: %v", err)
	}
}

func TestADamagedSourceHidesNoOther(t *testing.T) {
	s, _ := openTape(t)
	for _, name := range []string{"a", "b", "c"} {
		if err := s.PutSource(Source{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.file.update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSources).Put([]byte(sourceKey+"b"), []byte("noise"))
	}); err != nil {
		t.Fatal(err)
	}
	made, err := s.Sources()
	if !errors.Is(err, ErrDamaged) || len(made) != 2 || made[1].Name != "c" {
		t.Errorf("%+v %v", made, err)
	}
}
