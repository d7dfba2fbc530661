package inspect

import (
	"math"
	"strconv"
	"time"

	"github.com/hooktape/hooktape/store"
)

// Record is a record as JSON shows it (DESIGN.md section 5). Every key is always there, except events, edge and base,
// proxy, and count and until, which only roll-ups have. Secrets are masked unless the question
// said reveal.
type Record struct {
	ID          store.ID      `json:"id"`
	Time        Time          `json:"time"`
	Origin      string        `json:"origin_id,omitempty"` // of an imported record: the id that it had where it was recorded
	Source      string        `json:"source"`
	Session     []string      `json:"session"`
	Trace       string        `json:"trace"`
	Outbound    bool          `json:"outbound,omitempty"`    // the app made it to call others
	Undelivered bool          `json:"undelivered,omitempty"` // its source has targets, but it was meant for none of them
	Cause       *store.ID     `json:"cause,omitempty"`       // of an outbound call: the record that made the app call
	CauseBy     store.CauseBy `json:"cause_by,omitempty"`
	Via         string        `json:"via"`
	Remote      string        `json:"remote"`
	Edge        string        `json:"edge,omitempty"`        // id of the edge's record of the same request
	Base        string        `json:"base,omitempty"`        // the beginning of path, which named the tunnel at the edge
	SourcePath  string        `json:"source_path,omitempty"` // of an imported record: the path of its source where it was recorded
	Proxy       string        `json:"proxy,omitempty"`       // the trusted proxy that told of remote
	Proto       string        `json:"proto"`
	TLS         bool          `json:"tls,omitempty"` // how the sender came, as far as the agent or a trusted proxy saw
	Method      string        `json:"method"`
	Path        string        `json:"path"` // the request target as sent
	Host        string        `json:"host"`
	Event       string        `json:"event"`
	Events      []string      `json:"events,omitempty"` // where there are several; event is the first
	Verdict     store.Verdict `json:"verdict"`
	Reason      string        `json:"reason"`
	Verified    bool          `json:"verified"`
	Size        int64         `json:"size"`      // bytes kept
	BodySize    int64         `json:"body_size"` // bytes of the body without chunk framing
	Truncated   bool          `json:"truncated"`
	Auth        Auth          `json:"auth"`
	Answer      *Answer       `json:"answer"` // null: not answered
	Deliveries  []Delivery    `json:"deliveries"`
	Count       int           `json:"count,omitempty"`  // a roll-up stands for so many refused requests; everything else is about the first
	Until       Time          `json:"until,omitzero"`   // when the last of them came
	Damage      []string      `json:"damage,omitempty"` // what can't be read of its answer and its deliveries; only where one record is asked for
}

// Auth is what a request brought to prove who sent it. The credentials themselves
// are only in the record's bytes.
type Auth struct {
	Scheme  string `json:"scheme"` // as sent: "Bearer"; "" when there is none
	Present bool   `json:"present"`
	Masked  string `json:"masked"`
	Expires Time   `json:"expires"` // of a JWT; null: not known
}

// Answer is what the sender got.
type Answer struct {
	Status   int          `json:"status"`
	Duration Milliseconds `json:"duration_ms"`     // first byte of the request to last byte of the answer
	Early    bool         `json:"early,omitempty"` // duration_ms ends before the commit that the answer waited for
	Error    string       `json:"error,omitempty"` // why the sender may not have got all of it
}

// Delivery is a record's delivery to one target.
type Delivery struct {
	Target   string      `json:"target"`
	State    store.State `json:"state"`
	Attempts int         `json:"attempts"`
	Status   int         `json:"status"` // of the last response; 0: none came
	Error    string      `json:"error"`
	Finding  string      `json:"finding,omitempty"` // how the last response was not as expected
	Next     Time        `json:"next"`              // null: no attempt is to come
	Away     bool        `json:"away,omitempty"`    // the target is away: the attempt waits until it is back
}

// RecordDelivery is a delivery in a list of deliveries.
type RecordDelivery struct {
	Record store.ID `json:"record"`
	Source string   `json:"source"`
	Delivery
	Key     string `json:"key"` // order_by
	Created Time   `json:"created"`
}

// Attempt is one try of bringing a record to a target. Secrets in the URL are
// masked unless the question said reveal.
type Attempt struct {
	Number    int          `json:"number"`
	Source    string       `json:"source"`
	Target    string       `json:"target"`
	Replay    bool         `json:"replay"`
	Edited    bool         `json:"edited"`
	Accepted  bool         `json:"accepted,omitempty"` // a replay whose response counts as right from then on
	URL       string       `json:"url"`
	Time      Time         `json:"time"`
	Status    int          `json:"status"` // 0: no response came
	Error     string       `json:"error"`
	Finding   string       `json:"finding,omitempty"` // how the response was not as expected
	FirstByte Milliseconds `json:"first_byte_ms"`
	Duration  Milliseconds `json:"duration_ms"`
	HeadSize  int          `json:"head_size"` // bytes of the response that are its head
	Size      int64        `json:"size"`      // bytes of the response
}

// Time is a moment as JSON shows it: RFC 3339 in UTC with all nine digits of its
// nanoseconds, so that texts sort like times; null when zero.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000000000Z"

// MarshalJSON gives the text, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(t.UTC().Format(`"` + timeLayout + `"`)), nil
}

// Milliseconds is a duration that JSON shows as a number of milliseconds, exact to
// the microsecond.
type Milliseconds time.Duration

// Duration is m as a duration.
func (m Milliseconds) Duration() time.Duration { return time.Duration(m) }

// MarshalJSON gives the number.
func (m Milliseconds) MarshalJSON() ([]byte, error) {
	us := time.Duration(m).Microseconds()
	return strconv.AppendFloat(nil, float64(us)/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads the number.
func (m *Milliseconds) UnmarshalJSON(text []byte) error {
	ms, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return err
	}
	*m = Milliseconds(math.Round(ms*1000)) * Milliseconds(time.Microsecond)
	return nil
}
