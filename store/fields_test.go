package store

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// fielded are facts that write their fields themselves.
type fielded interface{ appendTo(fields) fields }

func appendFields(b []byte, v fielded) []byte { return v.appendTo(openFields(b)).close() }

// TestFieldsAreThoseOfTheTags: facts that write their fields themselves give the bytes that their tags ask for, whatever
// is in them. A field that is forgotten is found here.
func TestFieldsAreThoseOfTheTags(t *testing.T) {
	for _, facts := range []fielded{new(recordFacts), new(answerFacts), new(attemptFacts), new(sentFacts), new(deliveryFacts)} {
		kind := reflect.TypeOf(facts).Elem()
		t.Run(kind.Name(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				v := reflect.New(kind)
				drawFields(t, v.Elem(), rapid.Bool().Draw(t, "whole"))
				facts := v.Interface().(fielded)
				var want bytes.Buffer
				if err := encMode.MarshalToBuffer(facts, &want); err != nil {
					t.Fatal(err)
				}
				if got := appendFields(nil, facts); !bytes.Equal(got, want.Bytes()) {
					t.Fatalf("%+v\n got %x\nwant %x", facts, got, want.Bytes())
				}
			})
		})
	}
}

// TestReadFieldsAreThoseOfTheTags: facts that read their fields themselves read what decMode does by their tags, or leave
// it to that, also where a byte was changed.
func TestReadFieldsAreThoseOfTheTags(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var facts recordFacts
		drawFields(t, reflect.ValueOf(&facts).Elem(), rapid.Bool().Draw(t, "whole"))
		b := appendFields(nil, &facts)
		var got, want removalFacts
		if err := decMode.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		if !got.readFields(b) && facts.Size >= 0 && (facts.Answer == nil || facts.Answer.Size >= 0) {
			t.Fatalf("can't read %x", b)
		} else if got.Source != "" && !reflect.DeepEqual(got, want) {
			t.Fatalf("%x\n got %+v\nwant %+v", b, got, want)
		}
		b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "with"))
		got, want = removalFacts{}, removalFacts{}
		err := decMode.Unmarshal(b, &want)
		if got.readFields(b) && (err != nil || !reflect.DeepEqual(got, want)) {
			t.Fatalf("%x\n got %+v\nwant %+v, %v", b, got, want, err)
		}
	})
}

func TestReadFieldsKeepsNothingOfTheRecordBefore(t *testing.T) {
	full := recordFacts{
		Source: "iiko", Verdict: Accepted, Pieces: make([]byte, 16), Size: 7, Answer: &answerFacts{Pieces: make([]byte, 16), Size: 9},
	}
	for _, next := range []recordFacts{{}, {Source: "asna"}, {Verdict: NoSource, Answer: &answerFacts{}}, full} {
		var got, want removalFacts
		if !got.readFields(appendFields(nil, &full)) || !got.readFields(appendFields(nil, &next)) || !want.readFields(appendFields(nil, &next)) {
			t.Fatal("can't read it")
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

// drawFields draws what is in v: all of its fields, or some.
func drawFields(t *rapid.T, v reflect.Value, whole bool) {
	if !whole && v.Kind() != reflect.Struct && rapid.Bool().Draw(t, "empty") {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			drawFields(t, v.Field(i), whole)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		drawFields(t, v.Elem(), whole)
	case reflect.String:
		v.SetString(string(drawBytes(t)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-300, 300), rapid.Int64Range(1, 70_000)).Draw(t, "number"))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(drawBytes(t))
			return
		}
		n := rapid.IntRange(0, 30).Draw(t, "length")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			drawFields(t, v.Index(i), whole)
		}
	default:
		t.Fatalf("fields can't write a %s", v.Type())
	}
}

// drawBytes draws bytes as they come from the wire: they need not be UTF-8.
func drawBytes(t *rapid.T) []byte {
	n := rapid.SampledFrom([]int{1, 23, 24, 255, 256, 300, 70_000}).Draw(t, "length")
	return bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, n)
}
