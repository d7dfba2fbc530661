package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/inspect"
	tapefile "github.com/hooktape/hooktape/replay/tape"
)

// exportFlags are the flags of export.
type exportFlags struct {
	filterFlags
	out, form             string
	mask, verbatim, force bool
	reveal, curl          bool
	to                    string
	paths                 []string
}

func newExport(e *env) *cobra.Command {
	f := &exportFlags{}
	c := &cobra.Command{
		Use:   "export ID... | --session NAME | --where EXPR, -o FILE, or export --curl ID",
		Short: "Write records to a tape file, for other machines and tools",
		Long: `Writes the named records, those of a session, or those that match all given
flags, to a tape file, oldest first, with their answers and attempts. The
extension of FILE selects the format:

  .warc, .warc.gz   WARC 1.1 (ISO 28500): every byte as it was on the wire, and
                    what hooktape knows about it; hooktape import reads it back
  .har              HAR 1.2, for browsers and proxies: requests and answers

--mask replaces tokens, passwords and keys with fakes of the same length and
form; --mask-path adds whatever else must not be shown. Requests that were
verified are signed with a secret made for the file and stored in it:
hooktape replay --resign uses it. WARC needs --mask or --verbatim, which writes
every byte as it was; HAR is masked unless --reveal is given.

--curl prints a command that sends the bytes of one record: with curl, or,
where curl would send other bytes, over a plain socket.

FILE gets its name once it is complete and on disk. -o - writes to stdout.`,
		Example: `  hooktape export --session checkout --verbatim -o checkout.warc.gz
  hooktape export --since 1d --mask --mask-path json.customer.email -o day.warc.gz
  hooktape export --session checkout -o checkout.har
  hooktape export --curl last --reveal --to http://127.0.0.1:3000`,
		RunE: func(c *cobra.Command, args []string) error {
			if f.curl {
				if err := f.checkCurl(args); err != nil {
					return err
				}
				f.out = "-"
			}
			x, err := f.export(e, args)
			if err != nil {
				return err
			}
			if f.curl {
				return x.curl(c.Context(), f.to)
			}
			return x.run(c.Context())
		},
	}
	f.add(c)
	flags := c.Flags()
	flags.StringVarP(&f.out, "output", "o", "", "the file to write; -: stdout")
	flags.StringVar(&f.form, "format", "", "format of the file, if its name does not say: "+strings.Join(tapeForms, ", "))
	flags.BoolVar(&f.mask, "mask", false, "replace secrets with fakes of the same length and form")
	flags.StringArrayVar(&f.paths, "mask-path", nil, "replace this too: json.customer.email, form.phone, query.name, header.x-user; * stands for any name (implies --mask); repeatable")
	flags.BoolVar(&f.verbatim, "verbatim", false, "write secrets as they are")
	revealFlag(c, &f.reveal)
	flags.BoolVar(&f.curl, "curl", false, "print a command that sends the record again, byte for byte")
	flags.StringVar(&f.to, "to", "", "with --curl: scheme and host to send to (default: the original ones)")
	flags.BoolVar(&f.force, "force", false, "replace FILE if it exists")
	completed(c, "format", strings.Join(tapeForms, ", "))
	return c
}

// export is one call of export.
type export struct {
	*env
	names  []string
	filter inspect.Filter
	path   string // "-": stdout
	form   tapeForm
	force  bool
	mask   bool
	paths  []tapefile.MaskPath

	masker         *tapefile.Masker    // nil: nothing is masked
	unseen         error               // why the masker did not see everything ahead; nil: it did
	har            *tapefile.HARWriter // nil: another format
	warc           *tapefile.Writer    // nil: another format
	records, bytes int64
	left           int // records left out because they are too large for the format
}

// export reads the flags.
func (f *exportFlags) export(e *env, args []string) (*export, error) {
	filter, err := f.filter(e.now())
	if err != nil {
		return nil, err
	}
	chosen := f.given()
	switch {
	case len(args) == 0 && !chosen:
		return nil, misused("name records, or choose them with --session, --where and the like", "which records?")
	case len(args) > 0 && chosen:
		return nil, misused("", "ids and flags that choose exclude each other")
	case f.out == "":
		return nil, misused("-o FILE.warc.gz names it; -o - is stdout", "where to?")
	}
	form, err := f.chosenForm()
	if err != nil {
		return nil, err
	}
	x := &export{env: e, names: args, filter: filter, path: f.out, form: form, force: f.force}
	if x.mask, err = f.masked(form); err != nil {
		return nil, err
	}
	for _, text := range f.paths {
		p, err := tapefile.ParseMaskPath(text)
		if err != nil {
			return nil, misused("paths are written as json.customer.email, form.phone, query.name, header.x-user", "--mask-path %w", err)
		}
		x.paths = append(x.paths, p)
	}
	return x, nil
}

// masked says whether secrets are masked.
func (f *exportFlags) masked(form tapeForm) (bool, error) {
	mask, plain := f.mask || f.paths != nil, f.verbatim || f.reveal
	switch {
	case mask && plain:
		return false, misused("", "--mask and --mask-path replace secrets, --verbatim and --reveal write them as they are")
	case form == formHAR && f.verbatim:
		return false, misused("--reveal writes secrets as they are; WARC is verbatim", "HAR can't hold every byte as it was")
	case form != formHAR && !mask && !f.verbatim:
		return false, misused("--mask replaces secrets by fakes, --verbatim writes every byte as it was", "a WARC file holds what was on the wire, secrets too")
	}
	return !plain, nil
}

func (f *exportFlags) chosenForm() (tapeForm, error) {
	hint := "forms: " + strings.Join(tapeForms, ", ")
	switch {
	case f.form != "" && !slices.Contains(tapeForms, f.form):
		return "", misused(hint, "there is no format %q", f.form)
	case f.form != "":
		return tapeForm(f.form), nil
	case f.curl:
		return formHAR, nil // it is masked as HAR is
	case f.out == "-":
		return formWARC, nil
	}
	form := formOf(f.out)
	if form == "" {
		return "", misused(hint+"; --format FORMAT sets it, whatever the name", "the format of %s does not follow from its name", f.out)
	}
	return form, nil
}

// chosen is a tape file of what to export, as it is on the tape. Everything needed to mask it is ready then.
func (x *export) chosen(ctx context.Context, c *inspect.Client) (from io.ReadCloser, err error) {
	if x.mask {
		if x.masker, err = newMasker(ctx, c, x.paths); err != nil {
			return nil, err
		}
	}
	return c.Export(ctx, x.names, x.filter)
}

func (x *export) run(ctx context.Context) error {
	t, err := x.openTape(ctx, toRead)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := x.mayWrite(t.path); err != nil {
		return err
	}
	from, err := x.chosen(ctx, t.Client)
	if err != nil {
		return apiError("export", err)
	}
	defer from.Close()
	if x.masker != nil {
		ahead, err := x.lookAhead(ctx, t.Client)
		if err != nil {
			return apiError("export", err)
		}
		defer ahead.Close()
		defer x.masker.Close()
	}
	lost := x.write(ctx, from)
	if lost != nil && !x.isThere(lost) {
		return lost
	}
	x.tellMasked()
	if x.har != nil && x.har.Left > 0 {
		x.records -= int64(x.har.Left)
		fmt.Fprintf(x.stderr, "hooktape: %s left out: HAR has no place for bytes that never became a request\n", counted(x.har.Left, "record"))
	}
	if x.path != "-" {
		fmt.Fprintf(x.stdout, "%s: %s, %s\n", clean(x.path), counted(int(x.records), "record"), size(x.bytes))
	}
	if x.left > 0 && lost == nil {
		return &failure{code: exitCannot, hint: "the rest of it was exported; WARC with --verbatim takes them too"}
	}
	return lost
}

// isThere says whether there is a file although writing it failed with err: it then has all that could be read.
func (x *export) isThere(err error) bool {
	_, damaged := errors.AsType[*inspect.Problem](err)
	return damaged && x.records > 0
}

// mayWrite says why the file can't be made; nil: it can.
func (x *export) mayWrite(data string) error {
	if x.path == "-" {
		if isTerminal(x.stdout) {
			return misused("-o FILE writes to a file", "a tape file can't be written to a terminal")
		}
		return nil
	}
	if isSink(x.path) {
		return nil
	}
	return x.file().check(data)
}

func (x *export) file() newFile { return newFile{doing: "export", path: x.path, force: x.force} }

// write writes the file. If some records can't be read, the file is made all the same, and the error says so.
func (x *export) write(ctx context.Context, from io.Reader) error {
	if x.path == "-" {
		out := bufio.NewWriter(x.stdout)
		return cmp.Or(x.copy(ctx, out, from), out.Flush())
	}
	var lost error
	fill := func(to *os.File) error {
		lost = x.copy(ctx, to, from)
		if x.isThere(lost) {
			return nil
		}
		return lost
	}
	write := x.file().write
	if isSink(x.path) {
		write = x.file().writeSink
	}
	return cmp.Or(write(fill), lost)
}

// recordingWriter writes tape files of one format.
type recordingWriter interface {
	Write(*tapefile.Recording) error
	SetSigning([]tapefile.Signing)
	Close() error
}

// begin begins the file.
func (x *export) begin(to io.Writer, info tapefile.Info) recordingWriter {
	info.Software, info.Created = "hooktape "+programVersion().Version, x.now().UTC()
	if x.masker != nil {
		info.Masked, info.Hidden = true, x.masker.Hidden()
	}
	switch x.form {
	case formHAR:
		x.har = tapefile.NewHARWriter(to, info)
		return x.har
	case formWARCGz:
		x.warc = tapefile.NewGzipWriter(to, info)
	default:
		x.warc = tapefile.NewWriter(to, info)
	}
	return x.warc
}

// copy writes what comes from the tape in the chosen format. If some of it can't be read, the rest is written, and the
// error is a Problem that says so.
func (x *export) copy(ctx context.Context, to io.Writer, from io.Reader) error {
	file, err := tapefile.NewReader(from)
	if err != nil {
		return cannot("", "export: %w", err)
	}
	defer file.Close()
	file.Largest = math.MaxInt64 // the tape accepted it once
	progress := x.progress()
	defer progress.hide()
	var out recordingWriter
	for recording, err := range x.recordings(file) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if problem, ok := errors.AsType[*inspect.Problem](err); ok {
			if out != nil {
				if err := x.finish(out, file.Info()); err != nil {
					return x.file().failed(err)
				}
			}
			return apiError("export", problem)
		}
		if err != nil {
			return cannot("", "export: %w", err)
		}
		if out == nil {
			out = x.begin(to, file.Info())
		}
		if err := x.put(out, recording); err != nil {
			if _, large := errors.AsType[*tapefile.TooLarge](err); !large {
				return x.file().failed(err)
			}
			progress.hide()
			fmt.Fprintf(x.stderr, "hooktape: left out: %s\n", clean(err.Error()))
			x.left++
			continue
		}
		x.records++
		x.bytes += recording.Size()
		progress.show(x.bytes, 0, func() string { return counted(int(x.records), "record") + ", " + size(x.bytes) })
	}
	if x.records == 0 && x.left > 0 {
		return cannot("--verbatim has no such limit", "nothing was exported")
	}
	if out == nil {
		return cannot("hooktape list shows what there is", "nothing to export: no record is chosen")
	}
	if err := x.finish(out, file.Info()); err != nil {
		return x.file().failed(err)
	}
	return cmp.Or(ctx.Err(), x.unseen)
}

// finish ends the file. How its requests are signed may only be known now: from the masker, or from the end of the file
// that it is made from.
func (x *export) finish(out recordingWriter, from tapefile.Info) error {
	signing := from.Signing
	if x.masker != nil && len(x.masker.Signing()) > 0 {
		signing = x.masker.Signing()
	}
	if len(signing) > 0 {
		out.SetSigning(signing)
	}
	return out.Close()
}

// sized is a recording, or a verbatim copy of one.
type sized interface{ Size() int64 }

// recordings are those of a file; if they are written unchanged, they are only copied.
func (x *export) recordings(file *tapefile.Reader) iter.Seq2[sized, error] {
	if x.masker == nil && x.form != formHAR {
		return allSized(file.Copies())
	}
	return allSized(file.Recordings())
}

func allSized[T sized](all iter.Seq2[T, error]) iter.Seq2[sized, error] {
	return func(yield func(sized, error) bool) {
		for one, err := range all {
			if !yield(one, err) {
				return
			}
		}
	}
}

// put writes a recording, masked where that is asked for.
func (x *export) put(out recordingWriter, one sized) error {
	if c, ok := one.(*tapefile.Copy); ok {
		return x.warc.Copy(c)
	}
	r := one.(*tapefile.Recording) // there is no other kind here
	if x.masker != nil {
		masked, err := x.masker.Mask(r)
		if err != nil {
			return fmt.Errorf("mask record %s: %w", r.ID, err)
		}
		r = masked
	}
	return out.Write(r)
}
