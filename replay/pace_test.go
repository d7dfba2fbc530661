package replay

import (
	"slices"
	"testing"
	"time"
)

func TestPaceIsAnchoredToTheStart(t *testing.T) {
	const us, ms = time.Microsecond, time.Millisecond
	for name, c := range map[string]struct {
		pace     Pace
		recorded []time.Duration
		want     []time.Duration
	}{
		"as they came":                  {Pace{Speed: 1}, []time.Duration{5 * us, 7 * us, 7 * us, 1000 * us}, []time.Duration{0, 2 * us, 2 * us, 995 * us}},
		"faster":                        {Pace{Speed: 10}, []time.Duration{0, 5 * us, 10 * ms}, []time.Duration{0, 500, ms}},
		"slower":                        {Pace{Speed: 0.5}, []time.Duration{0, 5 * us}, []time.Duration{0, 10 * us}},
		"nothing is lost by rounding":   {Pace{Speed: 3}, []time.Duration{0, 1, 2, 3, 3000}, []time.Duration{0, 0, 1, 1, 1000}},
		"long pauses are cut":           {Pace{Speed: 1, MaxGap: 5 * us}, []time.Duration{0, 3 * us, 9 * us, 20 * us, 24 * us}, []time.Duration{0, 3 * us, 8 * us, 13 * us, 17 * us}},
		"pauses are cut as replayed":    {Pace{Speed: 2, MaxGap: 5 * us}, []time.Duration{0, 8 * us, 20 * us, 22 * us}, []time.Duration{0, 4 * us, 9 * us, 10 * us}},
		"recorded in another order":     {Pace{Speed: 1}, []time.Duration{10 * us, 4 * us, 6 * us, 12 * us}, []time.Duration{0, 0, 2 * us, 8 * us}},
		"again":                         {Pace{Speed: 1}, []time.Duration{0, 3 * us, 0, 3 * us}, []time.Duration{0, 3 * us, 3 * us, 6 * us}},
		"evenly":                        {Pace{Rate: 4e6, Speed: 1}, []time.Duration{0, 900, 0, 5}, []time.Duration{0, 250, 500, 750}},
		"evenly, without a gap to cut":  {Pace{Rate: 1, MaxGap: us}, []time.Duration{0, 0}, []time.Duration{0, time.Second}},
		"as fast as it goes":            {Pace{}, []time.Duration{0, time.Hour}, []time.Duration{0, 0}},
		"a rate that takes for ever":    {Pace{Rate: 1e-12}, []time.Duration{0, 0}, []time.Duration{0, 1<<63 - 1}},
		"a speed that takes for ever":   {Pace{Speed: 1e-9}, []time.Duration{0, 24 * time.Hour}, []time.Duration{0, 1<<63 - 1}},
		"a gap that is never too long":  {Pace{Speed: 1e9, MaxGap: 24 * time.Hour}, []time.Duration{0, time.Second}, []time.Duration{0, 1}},
		"a gap below what can be paced": {Pace{Speed: 1, MaxGap: 1}, []time.Duration{0, us, 2 * us}, []time.Duration{0, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			var at step
			var got []time.Duration
			for _, r := range c.recorded {
				at = c.pace.next(at, time.Unix(0, 0).Add(r))
				got = append(got, at.due)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestAWaitEndsInShortNapsAndThenYields(t *testing.T) {
	for left, want := range map[time.Duration][2]time.Duration{
		time.Hour:                   {time.Hour - timerSlack, 0},
		timerSlack + 1:              {1, 0},
		timerSlack:                  {0, timerSlack - napSlack},
		napSlack + time.Microsecond: {0, time.Microsecond},
		napSlack:                    {},
		time.Microsecond:            {},
		0:                           {},
		-time.Second:                {},
	} {
		if timer, nap := rest(left); timer != want[0] || nap != want[1] {
			t.Errorf("%v before: a timer of %v and a nap of %v, want %v", left, timer, nap, want)
		}
	}
}
