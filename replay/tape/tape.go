// Package tape writes and reads tape files: sessions in a file, for other machines and other tools.
//
//	w := tape.NewWriter(file, tape.Info{Session: "checkout"})         // WARC 1.1, verbatim
//	err := w.Write(recording)                                         // once for each record, in their order
//	err = w.Close()                                                   // the file itself is the caller's to close
//
//	r, err := tape.NewReader(file)                // knows .warc, .warc.gz and .har by their first bytes
//	defer r.Close()                               // deletes what it kept on the disk
//	for recording, err := range r.Recordings() {  // each is valid until the next one comes
//		var damage *tape.Damage
//		if errors.As(err, &damage) { ... }    // this one can't be read; others may follow
//	}
//
// A Recording is what belongs to one record: the bytes on the wire of the request, of the answer and of all attempts, and
// what hooktape knows about them. The bytes are Blocks, which can be opened as often as needed, so that neither a writer
// nor a reader holds a large body in memory.
//
// WARC is ISO 28500; its text is at iipc.github.io/warc-specifications. For each recording the file has, in this order, a
// metadata record with the Recording as JSON, the bytes that came (a request; a resource where they never became one), the
// answer as a response, and for each attempt the body that it sent in the place of the recorded one, if it did, and the
// response to it. The field Hooktape-Part says what a WARC record is to its recording. Files of other tools are read too:
// their pairs of requests and responses are recordings with an answer.
package tape

import (
	"fmt"
	"time"
)

// Info says what a tape file is about. The zero Info says nothing.
type Info struct {
	Session  string    `json:"session,omitempty"`
	Software string    `json:"-"` // who wrote it; NewWriter takes "" for hooktape
	Created  time.Time `json:"created,omitzero"`
	Masked   bool      `json:"masked,omitempty"` // secrets are replaced by fakes
	Hidden   *Hidden   `json:"hidden,omitempty"` // by which rules; nil: the defaults, or it is not masked
	Signing  []Signing `json:"signing,omitempty"`
}

// Signing is how a masked tape's requests of a source were signed: with a secret made for the tape alone.
type Signing struct {
	Source   string            `json:"source"`
	Provider string            `json:"provider"`
	Params   map[string]string `json:"params,omitempty"`
	Secret   string            `json:"secret"`
}

// Recording is one record of a tape with all that belongs to it. The fields are those of store.Record, where their
// meaning is said. Of a file of another tool, only what the bytes say is known.
type Recording struct {
	ID    string `json:"id,omitempty"`    // on the tape that it comes from
	URL   string `json:"-"`               // what was asked for, scheme and host included, as far as they are known
	Known bool   `json:"-"`               // hooktape wrote it: the fields below say what it knows
	Time  Time   `json:"time"`            // of the first byte
	Until Time   `json:"until,omitzero"`  // of a roll-up
	Count int    `json:"count,omitempty"` // of a roll-up

	Source      string   `json:"source,omitempty"`
	Path        string   `json:"source_path,omitempty"` // of the source; "": not known
	Base        string   `json:"base,omitempty"`
	Via         string   `json:"via,omitempty"`
	Remote      string   `json:"remote,omitempty"`
	Proxy       string   `json:"proxy,omitempty"`
	TLS         bool     `json:"tls,omitempty"`
	Proto       string   `json:"proto,omitempty"`
	Method      string   `json:"method,omitempty"`
	Target      string   `json:"target,omitempty"`
	Host        string   `json:"host,omitempty"`
	Event       string   `json:"event,omitempty"`
	Events      []string `json:"events,omitempty"`
	Trace       string   `json:"trace,omitempty"`
	Outbound    bool     `json:"outbound,omitempty"`
	Undelivered bool     `json:"undelivered,omitempty"`
	Cause       string   `json:"cause,omitempty"`
	CauseBy     string   `json:"cause_by,omitempty"`
	Session     []string `json:"session,omitempty"`

	Verdict   string `json:"verdict,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Verified  bool   `json:"verified,omitempty"`
	Truncated bool   `json:"truncated,omitempty"`
	HeadSize  int    `json:"head_size,omitempty"` // bytes of Request that are the head; 0: none was found
	BodySize  int64  `json:"body_size,omitempty"`

	Request    Block      `json:"-"` // the bytes on the wire
	Answer     *Answer    `json:"answer,omitempty"`
	Attempts   []Attempt  `json:"attempts,omitempty"`
	Deliveries []Delivery `json:"deliveries,omitempty"`
}

// Answer is the response that the sender got.
type Answer struct {
	Status   int    `json:"status,omitempty"`
	Time     Time   `json:"time,omitzero"`
	Duration int64  `json:"duration_ns,omitempty"` // from the request's first byte to the answer's last
	Error    string `json:"error,omitempty"`
	// FromAttempt, when positive, says that the body behind HeadSize is that of this attempt's response.
	FromAttempt int   `json:"from_attempt,omitempty"`
	HeadSize    int   `json:"head_size,omitempty"` // 0: not known
	Response    Block `json:"-"`
}

// Attempt is one try to bring a record to a target.
type Attempt struct {
	Number    int    `json:"number"`
	Source    string `json:"source,omitempty"`
	Target    string `json:"target,omitempty"`
	Replay    bool   `json:"replay,omitempty"`
	Edited    bool   `json:"edited,omitempty"`
	Accepted  bool   `json:"accepted,omitempty"`
	URL       string `json:"url,omitempty"`
	Time      Time   `json:"time,omitzero"`
	Head      []byte `json:"head,omitempty"` // of the request as sent
	Sent      *Block `json:"-"`              // the body as sent; nil: it was the record's
	Status    int    `json:"status,omitempty"`
	Error     string `json:"error,omitempty"`
	Finding   string `json:"finding,omitempty"`
	FirstByte int64  `json:"first_byte_ns,omitempty"`
	Duration  int64  `json:"duration_ns,omitempty"`
	HeadSize  int    `json:"head_size,omitempty"` // bytes of Response that are the head
	Response  Block  `json:"-"`
}

// IsBaseline says whether its response is one that replays are compared with: one to what was recorded, that was no
// replay's, or one that was accepted.
func (a *Attempt) IsBaseline() bool { return a.Status != 0 && (a.Accepted || !a.Replay && !a.Edited) }

// Delivery is how far a record got with one target.
type Delivery struct {
	Target   string `json:"target"`
	State    string `json:"state"`
	Attempts int    `json:"attempts,omitempty"`
	Status   int    `json:"status,omitempty"`
	Error    string `json:"error,omitempty"`
	Finding  string `json:"finding,omitempty"`
	Key      string `json:"key,omitempty"`
	Created  Time   `json:"created,omitzero"`
}

// Size is how many bytes the request, the answer and the responses of the attempts have.
func (r *Recording) Size() int64 {
	size := r.Request.Size
	if r.Answer != nil {
		size += r.Answer.Response.Size
	}
	for i := range r.Attempts {
		size += r.Attempts[i].Response.Size
	}
	return size
}

// IsRequest says whether the bytes are a request, or the beginning of one. Those that never became one, and those of the
// first of many that a roll-up counts, are not.
func (r *Recording) IsRequest() bool {
	return r.HeadSize > 0 && r.Count == 0 && r.Verdict != "malformed" || !r.Known
}

// Whole says whether the bytes are all of a request.
func (r *Recording) Whole() bool { return r.IsRequest() && !r.Truncated && r.Verdict != "incomplete" }

// Time is a moment as tape files have it: RFC 3339 in UTC, to the nanosecond.
type Time struct{ time.Time }

// timeLayout is that of WARC-Date in WARC 1.1, with all nine digits.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

func (t Time) String() string { return t.UTC().Format(timeLayout) }

// MarshalText gives the text.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads any form of RFC 3339.
func (t *Time) UnmarshalText(text []byte) (err error) {
	t.Time, err = time.Parse(time.RFC3339Nano, string(text))
	return err
}

// Damage says that something of a tape file can't be read, and where that is. What follows may be readable.
type Damage struct {
	Offset int64  // bytes of the file before the WARC record, its gzip member or the exchange of a HAR file
	Record int    // its number in the file, from 1
	ID     string // of the recording, where that is known
	Err    error
}

func (d *Damage) Error() string {
	name := ""
	if d.ID != "" {
		name = " of " + d.ID
	}
	return fmt.Sprintf("record %d%s at byte %d: %v", d.Record, name, d.Offset, d.Err)
}

func (d *Damage) Unwrap() error { return d.Err }
