package tape

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Writer writes a tape file in WARC 1.1. It is one goroutine's at a time.
type Writer struct {
	out     *bufio.Writer
	info    Info
	members *gzipMembers // nil: it is not compressed
	plain   bool         // without digests
	begun   bool
	again   bool         // what the file is about has changed
	head    bytes.Buffer // of the WARC record under way
	block   hash.Hash
	payload hash.Hash
	scratch []byte

	date     Time // the last one, and its text
	dateText string
}

// NewWriter begins a tape file. Nothing is written before the first Write or Close.
func NewWriter(w io.Writer, info Info) *Writer {
	info.Software = cmp.Or(info.Software, "hooktape")
	return &Writer{out: bufio.NewWriterSize(w, 128<<10), info: info, block: sha256.New(), payload: sha256.New()}
}

// NewGzipWriter begins a tape file with a gzip member for each WARC record, as tools that seek in them want it.
func NewGzipWriter(w io.Writer, info Info) *Writer {
	tw := NewWriter(w, info)
	tw.members = newGzipMembers(tw.out)
	return tw
}

// NewStreamWriter begins a tape file without digests: for a pipe within one machine, whose two ends are ours.
func NewStreamWriter(w io.Writer, info Info) *Writer {
	tw := NewWriter(w, info)
	tw.plain = true
	return tw
}

// SetSigning says what the requests are signed with, as far as that is known only when they are written.
func (w *Writer) SetSigning(signing []Signing) { w.info.Signing, w.again = signing, true }

// Close writes what is buffered. A tape without recordings still says what it is.
func (w *Writer) Close() error {
	if err := w.begin(); err != nil {
		return err
	}
	if w.again {
		if err := w.about(); err != nil {
			return err
		}
	}
	if w.members != nil {
		if err := w.members.flush(); err != nil {
			return err
		}
	}
	return w.out.Flush()
}

// begin writes what the file is about.
func (w *Writer) begin() error {
	if w.begun {
		return nil
	}
	w.begun = true
	if w.info.Created.IsZero() {
		w.info.Created = time.Unix(0, 0).UTC()
	}
	var text strings.Builder
	fmt.Fprintf(&text, "software: %s\r\nformat: WARC File Format 1.1\r\n", oneLine(w.info.Software))
	if w.info.Session != "" {
		fmt.Fprintf(&text, "isPartOf: %s\r\n", oneLine(w.info.Session))
	}
	about := warcRecord{kind: "warcinfo", contentType: typeFields, time: Time{w.info.Created}, block: Bytes([]byte(text.String()))}
	if err := w.write(&about); err != nil {
		return err
	}
	return w.about()
}

// about writes what is ours alone to know about the file.
func (w *Writer) about() error {
	facts, err := json.Marshal(w.info)
	if err != nil {
		return err
	}
	return w.write(&warcRecord{kind: "metadata", contentType: typeTape, time: Time{w.info.Created}, block: Bytes(facts)})
}

// oneLine makes a value of a named field.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// warcRecord is one to be written.
type warcRecord struct {
	kind, contentType  string
	id                 string // of the record; "": made of its bytes
	time               Time
	url, peer          string
	concurrent, refers string
	truncated          string
	part               string
	headSize           int // of an HTTP message; 0: it is none, or has no payload
	block              Block
}

// Write adds a recording.
func (w *Writer) Write(r *Recording) error {
	if err := w.begin(); err != nil {
		return err
	}
	parts := r.parts()
	known := facts{Recording: r, Version: metaVersion, Parts: len(parts)}
	text, err := known.encode()
	if err != nil {
		return err
	}
	request := w.recordID(r, parts[0].part)
	about := warcRecord{
		kind: "metadata", contentType: typeRecording, id: w.recordID(r, ""), time: r.Time, url: parts[0].url,
		concurrent: request, refers: request, block: Bytes(text),
	}
	if err := w.write(&about); err != nil {
		return err
	}
	for i := range parts {
		p := &parts[i]
		if p.id = request; i > 0 {
			p.id, p.concurrent = w.recordID(r, p.part), request
		}
		if err := w.write(p); err != nil {
			return fmt.Errorf("record %s: %s: %w", r.ID, p.part, err)
		}
	}
	return nil
}

// The names of parts. Those of attempts have their number behind them.
const (
	partRequest  = "request"
	partAnswer   = "answer"
	partSent     = "sent"
	partResponse = "response"
)

// parts are the blocks of a recording, each as a WARC record. The first is what came.
func (r *Recording) parts() []warcRecord {
	parts := append(make([]warcRecord, 0, 2+len(r.Attempts)), r.requestPart())
	if a := r.Answer; a != nil && a.Response.Size > 0 {
		parts = append(parts, warcRecord{
			kind: "response", contentType: typeResponse, time: firstTime(a.Time, r.Time), url: r.uri(), peer: address(r.Remote),
			part: partAnswer, headSize: a.HeadSize, block: a.Response,
		})
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		number := " " + strconv.Itoa(a.Number)
		if a.Sent != nil {
			parts = append(parts, warcRecord{
				kind: "resource", contentType: typeBytes, time: firstTime(a.Time, r.Time), url: cleanURI(a.URL),
				part: partSent + number, block: *a.Sent,
			})
		}
		if a.Response.Size > 0 {
			parts = append(parts, warcRecord{
				kind: "response", contentType: typeResponse, time: firstTime(a.Time, r.Time), url: cleanURI(a.URL),
				part: partResponse + number, headSize: a.HeadSize, block: a.Response,
			})
		}
	}
	return parts
}

// requestPart is what came: a request, or the beginning of one, or bytes that never became one.
func (r *Recording) requestPart() warcRecord {
	p := warcRecord{
		kind: "request", contentType: typeRequest, time: r.Time, url: r.uri(), peer: address(r.Remote),
		part: partRequest, headSize: r.HeadSize, block: r.Request,
	}
	if !r.IsRequest() {
		p.kind, p.contentType, p.headSize = "resource", typeBytes, 0
	}
	switch {
	case r.Verdict == "incomplete":
		p.truncated = "disconnect"
	case r.Truncated:
		p.truncated = "length"
	}
	return p
}

// uri is WARC-Target-URI, which must be there.
func (r *Recording) uri() string {
	switch {
	case r.URL != "":
		return cleanURI(r.URL)
	case !r.IsRequest() || r.Host == "":
		return "urn:hooktape:record:" + r.ID
	case strings.Contains(r.Target, "://"):
		return cleanURI(r.Target)
	case r.TLS:
		return cleanURI("https://" + r.Host + r.Target)
	}
	return cleanURI("http://" + r.Host + r.Target)
}

// cleanURI escapes what may not stand in a URI and would break the line.
func cleanURI(s string) string {
	if s == "" {
		return "urn:hooktape:nowhere"
	}
	clean := true
	for i := range len(s) {
		clean = clean && uriByte(s[i])
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if uriByte(s[i]) {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

func uriByte(c byte) bool { return c > ' ' && c < 0x7f && strings.IndexByte("<>\"\\^`{|}", c) < 0 }

// address is the one of ip:port.
func address(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	return addr.WithZone("").String() // a zone may be any text, line ends too
}

func firstTime(t, otherwise Time) Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}

// recordID names a WARC record. It is made of what it is about, so that the same tape gives the same file.
func (w *Writer) recordID(r *Recording, part string) string {
	return w.uuid(r.ID, w.timeText(r.Time), r.Target, part)
}

// timeText is t.String(). Most WARC records of a recording have the same one.
func (w *Writer) timeText(t Time) string {
	if w.dateText == "" || !w.date.Equal(t.Time) {
		w.date, w.dateText = t, t.String()
	}
	return w.dateText
}

// uuid is one by name (RFC 9562 section 5.5).
func (w *Writer) uuid(names ...string) string {
	w.scratch = w.scratch[:0]
	for _, name := range names {
		w.scratch = append(append(w.scratch, name...), 0)
	}
	b := sha1.Sum(w.scratch)
	b[6], b[8] = b[6]&0x0f|0x50, b[8]&0x3f|0x80
	text := append(w.scratch[:0], "<urn:uuid:"...)
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:16]} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, part)
	}
	w.scratch = append(text, '>')
	return string(w.scratch)
}

// write writes one WARC record, in a gzip member of its own where there are members.
func (w *Writer) write(p *warcRecord) error {
	w.beginHead()
	w.field(fieldType, p.kind)
	w.field(fieldDate, w.timeText(p.time))
	w.field(fieldTarget, p.url)
	w.field(fieldConcurrent, p.concurrent)
	w.field(fieldRefersTo, p.refers)
	w.field(fieldAddress, p.peer)
	w.field(fieldTruncated, p.truncated)
	w.field(fieldPart, p.part)
	w.field(fieldContentType, p.contentType)
	if !w.plain || p.id == "" {
		block, err := w.addDigests(p.block, p.headSize)
		if err != nil {
			return err
		}
		if p.id == "" {
			p.id = w.uuid(p.kind, w.timeText(p.time), block)
		}
	}
	w.field(fieldID, p.id)
	w.field(fieldLength, strconv.FormatInt(p.block.Size, 10))
	w.head.WriteString("\r\n")
	return w.emit(p.block)
}

func (w *Writer) beginHead() {
	w.head.Reset()
	w.head.WriteString("WARC/1.1\r\n")
}

// field writes a field of the head, unless it is empty.
func (w *Writer) field(name, value string) {
	if value == "" {
		return
	}
	w.head.WriteString(name)
	w.head.WriteString(": ")
	w.head.WriteString(value)
	w.head.WriteString("\r\n")
}

// emit writes the head and a block.
func (w *Writer) emit(block Block) error {
	if w.members != nil {
		return w.members.add(w.head.Bytes(), block)
	}
	return writeRecord(w.out, w.head.Bytes(), block)
}

// recordEnd is behind each WARC record.
const recordEnd = "\r\n\r\n"

func writeRecord(to io.Writer, head []byte, block Block) error {
	if _, err := to.Write(head); err != nil {
		return err
	}
	if err := block.writeTo(to); err != nil {
		return err
	}
	_, err := io.WriteString(to, recordEnd)
	return err
}

// addDigests writes the digests of a block into the head, and gives that of all of it.
func (w *Writer) addDigests(b Block, headSize int) (block string, err error) {
	block, payload, err := w.digests(b, headSize)
	if err == nil {
		w.field(fieldBlockDigest, block)
		w.field(fieldPayloadDigest, payload)
	}
	return block, err
}

// digests are those of a block, and of its payload: what is behind the head, in its transfer coding, as warcio and wget
// have it; "": it has none.
func (w *Writer) digests(b Block, headSize int) (block, payload string, err error) {
	if all, ok := b.Inline(); ok {
		if block = digestText(sha256.Sum256(all)); headSize > 0 {
			payload = digestText(sha256.Sum256(all[min(headSize, len(all)):]))
		}
		return block, payload, nil
	}
	w.block.Reset()
	to := io.Writer(w.block)
	if headSize > 0 {
		w.payload.Reset()
		to = io.MultiWriter(w.block, &behind{skip: headSize, to: w.payload})
	}
	if err := b.writeTo(to); err != nil {
		return "", "", err
	}
	if block = digestText(sumOf(w.block)); headSize > 0 {
		payload = digestText(sumOf(w.payload))
	}
	return block, payload, nil
}

func sumOf(h hash.Hash) (sum [sha256.Size]byte) {
	h.Sum(sum[:0])
	return sum
}

// behind passes on what is written behind the first bytes.
type behind struct {
	skip int
	to   io.Writer
}

func (b *behind) Write(p []byte) (int, error) {
	n := min(b.skip, len(p))
	b.skip -= n
	if n < len(p) {
		if _, err := b.to.Write(p[n:]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
