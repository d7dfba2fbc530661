package tape

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Reader reads a tape file of any form. It is one goroutine's at a time, and must be closed.
type Reader struct {
	// Largest bounds the bytes of a message, and the memory that the facts of a recording or an exchange of HAR take. What is
	// larger is passed over, and told as Damage that wraps a *TooLarge. 0: 1 GiB for a message of WARC, which is kept on the
	// disk, and 64 MiB for what has to be in memory. Set it before reading.
	Largest int64

	in      input         // of WARC
	har     *bufio.Reader // nil: it is WARC
	harErr  error         // of reading it
	before  int64         // bytes of the file that were passed over
	scratch scratch
	info    Info
	number  int  // of the WARC record at hand
	lost    bool // the text at hand is not where a WARC record begins
	current *assembly
	halves  []*half
	torn    torn
	skipped Skipped
	fresh   []found
}

// Skipped counts the WARC records of other tools that are no part of a recording.
type Skipped struct {
	Alone int            // responses whose request is not there
	Other map[string]int // by what they are: "revisit", "segment", "response of text/dns"
}

// kindsMax is how many types of WARC records are told apart. The standard has eight.
const (
	kindsMax   = 32
	kindLength = 64
)

func (s *Skipped) add(kind string) {
	if len(kind) > kindLength {
		kind = kind[:kindLength]
	}
	if s.Other[kind] == 0 && len(s.Other) >= kindsMax {
		kind = "other"
	}
	s.Other[kind]++
}

// NewReader begins to read a tape file. It fails when the first bytes are of no form that it knows. What it keeps on the
// disk meanwhile lies in the folder for temporary files.
func NewReader(r io.Reader) (*Reader, error) {
	start := bufio.NewReaderSize(r, inputBuffer)
	kind, err := sniff(start)
	if err != nil {
		return nil, err
	}
	t := &Reader{skipped: Skipped{Other: map[string]int{}}}
	if bom, _ := start.Peek(3); string(bom) == "\ufeff" {
		n, _ := start.Discard(3) // it was peeked at
		t.before = int64(n)
	}
	switch kind {
	case kindWARC:
		t.in = newPlainInput(start)
	case kindGzip:
		t.in = newGzipInput(start)
	case kindHAR:
		t.har = start
	}
	return t, nil
}

const (
	largestMessage = 1 << 30
	largestFacts   = 64 << 20
)

// mostMemory is how many bytes of memory what has to be decoded may take.
func (r *Reader) mostMemory() int64 { return cmp.Or(r.Largest, largestFacts) }

// most is how many bytes the block of p may have.
func (r *Reader) most(p *warcPart) int64 {
	switch {
	case p.isType("warcinfo"):
		return headMax // its fields are few
	case p.isContent(typeTape), p.isContent(typeRecording):
		return r.mostMemory()
	}
	return cmp.Or(r.Largest, largestMessage)
}

// Close deletes what was kept on the disk.
func (r *Reader) Close() error { return r.scratch.Close() }

// Info is what the file says about itself, as far as it has been read: before its first recording in files of ours.
func (r *Reader) Info() Info { return r.info }

// Skipped is what was passed over so far.
func (r *Reader) Skipped() Skipped { return r.skipped }

// Recordings gives the recordings in the order of the file, once. Blocks are valid until the next one is given. An error
// that is a *Damage is about one place; any other is the last to come.
func (r *Reader) Recordings() iter.Seq2[*Recording, error] {
	if r.har != nil {
		return r.readHAR
	}
	return r.readWARC
}

func (r *Reader) readWARC(yield func(*Recording, error) bool) {
	for {
		err := r.step()
		if r.lost && r.in.seek() != nil {
			err = cmp.Or(r.failure(), io.EOF)
		}
		r.lost = false
		if err == io.EOF {
			r.abandon()
			r.flush(0)
		}
		if !r.give(yield) {
			return
		}
		if err != nil {
			if err != io.EOF {
				yield(nil, err)
			}
			return
		}
	}
}

// found is what is to be given next: a recording, or what is damaged.
type found struct {
	*Recording
	damage *Damage
}

// give gives what is found.
func (r *Reader) give(yield func(*Recording, error) bool) bool {
	for _, f := range r.fresh {
		var err error
		if f.damage != nil {
			err = f.damage
		}
		if !yield(f.Recording, err) {
			return false
		}
	}
	clear(r.fresh)
	r.fresh = r.fresh[:0]
	r.reclaim()
	return true
}

// reclaim frees what was kept for recordings that were given. Halves that wait for their other half stay.
func (r *Reader) reclaim() {
	if r.current != nil {
		return
	}
	r.scratch.clear()
	for _, h := range r.halves {
		r.scratch.hold(h.block)
	}
	r.holdTorn()
}

// complete takes a recording whose parts are together.
func (r *Reader) complete(recording *Recording) {
	if err := recording.examine(); err != nil {
		r.damaged(r.in.offset(), recording.ID, err)
		return
	}
	r.fresh = append(r.fresh, found{Recording: recording})
}

// damaged says what can't be read.
func (r *Reader) damaged(offset int64, id string, err error) {
	r.fresh = append(r.fresh, found{damage: r.damage(offset, id, err)})
}

// damage is an error about the WARC record at hand.
func (r *Reader) damage(offset int64, id string, err error) *Damage {
	return &Damage{Offset: r.before + offset, Record: r.number, ID: id, Err: err}
}

// step takes one WARC record. io.EOF is the end of the file; another error is that of reading it. With r.lost, the next
// record must be looked for.
func (r *Reader) step() error {
	p, err := r.part()
	if p != nil {
		r.take(p)
	}
	return err
}

// part reads one WARC record, as step does; nil: it can't be read, and is told as damage.
func (r *Reader) part() (*warcPart, error) {
	text := r.in.text()
	skipBlank(text)
	p := &warcPart{offset: r.in.offset()}
	var err error
	if p.warcHead, err = readWARCHead(text); err == io.EOF && r.in.failed() == nil {
		return nil, io.EOF
	}
	r.number++
	if err == nil {
		at := r.in.offset()
		if err = r.readBlock(p); r.lookBack(p, at, err) && err != nil {
			err = errTorn
		}
	}
	if err != nil {
		return nil, r.broken(p, err)
	}
	return p, nil
}

// skipBlank passes over the line ends between WARC records.
func skipBlank(r *bufio.Reader) {
	for {
		b, err := r.Peek(1)
		if err != nil || b[0] != '\r' && b[0] != '\n' {
			return
		}
		_, _ = r.Discard(1) // it was peeked at
	}
}

// broken is what a WARC record is that can't be read to its end.
func (r *Reader) broken(p *warcPart, err error) error {
	if failure := r.failure(); failure != nil {
		return failure
	}
	r.lost = true
	cause := r.in.failed()
	switch {
	case cause != nil && cause != io.ErrUnexpectedEOF:
		err = cause
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		err = errCut
	}
	id := ""
	if r.current != nil {
		id = r.current.ID
	}
	r.damaged(p.offset, id, err)
	if a := r.current; a != nil {
		r.current = nil
		r.giveAssembly(a)
	}
	return nil
}

// failure is why nothing more can be read though the file may be whole; nil: it can.
func (r *Reader) failure() error {
	switch {
	case r.in.unread() != nil:
		return fmt.Errorf("read the tape file: %w", r.in.unread())
	case r.scratch.err != nil:
		return fmt.Errorf("keep what was read: %w", r.scratch.err)
	}
	return nil
}

// What else is wrong with a file.
var (
	errCut     = cutError{}
	errMissing = errors.New("parts of it are missing")
	errNewer   = errors.New("a later hooktape wrote it")
)

// cutError says that the file ends too early.
type cutError struct{}

func (cutError) Error() string { return "the file ends in the middle of it" }
func (cutError) Unwrap() error { return io.ErrUnexpectedEOF }

// readBlock reads the block of p and what is behind it, and checks its digest.
func (r *Reader) readBlock(p *warcPart) error {
	text := io.LimitReader(r.in.text(), p.length)
	if most := r.most(p); p.wanted() && p.length > most {
		p.bad = &TooLarge{Size: p.length, Most: most}
	}
	if !p.wanted() || p.bad != nil {
		n, err := io.Copy(io.Discard, text)
		if err == nil && n < p.length {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	block := newDigest(p.get(fieldBlockDigest))
	if block != nil {
		text = io.TeeReader(text, block)
	}
	var err error
	if p.block, err = r.scratch.keep(text, p.length); err != nil {
		return err
	}
	switch {
	case block == nil:
		p.bad = p.checkPayload()
	case block.holds():
		p.sound = true
	default:
		p.bad = wrongDigest(fieldBlockDigest)
	}
	return nil
}

// take puts a WARC record where it belongs.
func (r *Reader) take(p *warcPart) {
	switch {
	case r.current != nil && r.current.owns(p):
		r.add(p)
		return
	case p.isContent(typeRecording):
		r.abandon()
		r.flush(0) // what is left of a recording whose metadata is damaged
		r.begin(p)
		return
	}
	r.abandon()
	switch {
	case p.isType("warcinfo"):
		r.takeInfo(p)
	case p.isContent(typeTape):
		r.takeAbout(p)
	case p.isHTTP() && p.standsAlone():
		r.pair(p)
	case p.get(fieldPart) == "":
		r.skipped.add(p.kind())
	}
}

// takeInfo reads the fields of a warcinfo record.
func (r *Reader) takeInfo(p *warcPart) {
	var h warcHead
	if text, ok := r.whole(p); ok {
		for line := range strings.Lines(string(text)) {
			if h.addLine(strings.TrimRight(line, "\r\n")) != nil {
				break
			}
		}
	}
	r.info.Software, r.info.Session = h.get("software"), h.get("isPartOf")
}

// takeAbout reads what is ours alone to know about the file.
func (r *Reader) takeAbout(p *warcPart) {
	r.decode(p, func(text []byte) error { return json.Unmarshal(text, &r.info) })
}

// decode reads a block that is JSON. It says what is wrong with one that can't be read.
func (r *Reader) decode(p *warcPart, into func(text []byte) error) bool {
	text, ok := r.whole(p)
	if !ok {
		return false
	}
	err := fitsMemory(text, r.mostMemory())
	if err == nil {
		err = into(text)
	}
	if err != nil {
		r.damaged(p.offset, "", err)
		return false
	}
	return true
}

// whole is a block in memory, when its digest holds.
func (r *Reader) whole(p *warcPart) (text []byte, ok bool) {
	text, err := p.block.ReadAll()
	if p.bad != nil {
		err = p.bad
	}
	if err != nil {
		r.damaged(p.offset, "", err)
	}
	return text, err == nil
}
