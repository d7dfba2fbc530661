package store

import (
	"cmp"
	"net"
	"time"

	"github.com/oklog/ulid/v2"
)

// ID names a record: a ULID, 26 letters as text and in JSON. Ids grow with every record of a store, so that their
// order is the order of arrival on the tape. The zero ID names nothing.
type ID = ulid.ULID

// ParseID reads the 26 letters of a whole id, in either case. Store.Find takes shorter names.
func ParseID(s string) (ID, error) { return ulid.ParseStrict(s) }

// Verdict is what the agent decided about a record.
type Verdict string

// The verdicts. All but Accepted, Handshake and Duplicate are refusals.
const (
	Accepted          Verdict = "accepted"
	Handshake         Verdict = "handshake"           // the provider's question whether we are there
	Duplicate         Verdict = "duplicate"           // answered like the first one, not delivered
	Unauthorized      Verdict = "unauthorized"        // the token is missing or wrong
	InvalidSignature  Verdict = "invalid_signature"   // the signature does not fit the bytes
	Unverified        Verdict = "unverified"          // the key to verify with could not be had
	AddressNotAllowed Verdict = "address_not_allowed" // the sender's address is not on the list
	InvalidBody       Verdict = "invalid_body"        // the body does not fit the schema
	MethodNotAllowed  Verdict = "method_not_allowed"  // the source takes other methods
	TooLarge          Verdict = "too_large"           // more bytes than the source takes
	RateLimited       Verdict = "rate_limited"        // more requests than the source takes
	Unavailable       Verdict = "unavailable"         // the agent could not take it just then
	Disabled          Verdict = "disabled"            // the source is switched off
	NoSource          Verdict = "no_source"           // no source has this path and host
	Malformed         Verdict = "malformed"           // the bytes never became a request
	Incomplete        Verdict = "incomplete"          // the sender went away before the end
)

// Refused reports whether the sender was turned away.
func (v Verdict) Refused() bool {
	switch v {
	case Accepted, Handshake, Duplicate, "":
		return false
	}
	return true
}

// unproven reports whether anybody can make records with this verdict, whoever they are: those that were refused, and
// handshakes, since most are answered before it is known who asks. Retention gives them a budget of their own.
func (v Verdict) unproven() bool { return v.Refused() || v == Handshake }

// Raw is bytes kept verbatim: in the value itself while they are few, else in pieces. Store.Open reads both.
type Raw struct {
	Inline []byte
	Pieces ID // zero: the bytes are Inline
	Size   int64
}

// InlineRaw is b as Raw. The bytes are not copied.
func InlineRaw(b []byte) Raw { return Raw{Inline: b, Size: int64(len(b))} }

// Record is one received request: its bytes on the wire, and what the agent found out about it.
//
// A record with a Count is a roll-up: it stands for so many refused requests, or handshakes, of one kind, verdict, source
// and sender's host, that came too fast for a record each. Time is when the first of them came and Until when the last
// one did; the head of the first is kept, or its beginning, and its answer; Remote is the host, without a port, or ""
// where there were too many to tell apart. A roll-up is written when its interval is over, so its id is later than its
// times. It has no deliveries, and is no request that could be judged again.
type Record struct {
	ID     ID        // given by Store.Append
	Time   time.Time // arrival of the first byte
	Source string    // "" when no source matched
	Via    string    // direct, tunnel, ssh, ViaImport, or ViaAgent
	Remote string    // ip:port of the sender; ip alone where it is known from Proxy
	Edge   string    // id of the record that an edge made of the same request, before it came here through a tunnel; "": none
	Base   string    // the beginning of Target that named the tunnel at the edge; "": none did
	Proxy  string    // ip:port of the trusted proxy that the request came through; "": it came without
	TLS    bool      // whether the sender came over TLS

	Proto, Method string
	Target        string // as sent
	Host          string
	Event         string   // the first of Events
	Events        []string // where one record has several; nil: it has at most Event
	Trace         string
	Outbound      bool    // the app made it to call others
	Undelivered   bool    // its source has targets, but it goes to none of them: an ack said so, or no target wanted it
	Cause         ID      // of an outbound call: the inbound record that made the app call; of a webhook: the call whose outcome it tells; zero: not known
	CauseBy       CauseBy // how that is known; "": it is not

	Verdict  Verdict
	Reason   string // of the verdict, for people
	Verified bool   // a signature or token was checked and held

	HeadSize  int      // bytes of Raw that are the head; 0 when there is none
	BodySize  int64    // of the body without its chunk framing
	Truncated bool     // Raw holds only the beginning of what came
	Session   []string // names of the sessions that it is in, in the order in which these were made
	Origin    string   // the id that an imported record had where it was recorded; "": it is not imported, or not known
	Path      string   // of an imported record: the path of its source where it was recorded; "": not known
	Raw       Raw
	Answer    *Answer // nil: not answered yet

	Count  int       // requests that a roll-up stands for; 0: a record of one request
	Until  time.Time // when the last of them began to come
	Damage error     // set by reading: why an answer that came later can't be read, wrapping ErrDamaged. Nil: it is whole, or there is none
}

// ViaAgent is Record.Via of a call that the agent made by itself, to the API of its source's provider. Nobody delivers it.
const ViaAgent = "agent"

// ViaImport is Record.Via of a record that was read from a file, unless it was ViaAgent there, which it stays. Its Time is
// when it was recorded, its ID is given when it is imported.
const ViaImport = "import"

// AllEvents are the names of the record's events.
func (r *Record) AllEvents() []string {
	if r.Events == nil && r.Event != "" {
		return []string{r.Event}
	}
	return r.Events
}

// CauseBy says how the record that caused another one was found.
type CauseBy string

// The ways in which a cause is found.
const (
	ByTrace CauseBy = "trace" // it has the same trace
	ByTime  CauseBy = "time"  // it was the only one that an app was working on
	ByKey   CauseBy = "key"   // it waited for the outcome that the record tells
)

// IDForApp is the id that an app is told: the one that the edge gave, where the request came through a tunnel. It stays the
// same when the edge sends the request again, which makes another record here.
func (r *Record) IDForApp() ID {
	if id, err := ParseID(r.Edge); err == nil {
		return id
	}
	return r.ID
}

// Peer is the address, without its port, from which the request reached the agent: the proxy's, or else the sender's.
func (r *Record) Peer() string {
	at := cmp.Or(r.Proxy, r.Remote)
	if ip, _, err := net.SplitHostPort(at); err == nil {
		return ip
	}
	return at
}

// Answer is the response that the sender got.
type Answer struct {
	Status   int
	Time     time.Time     // first byte of it
	Duration time.Duration // first byte of the request to last byte of the answer
	// Early says that Duration ends when the answer was made: its commit and its writing came later.
	Early bool
	Raw   Raw
	// FromAttempt, when positive, says that Raw holds the head only, and the body is that attempt's response body.
	// ThisAttempt stands for the attempt of the same Outcome.
	FromAttempt int
	Error       string // why the sender may not have got all of it; "" when it was written
}

// ThisAttempt in Answer.FromAttempt is replaced by the number that Store.Settle gives the attempt of the same Outcome.
const ThisAttempt = -1

// State says how far a delivery is.
type State string

// The states of a delivery. All but Pending are final, until Store.Settle says otherwise.
const (
	Pending   State = "pending"
	Delivered State = "delivered"
	Failed    State = "failed"
	Expired   State = "expired"
	Dropped   State = "dropped"
	Orphaned  State = "orphaned" // its target left the configuration
)

// Delivery is the job of bringing one record to one target. Record, Source and Target name it.
type Delivery struct {
	Record         ID
	Source, Target string
	State          State  // "" means Pending
	Attempts       int    // so far; a delivery that begins anew counts from 0 again
	Awaited        int    // of Attempts, those that the sender waited for: no backoff grows by them
	Status         int    // of the last attempt's response; 0: there was none
	Error          string // of the last attempt
	Finding        string // of the last attempt
	// Key is the order_by value: the deliveries of one key go to a target one at a time, in the order of their
	// records. "": in no order. It is given when the delivery is made and never changes.
	Key     string
	Created time.Time // zero in a new delivery: the time of the record's id
	Due     time.Time // not before this; zero: at once
}

// Attempt is one try to bring a record somewhere.
type Attempt struct {
	Record    ID
	Number    int // from 1 for each record, given by Store.Settle
	Source    string
	Target    string
	Replay    bool
	Accepted  bool // of a replay: somebody accepted its response as the right one from now on
	Edited    bool // what was sent is not what was recorded: an edit or a rewrite was asked for
	URL       string
	Time      time.Time // its beginning
	Head      string    // of the request as sent
	Sent      *Raw      // the body as sent; nil: it was the record's
	Status    int       // 0: no response came
	Error     string
	Finding   string        // the expectation that the response did not meet; "": none
	FirstByte time.Duration // from Time to the first byte of the response; 0: none came
	Duration  time.Duration
	HeadSize  int // bytes of Response that are the head
	Response  Raw
}

// Outcome is what Store.Settle adds to a record, all in one transaction. Nil and empty fields change nothing.
type Outcome struct {
	Attempt    *Attempt   // Number is set before Commit.Wait returns
	Sent       *Spool     // the body that the attempt sent in the place of the record's; nil: Attempt.Sent as it is
	Response   *Spool     // the bytes of the attempt's response; nil: Attempt.Response as it is
	Answer     *Answer    // takes the place of the one before
	AnswerRaw  *Spool     // the bytes of the answer; nil: Answer.Raw as it is
	Deliveries []Delivery // made, or changed: a delivery that leaves Pending frees the next of its key
	From       State      // only deliveries in this state are changed, and none is made; "": any. With Pending, the higher count of attempts stays
}
