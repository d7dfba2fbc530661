package expr

import (
	"maps"
	"slices"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// deliveryParts are the parts of a delivery, by name.
var deliveryParts = map[string]func(*Delivery) found{
	"target":   func(d *Delivery) found { return words(d.Target) },
	"state":    func(d *Delivery) found { return words(d.State) },
	"attempts": func(d *Delivery) found { return plain{cty.NumberIntVal(int64(d.Attempts))} },
	"status": func(d *Delivery) found {
		if d.Status == 0 {
			return missing{}
		}
		return plain{cty.NumberIntVal(int64(d.Status))}
	},
	"error":   func(d *Delivery) found { return wordsOrNull(d.Error) },
	"finding": func(d *Delivery) found { return wordsOrNull(d.Finding) },
	"created": func(d *Delivery) found { return words(d.Created.UTC().Format(time.RFC3339Nano)) },
	"updated": func(d *Delivery) found { return words(d.Updated.UTC().Format(time.RFC3339Nano)) },
}

var deliveryNames = slices.Sorted(maps.Keys(deliveryParts))

func wordsOrNull(s string) found {
	if s == "" {
		return missing{}
	}
	return words(s)
}

func findDelivery(v *View, path []step) (found, error) {
	switch {
	case v.Delivery == nil:
		return missing{}, nil
	case len(path) == 0:
		return deliveryFound{v.Delivery}, nil
	}
	if part, ok := deliveryParts[path[0].name]; ok && len(path) == 1 {
		return part(v.Delivery), nil
	}
	return missing{}, nil
}

// deliveryFound is a delivery as a whole.
type deliveryFound struct{ *Delivery }

func (d deliveryFound) value() (cty.Value, error) {
	members := make(map[string]cty.Value, len(deliveryParts))
	for name, part := range deliveryParts {
		v, err := part(d.Delivery).value()
		if err != nil {
			return cty.NilVal, err
		}
		members[name] = v
	}
	return cty.ObjectVal(members), nil
}
func (d deliveryFound) text() (string, bool, error) { return "", false, errNotText }
func (d deliveryFound) isNull() bool                { return false }
func (d deliveryFound) count() (int, bool)          { return len(deliveryParts), true }
