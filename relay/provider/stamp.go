package provider

import (
	"fmt"
	"strconv"
	"time"
)

// usualTolerance is that of most providers, and of the Standard Webhooks specification.
const usualTolerance = 5 * time.Minute

// stampFormat is how a time is written.
type stampFormat int

const (
	unixSeconds stampFormat = iota
	unixMillis
	rfc3339
)

// A stamp is where a request says when it was signed. The zero stamp means nowhere.
type stamp struct {
	At        place         // where the time stands; or
	Prefix    string        // how the part of the signature's field begins that has the time: "t="
	Format    stampFormat   //
	Tolerance time.Duration // how far the time may be from ours, either way; 0: it is not checked
}

func (s stamp) none() bool { return s.At == "" && s.Prefix == "" }

func (s stamp) format(t time.Time) string {
	switch s.Format {
	case unixMillis:
		return strconv.FormatInt(t.UnixMilli(), 10)
	case rfc3339:
		return t.UTC().Format(time.RFC3339)
	}
	return strconv.FormatInt(t.Unix(), 10)
}

func (s stamp) parse(text string) (time.Time, error) {
	if s.Format == rfc3339 {
		return time.Parse(time.RFC3339, text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	if s.Format == unixMillis {
		return time.UnixMilli(n), nil
	}
	return time.Unix(n, 0), nil
}

// judge says whether the time is too far from now. configured, if set, replaces the stamp's own tolerance.
func (s stamp) judge(at, now time.Time, configured time.Duration) *Failure {
	tolerance := s.Tolerance
	if configured != 0 {
		tolerance = configured
	}
	off := now.Sub(at)
	if tolerance == 0 || off.Abs() <= tolerance {
		return nil
	}
	age := "old"
	if off < 0 {
		age = "in the future"
	}
	return &Failure{Kind: Expired, Reason: fmt.Sprintf("the timestamp is %s %s, %s more than the tolerance of %s; the signature is right",
		rounded(off.Abs()), age, rounded(off.Abs()-tolerance), tolerance)}
}

// rounded drops what nobody reads: fractions of seconds, unless there is little else.
func rounded(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return max(d.Round(time.Millisecond), time.Millisecond)
	}
	return d.Round(time.Second)
}
