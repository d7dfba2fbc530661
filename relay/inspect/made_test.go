package inspect

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hooktape/hooktape/store"
)

// fakeSetup is a configuration that takes every source but those of a path.
type fakeSetup struct {
	refuse  string
	applied int
}

func (f *fakeSetup) Plan(made []store.Source) (map[string]Source, map[string]error) {
	planned, refused := map[string]Source{}, map[string]error{}
	for _, m := range made {
		if m.Path == f.refuse {
			refused[m.Name] = errors.New("the config has this path already")
			continue
		}
		planned[m.Name] = Source{
			Name: m.Name, ID: m.ID, Made: true, Path: m.Path, URL: "https://hooks.example.com" + m.Path, Provider: m.Provider, Params: m.Params,
			Secret: m.Provider != "yookassa",
		}
	}
	return planned, refused
}

func (f *fakeSetup) Apply() error { f.applied++; return nil }

func (f *fakeSetup) CheckTunnel(name string) error {
	if name == f.refuse {
		return errors.New("a source of that name is in the config already")
	}
	return nil
}

func TestATokenIsShownOnceAndItsHashAfterwards(t *testing.T) {
	d := newDeck(t, newFakeAgent())
	setup := &fakeSetup{refuse: "orders"}
	d.server.Setup = setup
	made, err := d.NewToken(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	hash := store.HashToken(made.Token)
	if text := (&store.Token{Hash: hash}).HashText(); made.Name != "alice" || made.Hash != text || setup.applied != 1 {
		t.Errorf("%+v, applied %d times", made, setup.applied)
	}
	for _, name := range []string{"alice", "orders"} {
		if _, err := d.NewToken(t.Context(), name); err == nil {
			t.Errorf("a second %q", name)
		}
	}
	listed, err := collect(d.Tokens(t.Context()))
	if err != nil || len(listed) != 1 || listed[0].Name != "alice" || listed[0].Hash != made.Hash || listed[0].Created.IsZero() {
		t.Errorf("%+v, %v", listed, err)
	}
	if _, err := d.RevokeToken(t.Context(), "alice"); err != nil || setup.applied != 2 {
		t.Errorf("revoke: %v, applied %d times", err, setup.applied)
	}
	if _, err := d.RevokeToken(t.Context(), "alice"); err == nil {
		t.Error("revoked twice")
	}
}

func TestAMadeSourceIsThereUntilItIsDeleted(t *testing.T) {
	d := newDeck(t, newFakeAgent())
	setup := &fakeSetup{refuse: "/taken"}
	d.server.Setup = setup
	if err := SaveSources(d.store, []Source{{Name: "orders", Path: "/orders"}, {Name: "all", Template: true}}); err != nil {
		t.Fatal(err)
	}
	made, err := d.CreateSource(t.Context(), NewSource{Name: "crm", Provider: "metrika", Path: "/crm", Params: map[string]string{"token": "0123456789abcdef"}})
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.CreateSource(t.Context(), NewSource{Name: "crm2", Provider: "metrika", Path: "/crm2"})
	if err != nil || again.Secret == made.Secret || again.ID == made.ID || len(made.Secret) < 40 {
		t.Errorf("%+v %+v %v", made, again, err)
	}
	if made.URL != "https://hooks.example.com/crm" {
		t.Errorf("url %s", made.URL)
	}
	kept, err := d.store.Sources()
	if err != nil || len(kept) != 2 || kept[0].Secret != made.Secret || kept[0].ID != made.ID || !kept[0].Created.Equal(t0) {
		t.Errorf("kept %+v %v", kept, err)
	}
	if source, err := d.DisableSource(t.Context(), "crm"); err != nil || source.State != Disabled {
		t.Errorf("%+v %v", source, err)
	}
	setup.refuse = "/crm2" // the configuration changed
	want := map[string]SourceState{"orders": Active, "all": Template, "crm": Disabled, "crm2": Unusable}
	listed, err := collect(d.ListSources(t.Context()))
	if err != nil || len(listed) != len(want) {
		t.Fatalf("%+v %v", listed, err)
	}
	for _, source := range listed {
		if source.State != want[source.Name] || (source.State == Unusable) != (source.Reason != "") {
			t.Errorf("%+v", source)
		}
		if strings.Contains(source.Params["token"], "0123456789") {
			t.Errorf("a secret is shown: %v", source.Params)
		}
	}
	if source, err := d.EnableSource(t.Context(), "crm"); err != nil || source.State != Active {
		t.Errorf("%+v %v", source, err)
	}
	if _, err := d.DeleteSource(t.Context(), "crm"); err != nil {
		t.Error(err)
	}
	if kept, _ := d.store.Sources(); len(kept) != 1 || setup.applied != 5 {
		t.Errorf("left %+v, applied %d times", kept, setup.applied)
	}
}

func TestSourcesThatCantBeMade(t *testing.T) {
	d := newDeck(t, nil)
	if err := SaveSources(d.store, []Source{{Name: "orders"}}); err != nil {
		t.Fatal(err)
	}
	_, err := d.CreateSource(t.Context(), NewSource{Name: "crm"})
	wantProblem(t, err, Misused, "no agent is running")
	d.server.Setup = &fakeSetup{refuse: "/taken"}
	if _, err := d.CreateSource(t.Context(), NewSource{Name: "crm", Provider: "iiko"}); err != nil {
		t.Fatal(err)
	}
	_, err = d.CreateSource(t.Context(), NewSource{Name: "crm", Provider: "iiko"})
	wantProblem(t, err, Misused, `there is a source "crm" already`)
	_, err = d.CreateSource(t.Context(), NewSource{Name: "shop", Path: "/taken"})
	wantProblem(t, err, Misused, "the config has this path already")
	_, err = d.DisableSource(t.Context(), "orders")
	wantProblem(t, err, Misused, "in the config file")
	_, err = d.DisableSource(t.Context(), "a/b c")
	wantProblem(t, err, Unknown, `there is no source "a/b c"`)
	_, err = d.changeSource(t.Context(), "crm", "forget")
	wantProblem(t, err, Unknown, "enabled, disabled and deleted")
	if kept, _ := d.store.Sources(); len(kept) != 1 {
		t.Errorf("kept %+v", kept)
	}
}

func wantProblem(t *testing.T, err error, kind Kind, text string) {
	t.Helper()
	p, ok := errors.AsType[*Problem](err)
	if !ok || p.Kind != kind || !strings.Contains(p.Message, text) {
		t.Errorf("%v, want %s: %s", err, kind, text)
	}
}

func TestSourcesCantBeMadeOnATapeThatIsOnlyRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tape.db")
	s, err := store.Open(path, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s, err = store.Open(path, store.Options{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := InProcess(&Server{Store: s, Setup: &fakeSetup{refuse: "-"}})
	_, err = c.CreateSource(t.Context(), NewSource{Name: "crm"})
	wantProblem(t, err, Failed, store.ErrReadOnly.Error())
}

func TestASourceThatIsNotCheckedWithASecretHasNone(t *testing.T) {
	d := newDeck(t, newFakeAgent())
	d.server.Setup = &fakeSetup{}
	if _, err := d.CreateSource(t.Context(), NewSource{Name: "pay", Provider: "yookassa", Path: "/pay", Secret: "given"}); err == nil {
		t.Error("a secret is taken that nobody looks at")
	}
	pay, err := d.CreateSource(t.Context(), NewSource{Name: "pay", Provider: "yookassa", Path: "/pay"})
	if err != nil || pay.Secret != "" {
		t.Errorf("%+v %v", pay, err)
	}
}
