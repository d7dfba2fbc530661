package store

import "time"

// recordFacts are a record as stored, without its id (the key) and raw bytes (behind the facts). Numbers are never
// used again for something else; a reader that does not know one leaves it out. 18 was never written.
type recordFacts struct {
	Time        int64        `cbor:"1,keyasint,omitempty"`
	Source      string       `cbor:"2,keyasint,omitempty"`
	Via         string       `cbor:"3,keyasint,omitempty"`
	Remote      string       `cbor:"4,keyasint,omitempty"`
	TLS         bool         `cbor:"5,keyasint,omitempty"`
	Proto       string       `cbor:"6,keyasint,omitempty"`
	Method      string       `cbor:"7,keyasint,omitempty"`
	Target      string       `cbor:"8,keyasint,omitempty"`
	Host        string       `cbor:"9,keyasint,omitempty"`
	Event       string       `cbor:"10,keyasint,omitempty"`
	Trace       string       `cbor:"11,keyasint,omitempty"`
	Verdict     Verdict      `cbor:"12,keyasint,omitempty"`
	Reason      string       `cbor:"13,keyasint,omitempty"`
	Verified    bool         `cbor:"14,keyasint,omitempty"`
	HeadSize    int          `cbor:"15,keyasint,omitempty"`
	BodySize    int64        `cbor:"16,keyasint,omitempty"`
	Truncated   bool         `cbor:"17,keyasint,omitempty"`
	Pieces      []byte       `cbor:"19,keyasint,omitempty"`
	Size        int64        `cbor:"20,keyasint,omitempty"`
	Answer      *answerFacts `cbor:"21,keyasint,omitempty"`
	Proxy       string       `cbor:"22,keyasint,omitempty"`
	Events      []string     `cbor:"23,keyasint,omitempty"`
	Count       int          `cbor:"24,keyasint,omitempty"`
	Until       int64        `cbor:"25,keyasint,omitempty"`
	Cause       []byte       `cbor:"26,keyasint,omitempty"`
	CauseBy     CauseBy      `cbor:"27,keyasint,omitempty"`
	Overruled   bool         `cbor:"28,keyasint,omitempty"` // it was judged again and accepted, whatever its sender was told
	Origin      string       `cbor:"29,keyasint,omitempty"`
	Edge        string       `cbor:"30,keyasint,omitempty"`
	Base        string       `cbor:"31,keyasint,omitempty"`
	Outbound    bool         `cbor:"32,keyasint,omitempty"`
	Path        string       `cbor:"33,keyasint,omitempty"`
	Undelivered bool         `cbor:"34,keyasint,omitempty"`
}

func (v *recordFacts) appendTo(f fields) fields {
	f = f.number(1, v.Time).text(2, v.Source).text(3, v.Via).text(4, v.Remote).flag(5, v.TLS).text(6, v.Proto).
		text(7, v.Method).text(8, v.Target).text(9, v.Host).text(10, v.Event).text(11, v.Trace).
		text(12, string(v.Verdict)).text(13, v.Reason).flag(14, v.Verified).number(15, int64(v.HeadSize)).
		number(16, v.BodySize).flag(17, v.Truncated).bytes(19, v.Pieces).number(20, v.Size)
	if v.Answer != nil {
		f = f.with(v.Answer.appendTo(f.open(21)))
	}
	return f.text(22, v.Proxy).texts(23, v.Events).number(24, int64(v.Count)).number(25, v.Until).bytes(26, v.Cause).
		text(27, string(v.CauseBy)).flag(28, v.Overruled).text(29, v.Origin).text(30, v.Edge).text(31, v.Base).flag(32, v.Outbound).text(33, v.Path).flag(34, v.Undelivered)
}

// newRecordFacts are those of r but for its answer. They share its bytes.
func newRecordFacts(r *Record) recordFacts {
	f := recordFacts{
		Time: nanos(r.Time), Source: r.Source, Via: r.Via, Remote: r.Remote, Edge: r.Edge, Base: r.Base, Proxy: r.Proxy, TLS: r.TLS,
		Proto: r.Proto, Method: r.Method, Target: r.Target, Host: r.Host, Event: r.Event, Events: r.Events, Trace: r.Trace,
		Verdict: r.Verdict, Reason: r.Reason, Verified: r.Verified,
		HeadSize: r.HeadSize, BodySize: r.BodySize, Truncated: r.Truncated, Origin: r.Origin, Path: r.Path,
		Pieces: piecesOf(&r.Raw), Size: r.Raw.Size, Count: r.Count, Until: nanos(r.Until), Outbound: r.Outbound, Undelivered: r.Undelivered,
	}
	if r.Cause != (ID{}) {
		f.Cause, f.CauseBy = r.Cause[:], r.CauseBy
	}
	return f
}

func (f *recordFacts) record(id ID) *Record {
	r := &Record{
		ID: id, Time: fromNanos(f.Time), Source: f.Source, Via: f.Via, Remote: f.Remote, Edge: f.Edge, Base: f.Base, Proxy: f.Proxy, TLS: f.TLS,
		Proto: f.Proto, Method: f.Method, Target: f.Target, Host: f.Host, Event: f.Event, Events: f.Events, Trace: f.Trace,
		Verdict: f.Verdict, Reason: f.Reason, Verified: f.Verified,
		HeadSize: f.HeadSize, BodySize: f.BodySize, Truncated: f.Truncated, Origin: f.Origin, Path: f.Path,
		Count: f.Count, Until: fromNanos(f.Until), Outbound: f.Outbound, Undelivered: f.Undelivered,
	}
	if len(f.Cause) == len(r.Cause) {
		r.Cause, r.CauseBy = ID(f.Cause), f.CauseBy
	}
	if f.Answer != nil {
		r.Answer = f.Answer.answer()
	}
	return r
}

// answerFacts are an answer as stored: in its record, or in a row of its own when it came later.
type answerFacts struct {
	Status      int    `cbor:"1,keyasint,omitempty"`
	Time        int64  `cbor:"2,keyasint,omitempty"`
	Duration    int64  `cbor:"3,keyasint,omitempty"`
	FromAttempt int    `cbor:"4,keyasint,omitempty"`
	Error       string `cbor:"5,keyasint,omitempty"`
	Inline      []byte `cbor:"6,keyasint,omitempty"`
	Pieces      []byte `cbor:"7,keyasint,omitempty"`
	Size        int64  `cbor:"8,keyasint,omitempty"`
	Early       bool   `cbor:"9,keyasint,omitempty"`
}

func (v *answerFacts) appendTo(f fields) fields {
	return f.number(1, int64(v.Status)).number(2, v.Time).number(3, v.Duration).number(4, int64(v.FromAttempt)).
		text(5, v.Error).bytes(6, v.Inline).bytes(7, v.Pieces).number(8, v.Size).flag(9, v.Early)
}

// newAnswerFacts are those of a, and share its bytes.
func newAnswerFacts(a *Answer) answerFacts {
	return answerFacts{
		Status: a.Status, Time: nanos(a.Time), Duration: int64(a.Duration), FromAttempt: a.FromAttempt, Error: a.Error,
		Inline: a.Raw.Inline, Pieces: piecesOf(&a.Raw), Size: a.Raw.Size, Early: a.Early,
	}
}

func (f *answerFacts) answer() *Answer {
	return &Answer{
		Status: f.Status, Time: fromNanos(f.Time), Duration: time.Duration(f.Duration), Early: f.Early,
		FromAttempt: f.FromAttempt, Error: f.Error, Raw: rawOf(f.Inline, f.Pieces, f.Size),
	}
}

// attemptFacts are an attempt as stored, without record and number (the key) and response bytes (behind the facts).
type attemptFacts struct {
	Source    string `cbor:"1,keyasint,omitempty"`
	Target    string `cbor:"2,keyasint,omitempty"`
	Replay    bool   `cbor:"3,keyasint,omitempty"`
	Edited    bool   `cbor:"4,keyasint,omitempty"`
	URL       string `cbor:"5,keyasint,omitempty"`
	Time      int64  `cbor:"6,keyasint,omitempty"`
	Head      string `cbor:"7,keyasint,omitempty"`
	Status    int    `cbor:"8,keyasint,omitempty"`
	Error     string `cbor:"9,keyasint,omitempty"`
	FirstByte int64  `cbor:"10,keyasint,omitempty"`
	Duration  int64  `cbor:"11,keyasint,omitempty"`
	HeadSize  int    `cbor:"12,keyasint,omitempty"`
	Pieces    []byte `cbor:"13,keyasint,omitempty"`
	Size      int64  `cbor:"14,keyasint,omitempty"`

	Sent    *sentFacts `cbor:"15,keyasint,omitempty"`
	Finding string     `cbor:"16,keyasint,omitempty"`

	Accepted bool `cbor:"17,keyasint,omitempty"`
}

func (v *attemptFacts) appendTo(f fields) fields {
	f = f.text(1, v.Source).text(2, v.Target).flag(3, v.Replay).flag(4, v.Edited).text(5, v.URL).number(6, v.Time).
		text(7, v.Head).number(8, int64(v.Status)).text(9, v.Error).number(10, v.FirstByte).number(11, v.Duration).
		number(12, int64(v.HeadSize)).bytes(13, v.Pieces).number(14, v.Size)
	if v.Sent != nil {
		f = f.with(v.Sent.appendTo(f.open(15)))
	}
	return f.text(16, v.Finding).flag(17, v.Accepted)
}

// sentFacts are the body of an attempt that sent another one than its record's.
type sentFacts struct {
	Inline []byte `cbor:"1,keyasint,omitempty"`
	Pieces []byte `cbor:"2,keyasint,omitempty"`
	Size   int64  `cbor:"3,keyasint,omitempty"`
}

func (v *sentFacts) appendTo(f fields) fields {
	return f.bytes(1, v.Inline).bytes(2, v.Pieces).number(3, v.Size)
}

func newAttemptFacts(a *Attempt) attemptFacts {
	f := attemptFacts{
		Source: a.Source, Target: a.Target, Replay: a.Replay, Accepted: a.Accepted, Edited: a.Edited, URL: a.URL, Time: nanos(a.Time),
		Head: a.Head, Status: a.Status, Error: a.Error, Finding: a.Finding, FirstByte: int64(a.FirstByte), Duration: int64(a.Duration),
		HeadSize: a.HeadSize, Pieces: piecesOf(&a.Response), Size: a.Response.Size,
	}
	if a.Sent != nil {
		f.Sent = &sentFacts{a.Sent.Inline, piecesOf(a.Sent), a.Sent.Size}
	}
	return f
}

func (f *attemptFacts) attempt(id ID, number int, response []byte) Attempt {
	a := Attempt{
		Record: id, Number: number, Source: f.Source, Target: f.Target, Replay: f.Replay, Accepted: f.Accepted, Edited: f.Edited, URL: f.URL,
		Time: fromNanos(f.Time), Head: f.Head, Status: f.Status, Error: f.Error, Finding: f.Finding,
		FirstByte: time.Duration(f.FirstByte), Duration: time.Duration(f.Duration),
		HeadSize: f.HeadSize, Response: rawOf(response, f.Pieces, f.Size),
	}
	if f.Sent != nil {
		sent := f.Sent.raw()
		a.Sent = &sent
	}
	return a
}

func (f *sentFacts) raw() Raw {
	if f == nil {
		return Raw{}
	}
	return rawOf(f.Inline, f.Pieces, f.Size)
}

// deliveryFacts are a delivery as stored, without record, source and target (the key).
type deliveryFacts struct {
	State    State  `cbor:"1,keyasint,omitempty"`
	Attempts int    `cbor:"2,keyasint,omitempty"`
	Status   int    `cbor:"3,keyasint,omitempty"`
	Error    string `cbor:"4,keyasint,omitempty"`
	Key      string `cbor:"5,keyasint,omitempty"`
	Created  int64  `cbor:"6,keyasint,omitempty"`
	Due      int64  `cbor:"7,keyasint,omitempty"`
	Finding  string `cbor:"8,keyasint,omitempty"`
	Awaited  int    `cbor:"9,keyasint,omitempty"`
}

func (v *deliveryFacts) appendTo(f fields) fields {
	return f.text(1, string(v.State)).number(2, int64(v.Attempts)).number(3, int64(v.Status)).text(4, v.Error).
		text(5, v.Key).number(6, v.Created).number(7, v.Due).text(8, v.Finding).number(9, int64(v.Awaited))
}

func newDeliveryFacts(d *Delivery) deliveryFacts {
	return deliveryFacts{
		State: d.State, Attempts: d.Attempts, Awaited: d.Awaited, Status: d.Status, Error: d.Error, Finding: d.Finding, Key: d.Key,
		Created: nanos(d.Created), Due: nanos(d.Due),
	}
}

func (f *deliveryFacts) delivery(id ID, source, target string) Delivery {
	return Delivery{
		Record: id, Source: source, Target: target, State: f.State, Attempts: f.Attempts, Awaited: f.Awaited, Status: f.Status,
		Error: f.Error, Finding: f.Finding, Key: f.Key, Created: fromNanos(f.Created), Due: fromNanos(f.Due),
	}
}
