package tape

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// facts is what hooktape knows of a recording, as tape files have it in JSON.
type facts struct {
	*Recording
	Version int               `json:"version"`       // metaVersion of who wrote it
	Parts   int               `json:"parts"`         // how many WARC records belong to it, beside this one
	Raw     map[string][]byte `json:"raw,omitempty"` // the bytes of texts that are no UTF-8, by their names
}

// encode is the JSON.
func (f *facts) encode() ([]byte, error) {
	text, err := json.Marshal(f)
	if err == nil && f.keepRaw(text) {
		return json.Marshal(f)
	}
	return text, err
}

// metaVersion is that of the JSON of a recording. What a later one adds, an earlier reader leaves out; only a change of
// meaning takes a new number.
const metaVersion = 1

// decode reads what encode writes. It takes a third of the time that json.Unmarshal would, which is most of
// what reading a file of small recordings costs. Members that are not known are passed over.
func (f *facts) decode(text []byte) error {
	if !gjson.ValidBytes(text) {
		return errNoJSON
	}
	if err := decodeObject(f, factMembers, gjson.ParseBytes(text)); err != nil {
		return err
	}
	f.useRaw()
	return nil
}

var errNoJSON = errors.New("the metadata about it is not JSON")

// members are where the fields of a struct are, by the names that their tags give them.
type members map[string][]int

func membersOf[T any]() members {
	all := members{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
			all[name] = field.Index
		}
	}
	return all
}

var (
	factMembers     = membersOf[facts]()
	answerMembers   = membersOf[Answer]()
	attemptMembers  = membersOf[Attempt]()
	deliveryMembers = membersOf[Delivery]()
)

// decodeObject sets the fields of a struct. What is null stays as it is.
func decodeObject[T any](to *T, known members, object gjson.Result) (err error) {
	if !object.IsObject() {
		return wrongType(object)
	}
	into := reflect.ValueOf(to).Elem()
	object.ForEach(func(name, v gjson.Result) bool {
		if at, ok := known[name.Str]; ok && v.Type != gjson.Null {
			if err = decodeValue(into.FieldByIndex(at).Addr().Interface(), v); err != nil {
				err = fmt.Errorf("%s: %w", name.Str, err)
			}
		}
		return err == nil
	})
	return err
}

func wrongType(v gjson.Result) error { return fmt.Errorf("%.20q is of another type", v.Raw) }

// decodeValue sets a field of one of the types that there are.
func decodeValue(to any, v gjson.Result) (err error) {
	switch to := to.(type) {
	case *string:
		*to = v.Str
		return onlyIf(v.Type == gjson.String, v)
	case *bool:
		*to = v.Bool()
		return onlyIf(v.IsBool(), v)
	case *int:
		*to, err = strconv.Atoi(v.Raw)
	case *int64:
		*to, err = strconv.ParseInt(v.Raw, 10, 64)
	case *[]byte:
		*to, err = base64.StdEncoding.DecodeString(v.Str)
		return errors.Join(err, onlyIf(v.Type == gjson.String, v))
	case *Time:
		return to.UnmarshalText([]byte(v.Str))
	case *map[string][]byte:
		if !v.IsObject() {
			return wrongType(v)
		}
		*to = map[string][]byte{}
		v.ForEach(func(name, v gjson.Result) bool {
			var raw []byte
			err = decodeValue(&raw, v)
			(*to)[name.Str] = raw
			return err == nil
		})
	case *[]string:
		return decodeList(to, v, func(to *string, v gjson.Result) error { return decodeValue(to, v) })
	case **Answer:
		*to = new(Answer)
		return decodeObject(*to, answerMembers, v)
	case *[]Attempt:
		return decodeList(to, v, func(to *Attempt, v gjson.Result) error { return decodeObject(to, attemptMembers, v) })
	case *[]Delivery:
		return decodeList(to, v, func(to *Delivery, v gjson.Result) error { return decodeObject(to, deliveryMembers, v) })
	}
	return err
}

func onlyIf(right bool, v gjson.Result) error {
	if !right {
		return wrongType(v)
	}
	return nil
}

func decodeList[T any](to *[]T, v gjson.Result, one func(*T, gjson.Result) error) (err error) {
	if !v.IsArray() {
		return wrongType(v)
	}
	*to = []T{}
	v.ForEach(func(_, v gjson.Result) bool {
		var each T
		err = one(&each, v)
		*to = append(*to, each)
		return err == nil
	})
	return err
}
