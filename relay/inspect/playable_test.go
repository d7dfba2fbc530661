package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hooktape/hooktape/relay/wire"
	"github.com/hooktape/hooktape/store"
)

func TestWhatIsPlayedBackIsChosenInOrder(t *testing.T) {
	d := newDeck(t, nil)
	var ids []store.ID
	for i := range 6 {
		ids = append(ids, d.put(store.Record{Source: "shop", Target: fmt.Sprintf("/orders?n=%d", i)}, strings.Replace(order, "n=1", fmt.Sprintf("n=%d", i), 1)))
	}
	d.put(store.Record{Source: "shop", Via: store.ViaAgent}, order)
	numbers := func(q PlayQuery) string {
		all, err := collect(d.Playable(t.Context(), q))
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		var text string
		for _, p := range all {
			text += p.Path[len(p.Path)-1:] + p.Key
			if !bytes.HasPrefix(p.Raw, []byte("POST /orders?n=")) {
				t.Errorf("raw %q", p.Raw)
			}
		}
		return text
	}
	for want, q := range map[string]PlayQuery{
		"012345":       {},
		"45":           {Newest: 2},
		"013245":       {Names: []string{ids[0].String(), ids[1].String(), ids[3].String(), ids[2].String(), ids[4].String(), ids[5].String()}},
		"13":           {Filter: Filter{Where: `query.n == "1" || query.n == "3" || query.n == "9"`}},
		"3":            {Filter: Filter{Where: `query.n == "1" || query.n == "3"`}, Newest: 1},
		"0011223344":   {OrderBy: "query.n", Filter: Filter{Where: `query.n != "5"`}},
		"0k1k2k3k4k5k": {OrderBy: `"k"`, Newest: 100},
	} {
		if got := numbers(q); got != want {
			t.Errorf("%+v: %s, want %s", q, got, want)
		}
	}
	for _, q := range []PlayQuery{{OrderBy: "1 +"}, {Filter: Filter{Where: "json.("}}, {Names: []string{"last", "nobody"}}} {
		if all, err := collect(d.Playable(t.Context(), q)); err == nil || len(all) > 0 {
			t.Errorf("%+v: %d records, %v", q, len(all), err)
		}
	}
}

func TestWhatAReplayIsComparedWithIsNoReplay(t *testing.T) {
	d := newDeck(t, nil)
	id := d.put(store.Record{}, order)
	for _, a := range []store.Attempt{
		{Target: "app", Status: 500}, {Target: "app", Status: 200}, {Target: "app"}, {Target: "app", Status: 201, Replay: true},
		{Target: "other", Status: 202, Replay: true, Accepted: true}, {Target: "third", Status: 204, Replay: true},
	} {
		spool := d.store.Spool()
		fmt.Fprintf(spool, "HTTP/1.1 %d X\r\n\r\n", a.Status)
		if err := d.store.Settle(id, store.Outcome{Attempt: &a, Response: spool}).Wait(); err != nil {
			t.Fatal(err)
		}
		spool.Discard()
	}
	all, err := collect(d.Playable(t.Context(), PlayQuery{Names: []string{"last"}}))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	var got []string
	for _, p := range all[0].Past {
		got = append(got, fmt.Sprintf("%d %s %s", p.Number, p.Target, p.Response[:12]))
	}
	if want := []string{"2 app HTTP/1.1 200", "5 other HTTP/1.1 202"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestARecordOfATapeFileIsSignedAsTheFileWas(t *testing.T) {
	d := newDeck(t, nil)
	id := d.put(store.Record{Source: "shop"}, order)
	head, err := wire.ParseRequestHead([]byte("POST / HTTP/1.1\r\nHost: x\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Sign(t.Context(), "shop", id.String(), head, nil); err == nil || !strings.Contains(err.Error(), "no agent is running") {
		t.Errorf("without a tape file: %v", err)
	}
	err = errors.Join(d.store.AddToSession("qa", id), d.store.SetMasked("qa", nil, []store.Signing{{Source: "shop", Provider: "github", Secret: "s3"}}))
	if err != nil {
		t.Fatal(err)
	}
	g, err := d.Sign(t.Context(), "shop", id.String(), head, []byte("hi"))
	if err != nil || len(g.Fields) == 0 || g.Fields[0].Name != "X-Hub-Signature-256" {
		t.Errorf("%+v %v", g, err)
	}
	if _, err := d.Sign(t.Context(), "other", id.String(), head, nil); err == nil {
		t.Error("a source that the file does not sign for was signed")
	}
}
