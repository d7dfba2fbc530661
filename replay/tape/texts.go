package tape

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// eachText goes through the texts of facts, which are named as in JSON: target, events.0, attempts.2.url.
func eachText(v reflect.Value, name string, each func(name string, text *string)) {
	switch v.Kind() {
	case reflect.String:
		each(name, v.Addr().Interface().(*string))
	case reflect.Pointer:
		if !v.IsNil() {
			eachText(v.Elem(), name, each)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachText(v.Index(i), join(name, strconv.Itoa(i)), each)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Type.Kind() != reflect.Map && (tag != "" && tag != "-" || field.Type == reflect.TypeFor[*Recording]()) {
				eachText(v.Field(i), join(name, tag), each)
			}
		}
	}
}

func join(name, part string) string { return strings.Trim(name+"."+part, ".") }

// lossy is what package json writes for a byte that is no UTF-8. The character itself it does not escape.
var lossy = []byte(`\ufffd`)

// keepRaw keeps the bytes of the texts that JSON has no room for, as its text shows, and says whether there are any: senders
// may write what they like into a target or the field that names an event.
func (f *facts) keepRaw(text []byte) bool {
	if !bytes.Contains(text, lossy) {
		return false
	}
	f.Raw = map[string][]byte{}
	eachText(reflect.ValueOf(f), "", func(name string, text *string) {
		if !utf8.ValidString(*text) {
			f.Raw[name] = []byte(*text)
		}
	})
	return len(f.Raw) > 0
}

// useRaw puts them back.
func (f *facts) useRaw() {
	if len(f.Raw) == 0 {
		return
	}
	eachText(reflect.ValueOf(f), "", func(name string, text *string) {
		if raw, ok := f.Raw[name]; ok {
			*text = string(raw)
		}
	})
}
