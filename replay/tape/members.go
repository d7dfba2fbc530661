package tape

import (
	"bytes"
	"io"
	"runtime"

	"github.com/klauspost/compress/gzip"
)

const (
	// batchSize is how many bytes of members are compressed in one go: some hundred small ones, in about a millisecond.
	batchSize = 64 << 10
	// batchesMax is how many are compressed side by side. Each takes about a megabyte.
	batchesMax = 4
)

// gzipMembers writes gzip members. Compressing is most of the work of writing a file, so small members are compressed in
// batches, while the next batch is filled. The goroutines for that write to memory alone and end by themselves: those of a
// file that is given up need not be waited for.
type gzipMembers struct {
	out     io.Writer
	batches []gzipBatch // taken in turn
	filling int         // of the batches; those behind it come first in the file
	large   *gzip.Writer
}

func newGzipMembers(out io.Writer) *gzipMembers {
	return &gzipMembers{out: out, batches: make([]gzipBatch, 1+min(runtime.GOMAXPROCS(0), batchesMax))}
}

// add writes a member with the text of a WARC record.
func (g *gzipMembers) add(head []byte, block Block) error {
	if all, ok := block.Inline(); ok && len(all) < batchSize {
		b := &g.batches[g.filling]
		b.text = append(append(append(b.text, head...), all...), recordEnd...)
		b.ends = append(b.ends, len(b.text))
		if len(b.text) < batchSize {
			return nil
		}
		return g.turn()
	}
	if err := g.flush(); err != nil {
		return err
	}
	g.large = newMember(g.large, g.out)
	if err := writeRecord(g.large, head, block); err != nil {
		return err
	}
	return g.large.Close()
}

// turn has a batch compressed, and makes the next one ready to be filled.
func (g *gzipMembers) turn() error {
	g.batches[g.filling].start()
	g.filling = (g.filling + 1) % len(g.batches)
	return g.batches[g.filling].writeTo(g.out)
}

// flush writes all that was added.
func (g *gzipMembers) flush() error {
	for range g.batches {
		if err := g.turn(); err != nil {
			return err
		}
	}
	return nil
}

// gzipBatch is several members. The zero gzipBatch is empty.
type gzipBatch struct {
	text   []byte
	ends   []int         // of the members in it
	done   chan struct{} // closed when they are compressed; nil: nobody does that
	file   bytes.Buffer  // what they are then
	member *gzip.Writer
}

// start has it compressed. Until writeTo, nothing of it may be touched.
func (b *gzipBatch) start() {
	if len(b.ends) == 0 {
		return
	}
	b.done = make(chan struct{})
	go func() {
		defer close(b.done)
		from := 0
		for _, end := range b.ends {
			b.member = newMember(b.member, &b.file)
			_, _ = b.member.Write(b.text[from:end]) // memory takes it
			_ = b.member.Close()
			from = end
		}
	}()
}

// writeTo writes what was started, and makes it empty.
func (b *gzipBatch) writeTo(to io.Writer) error {
	if b.done == nil {
		return nil
	}
	<-b.done
	b.done, b.text, b.ends = nil, b.text[:0], b.ends[:0]
	_, err := b.file.WriteTo(to)
	return err
}

// newMember begins a member, with what was used for another one; nil: there was none.
func newMember(was *gzip.Writer, to io.Writer) *gzip.Writer {
	if was == nil {
		// Compression is what costs: the best level takes five times as long as the fastest, for a tenth of the size.
		was, _ = gzip.NewWriterLevel(to, gzip.BestSpeed) // the level is one that there is
		return was
	}
	was.Reset(to)
	return was
}
