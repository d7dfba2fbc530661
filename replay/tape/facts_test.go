package tape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hooktape/hooktape/store"
)

// TestFactsAreReadAsTheyAreWritten holds all fields of all types, those that are yet to come too, against package json.
func TestFactsAreReadAsTheyAreWritten(t *testing.T) {
	want := facts{Recording: &Recording{}}
	n := 0
	fill(t, reflect.ValueOf(&want).Elem(), &n)
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := facts{Recording: &Recording{}}
	if err := got.decode(text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b Block) bool { return true })); diff != "" {
		t.Error(diff)
	}
}

// fill gives every field that JSON has a value of its own.
func fill(t *testing.T, v reflect.Value, n *int) {
	*n++
	switch at := v.Addr().Interface().(type) {
	case *Time:
		at.Time = time.Unix(int64(*n), 123).UTC()
		return
	case *[]byte:
		*at = []byte{0xff, byte(*n)}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("%d é\U0001F600<&>\"\\\n\x00", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(-int64(*n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.Map: // what is no UTF-8
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.Anonymous || field.Tag.Get("json") != "-" {
				fill(t, v.Field(i), n)
			}
		}
	default:
		t.Fatalf("no value for a %v", v.Type())
	}
}

// TestWhatIsNoFactIsRefused, or passed over, as package json does.
func TestWhatIsNoFactIsRefused(t *testing.T) {
	for text, well := range map[string]bool{
		`{}`: true, `{"id":null,"answer":null,"attempts":null}`: true, ` {"new":{"a":[1]},"parts":3} `: true,
		`{"attempts":[{}],"events":[]}`: true, `{"target":"\ud83d\ude00\u00e9"}`: true, `{"count":-0}`: true,
		``: false, `[]`: false, `"a"`: false, `{`: false, `{"id":"a"`: false, `{"id":"a"}}`: false, `{"id":"a` + "\n" + `"}`: false,
		`{"id":1}`: false, `{"count":"1"}`: false, `{"count":1.5}`: false, `{"count":1e3}`: false, `{"count":9223372036854775808}`: false,
		`{"tls":1}`: false, `{"time":"yesterday"}`: false, `{"time":1}`: false, `{"answer":[]}`: false, `{"answer":{"status":"a"}}`: false,
		`{"attempts":{}}`: false, `{"attempts":[1]}`: false, `{"attempts":[{"head":"!"}]}`: false, `{"attempts":[{"head":1}]}`: false,
		`{"raw":[]}`: false, `{"raw":{"id":"!"}}`: false, `{"events":"a"}`: false, `{"events":[1]}`: false,
	} {
		got, want := facts{Recording: &Recording{}}, facts{Recording: &Recording{}}
		err := got.decode([]byte(text))
		if (err == nil) != well || (json.Unmarshal([]byte(text), &want) == nil) != well {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b Block) bool { return true })); well && diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// TestFactsThatAreNoUTF8AreKept byte for byte: through a tape file, and through a store.
func TestFactsThatAreNoUTF8AreKept(t *testing.T) {
	const head = "GET /caf\xe9?\xff HTTP/1.1\r\nHost: a\xfe.test\r\nX-Event: \x80\r\n\r\n"
	want := &Recording{
		ID: "A", Known: true, Verdict: "accepted", Method: "GET", Target: "/caf\xe9?\xff", Host: "a\xfe.test", Event: "\x80", Events: []string{"a", "\x80"}, Trace: "\ufffd",
		HeadSize: len(head), Request: Bytes([]byte(head)),
		Attempts: []Attempt{{Number: 1, URL: "http://b/caf\xe9?\xff", Error: "\xf0"}}, Deliveries: []Delivery{{Target: "b", State: "delivered", Key: "\xc0"}},
	}
	_, all, damage, _ := read(t, bytes.NewReader(written(t, NewWriter, []*Recording{want})))
	if len(all) != 1 || len(damage) > 0 {
		t.Fatal(all, damage)
	}
	all[0].URL = ""
	compareRecordings(t, all, []*Recording{want})
	s := newStore(t)
	importAll(t, s, func(yield func(*Recording, error) bool) { yield(all[0], nil) })
	for rec, err := range s.Records(store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		got, err := Of(s, rec)
		if err != nil || got.Target != want.Target || got.Event != want.Event || got.Attempts[0].URL != want.Attempts[0].URL || got.Deliveries[0].Key != want.Deliveries[0].Key {
			t.Errorf("%v, %+q, %+v", err, got.Target, got)
		}
	}
}
