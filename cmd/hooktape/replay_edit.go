package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/replay"
)

// editFlags say what is changed of the requests before they are sent.
type editFlags struct {
	set, add, unset []string
}

func (f *editFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringArrayVar(&f.set, "set", nil, "PATH=VALUE, change this part: json.order.id=17, header.x-event=paid, query.page=2; it must exist; repeatable")
	flags.StringArrayVar(&f.add, "add", nil, "PATH=VALUE like --set, but the part need not exist yet; repeatable")
	flags.StringArrayVar(&f.unset, "unset", nil, "PATH of a part to remove; it must exist; repeatable")
}

// edits reads the flags.
func (f *editFlags) edits() (edits []replay.Edit, err error) {
	for _, kind := range []struct {
		flag  string
		texts []string
		parse func(string) (replay.Edit, error)
	}{{"--set", f.set, replay.ParseSet}, {"--add", f.add, replay.ParseAdd}, {"--unset", f.unset, replay.ParseUnset}} {
		for _, text := range kind.texts {
			edit, err := kind.parse(text)
			if err != nil {
				return nil, misused("give it as in --set json.order.id=17 or --unset header.x-date", "%s: %w", kind.flag, err)
			}
			edits = append(edits, edit)
		}
	}
	return edits, nil
}

// checkEdits makes sure before anything is sent that every request can be changed as it is to be: a typo in a path must
// not pass for a test.
func (r *replayer) checkEdits(ctx context.Context, names []string) error {
	if !r.edited() {
		return nil
	}
	var left leftOut // counted when they are sent
	n := 0
	for rec, err := range r.tape.Playable(ctx, r.chosen(names)) {
		if err != nil {
			return apiError("replay", err)
		}
		request, err := r.recorded(ctx, &rec)
		if r.leavesOut(&rec, &left) {
			continue // that is told
		}
		n++
		if err != nil || rec.Truncated {
			continue // it is not sent, and that is told
		}
		for _, v := range r.variations {
			if _, err := request.With(v.edits...); err != nil {
				return cannotEdit(r.called(&rec, n), &v, err)
			}
		}
	}
	return nil
}

// edited says whether any request is changed.
func (r *replayer) edited() bool {
	for _, v := range r.variations {
		if len(v.edits) > 0 {
			return true
		}
	}
	return false
}

func cannotEdit(of recordName, v *variation, err error) error {
	in := ""
	if v.name != "" {
		in = " as " + strings.TrimSpace(clean(v.name))
	}
	hint := "nothing was sent; --where chooses the records that can be changed so"
	if errors.Is(err, replay.ErrNoPart) {
		hint = "nothing was sent; --add makes what is not there, and --where chooses records that have it"
	}
	return misused(hint, "change record %s%s: %w", of.whole, in, err)
}

// setsHost says whether the requests have a Host of their own.
func (v *variation) setsHost() bool {
	return slices.ContainsFunc(v.edits, func(e replay.Edit) bool { return strings.EqualFold(e.Path(), "header.host") })
}
