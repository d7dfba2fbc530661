package tape

import (
	"io"
	"iter"

	"github.com/tidwall/gjson"

	"github.com/hooktape/hooktape/relay/wire"
)

// Copy is a recording of a file of ours as it stands there. It can be written to another file and nothing else: what
// hooktape knows of it is not decoded, which is what reading and writing cost most.
type Copy struct {
	parts []*warcPart // the metadata, and what belongs to it
}

// Size is that of the Recording.
func (c *Copy) Size() (n int64) {
	for _, p := range c.parts[1:] {
		if !p.isContent(typeBytes) || p.get(fieldPart) == partRequest { // not what an attempt sent
			n += p.block.Size
		}
	}
	return n
}

// Copies gives the recordings of a WARC file that is wholly ours, in its order, once, in the place of Recordings. Each is
// valid until the next one is given. Whatever is not as Writer writes it is an error, and an error is the last to come: it is
// a *Damage where that is about a place of the file.
func (r *Reader) Copies() iter.Seq2[*Copy, error] {
	return func(yield func(*Copy, error) bool) {
		if r.har != nil {
			yield(nil, errNoWARC)
			return
		}
		for {
			c, err := r.nextCopy()
			if err == io.EOF || !yield(c, err) || err != nil {
				return
			}
			r.scratch.clear()
		}
	}
}

// nextCopy reads the next recording. io.EOF is the end of the file.
func (r *Reader) nextCopy() (*Copy, error) {
	for {
		p, err := r.soundPart()
		switch {
		case err != nil:
			return nil, err
		case p.isContent(typeRecording):
			return r.copyOf(p)
		case p.isType("warcinfo"):
			r.takeInfo(p)
		case p.isContent(typeTape):
			r.takeAbout(p)
		default:
			return nil, r.damage(p.offset, "", errMissing)
		}
	}
}

// copyOf reads the parts of a recording whose metadata was read.
func (r *Reader) copyOf(about *warcPart) (*Copy, error) {
	facts, err := about.block.ReadAll()
	if err != nil {
		return nil, err
	}
	const usual = 4 // parts: metadata, request, answer, response
	c := &Copy{parts: append(make([]*warcPart, 0, usual), about)}
	for left := gjson.GetBytes(facts, "parts").Int(); left > 0; left-- {
		p, err := r.soundPart()
		if err != nil && err != io.EOF {
			return nil, err
		}
		if err == io.EOF || p.get(fieldPart) == "" {
			return nil, r.damage(about.offset, "", errMissing)
		}
		c.parts = append(c.parts, p)
	}
	if len(c.parts) == 1 {
		return nil, r.damage(about.offset, "", errMissing)
	}
	return c, nil
}

// soundPart reads a WARC record that must be as it was written, as all before it.
func (r *Reader) soundPart() (*warcPart, error) {
	p, err := r.part()
	switch {
	case len(r.fresh) > 0:
		return nil, r.fresh[0].damage
	case err != nil:
		return nil, err
	case p.bad != nil:
		return nil, r.damage(p.offset, "", p.bad)
	}
	return p, nil
}

// Copy adds a recording as it is in another file. What its metadata says of the parts is not looked at.
func (w *Writer) Copy(c *Copy) error {
	if err := w.begin(); err != nil {
		return err
	}
	for _, p := range c.parts {
		if err := w.copyPart(p); err != nil {
			return err
		}
	}
	return nil
}

// copyPart writes a WARC record as it was, but for its digests, which stand where write has them.
func (w *Writer) copyPart(p *warcPart) error {
	w.beginHead()
	for _, f := range p.fields {
		switch f.name {
		case fieldBlockDigest, fieldPayloadDigest:
			continue
		case fieldID:
			headSize, err := p.headSize()
			if err != nil {
				return err
			}
			if _, err := w.addDigests(p.block, headSize); err != nil {
				return err
			}
		}
		w.field(f.name, f.value)
	}
	w.head.WriteString("\r\n")
	return w.emit(p.block)
}

// headSize is how many bytes of the block are the head of a message; 0: it is none.
func (p *warcPart) headSize() (int, error) {
	switch {
	case p.isContent(typeResponse):
		end, _, err := examineResponse(p.block)
		return end, err
	case p.isContent(typeRequest):
		start, err := p.block.Start(headMax)
		return max(0, wire.HeadEnd(start, 0)), err
	}
	return 0, nil
}
