package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	tapefile "github.com/hooktape/hooktape/replay/tape"
)

// checkCurl says what is wrong with the flags of export --curl.
func (f *exportFlags) checkCurl(args []string) error {
	switch {
	case len(args) != 1 || f.given():
		return misused("hooktape export --curl ID", "--curl takes one record")
	case f.out != "" || f.form != "":
		return misused("", "--curl prints a command, and writes no file")
	case f.verbatim:
		return misused("", "a command shows secrets with --reveal")
	case (f.mask || f.paths != nil) && f.reveal:
		return misused("", "--mask replaces secrets, --reveal shows them")
	}
	return nil
}

// curl prints a command that sends a record again.
func (x *export) curl(ctx context.Context, to string) error {
	t, err := x.openTape(ctx, toRead)
	if err != nil {
		return err
	}
	defer t.Close()
	from, err := x.chosen(ctx, t.Client)
	if err != nil {
		return apiError("export", err)
	}
	defer from.Close()
	if x.masker != nil {
		defer x.masker.Close()
	}
	file, err := tapefile.NewReader(from)
	if err != nil {
		return cannot("", "export: %w", err)
	}
	defer file.Close()
	file.Largest = math.MaxInt64
	for recording, err := range file.Recordings() {
		if err != nil {
			return apiError("export", err)
		}
		return x.printCurl(recording, to)
	}
	return cannot("", "export: %w", io.ErrUnexpectedEOF)
}

func (x *export) printCurl(r *tapefile.Recording, to string) error {
	shown := r
	if x.masker != nil {
		masked, err := x.masker.Mask(r)
		if err != nil {
			return cannot("", "export: %w", err)
		}
		shown = masked
	}
	command, instead, err := tapefile.Curl(shown, to)
	if err != nil {
		return misused("--to URL says where to send it", "export: %w", err)
	}
	if instead != "" {
		fmt.Fprintf(x.stderr, "hooktape: curl can't send these bytes (%s), so the command sends them without curl\n", instead)
	}
	if !r.Whole() {
		fmt.Fprintln(x.stderr, "hooktape: only part of the request was kept, or it never was a whole request")
	}
	_, err = io.WriteString(x.stdout, command)
	if same, differs := sameRequest(r, shown); differs == nil && !same {
		fmt.Fprintln(x.stderr, "hooktape: secrets are replaced by fakes; --reveal shows them")
	}
	return err
}

// sameRequest says whether two recordings have the same request.
func sameRequest(a, b *tapefile.Recording) (bool, error) {
	x, errX := a.Request.ReadAll()
	y, errY := b.Request.ReadAll()
	return string(x) == string(y), errors.Join(errX, errY)
}
