package replay

import (
	"maps"
	"slices"
	"time"
)

// Outcome is what became of a shot, in a word.
type Outcome string

// The outcomes. Only Same, Answered and Accepted are good.
const (
	Same       Outcome = "same"        // the response is that of then
	Answered   Outcome = "answered"    // the response is a good one, and was compared with none
	Accepted   Outcome = "accepted"    // the response is right from now on, whatever came then
	Differs    Outcome = "differs"     // the response is not that of then
	Unexpected Outcome = "unexpected"  // the response is not as it was said to be
	NoBaseline Outcome = "no_baseline" // there is no response of then
	Failed     Outcome = "failed"      // no response came, or not all of it
	NotSent    Outcome = "not_sent"    // it could not be sent
)

// outcomes are all of them, the good ones first.
var outcomes = []Outcome{Same, Answered, Accepted, Differs, Unexpected, NoBaseline, Failed, NotSent}

// Good says whether there is nothing to look at.
func (o Outcome) Good() bool { return o == Same || o == Answered || o == Accepted }

// Case is what reports say about one shot. Texts are fit for people: secrets are
// masked, and nothing in them does harm to a terminal.
type Case struct {
	Record  string // its id
	Request string // method and path
	To      string // name and URL of the target
	Outcome Outcome
	Status  int           // of the response; 0: none came
	Took    time.Duration // from the sending to the end of the response
	Paced   bool          // it was to be sent at a time
	Late    time.Duration // how long after that it was sent
	Places  []string      // where the response is not that of then, as Difference.Places has it
	Brief   string        // in what it is not as it should be; "": the first line of Text says it
	Text    string        // what there is to look at, in lines; "": nothing
}

// Summary sums up a replay. The zero Summary is of nothing.
type Summary struct {
	Outcomes map[Outcome]int
	Statuses map[int]int
	Took     Spread // of the responses that came, from when each request was sent

	// Waited is Took counted from when each request was to be sent: who waits for
	// a target that is slow would have come on time, and waits from then on, also
	// for those in front (what is called coordinated omission). It is empty
	// when there was no such time.
	Waited Spread
	Late   Spread // how long behind their time requests were sent

	Places map[string]int // how many cases differ at each place; not all where there are more than a thousand

	LeftOut int // records that were chosen and are none for the app; Add does not count them
}

// Add counts a case.
func (s *Summary) Add(c *Case) {
	if s.Outcomes == nil {
		s.Outcomes, s.Statuses = make(map[Outcome]int), make(map[int]int)
	}
	s.Outcomes[c.Outcome]++
	if c.Places != nil {
		s.differsAt(c.Places)
	}
	if c.Outcome == NotSent {
		return
	}
	if c.Paced {
		s.Late.Add(c.Late)
	}
	if c.Status == 0 {
		return
	}
	s.Statuses[c.Status]++
	s.Took.Add(c.Took)
	if c.Paced {
		s.Waited.Add(max(0, c.Late) + c.Took)
	}
}

// Sent is how many requests were sent.
func (s *Summary) Sent() int { return s.All() - s.Outcomes[NotSent] }

// All is how many cases there were.
func (s *Summary) All() (n int) {
	for _, of := range s.Outcomes {
		n += of
	}
	return n
}

// Bad is how many of them there are to look at.
func (s *Summary) Bad() (n int) {
	for outcome, of := range s.Outcomes {
		if !outcome.Good() {
			n += of
		}
	}
	return n
}

// Tally is how often something came.
type Tally[T any] struct {
	Of T
	N  int
}

// ByOutcome are the outcomes that came, the good ones first.
func (s *Summary) ByOutcome() []Tally[Outcome] { return tally(s.Outcomes, outcomes) }

// ByStatus are the statuses that came, the lowest first.
func (s *Summary) ByStatus() []Tally[int] {
	return tally(s.Statuses, slices.Sorted(maps.Keys(s.Statuses)))
}

func tally[T comparable](of map[T]int, order []T) (all []Tally[T]) {
	for _, key := range order {
		if of[key] > 0 {
			all = append(all, Tally[T]{key, of[key]})
		}
	}
	return all
}

// Quantiles are the parts of all that reports tell of a Spread, with their names.
var Quantiles = []struct {
	Name string
	Part float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}}

// NamedSpread is a Spread and what it is of.
type NamedSpread struct {
	Name string
	Of   *Spread
}

// Spreads are those of the summary that there is something in.
func (s *Summary) Spreads() (all []NamedSpread) {
	for _, one := range []NamedSpread{{"response", &s.Took}, {"response since due", &s.Waited}, {"late", &s.Late}} {
		if one.Of.Count() > 0 {
			all = append(all, one)
		}
	}
	return all
}
