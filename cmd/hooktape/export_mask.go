package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/url"
	"slices"

	"github.com/hooktape/hooktape/relay/inspect"
	tapefile "github.com/hooktape/hooktape/replay/tape"
)

// newMasker makes the masker for one export: with a key of its own, so that nothing leads from a fake to its secret.
func newMasker(ctx context.Context, c *inspect.Client, paths []tapefile.MaskPath) (*tapefile.Masker, error) {
	names, err := c.Mask(ctx)
	if err != nil {
		return nil, err
	}
	all, err := c.Sources(ctx)
	if err != nil {
		return nil, err
	}
	sources := map[string]*tapefile.SignedSource{}
	for _, s := range all {
		if s.Provider != "" {
			sources[s.Name] = &tapefile.SignedSource{Provider: s.Provider, Params: s.Params, PublicURL: origin(s.URL), Path: s.Path}
		}
	}
	var key [32]byte
	rand.Read(key[:])
	return tapefile.NewMasker(key[:], names, paths, sources), nil
}

// lookAhead has the masker read what is exported a second time, ahead of what it masks. The Closer must be closed after
// the masking.
func (x *export) lookAhead(ctx context.Context, c *inspect.Client) (io.Closer, error) {
	from, err := c.Export(ctx, x.names, x.filter)
	if err != nil {
		return nil, err
	}
	file, err := tapefile.NewReader(from)
	if err != nil {
		from.Close()
		return nil, err
	}
	file.Largest = math.MaxInt64 // the tape accepted it once
	x.masker.LookAhead(func(yield func(*tapefile.Recording, error) bool) {
		defer file.Close()
		for r, err := range file.Recordings() {
			if _, damaged := errors.AsType[*inspect.Problem](err); damaged {
				x.unseen = apiError("export", err) // after all that can be read; the export itself says so too
				return
			}
			if !yield(r, err) {
				return
			}
		}
	})
	return from, nil
}

// origin is the scheme and host of a URL; "" where it has none.
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// tellMasked says what masking could not do.
func (x *export) tellMasked() {
	if x.masker == nil {
		return
	}
	if n := x.masker.Unread; n > 0 {
		fmt.Fprintf(x.stderr, "hooktape: %s can't be searched for secrets: in binary data, only secrets seen elsewhere are replaced; encrypted data and unknown encodings are replaced as a whole\n", count(n, "body", "bodies"))
	}
	for _, name := range slices.Sorted(maps.Keys(x.masker.Unsigned)) {
		fmt.Fprintf(x.stderr, "hooktape: source %s: not signed with a test secret: %s\n", clean(name), clean(x.masker.Unsigned[name].Error()))
	}
}
