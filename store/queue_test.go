package store

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// enterFilled puts a change into line that is ready to be written.
func enterFilled(t *testing.T, q *queue, o order) *Commit {
	t.Helper()
	c, err := q.enterAs(o, 100)
	if err != nil {
		t.Fatal(err)
	}
	q.fill(c, nil, 100, nil)
	return c
}

// TestOnlyLateChangesAreOvertaken: first the line is taken without its late ones, or all of it.
func TestOnlyLateChangesAreOvertaken(t *testing.T) {
	for name, c := range map[string]struct {
		line  []order
		first []int // places in line that are taken together
		then  []int // and those once somebody waits for the rest
	}{
		"nothing is late":                 {[]order{ahead, inTurn, ahead}, []int{0, 1, 2}, nil},
		"late ones stay behind":           {[]order{late, ahead, late, ahead}, []int{1, 3}, []int{0, 2}},
		"nothing comes before its turn":   {[]order{late, ahead, inTurn, late}, []int{0, 1, 2, 3}, nil},
		"nothing overtakes what is ahead": {[]order{ahead, late, ahead}, []int{0, 2}, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // so that no time passes while they enter
				q := newQueue(queueMax, ID{}, time.Now)
				var line []*Commit
				for _, o := range c.line {
					line = append(line, enterFilled(t, q, o))
				}
				check := func(want []int) {
					t.Helper()
					var got []int
					for _, taken := range q.take() {
						got = append(got, slices.Index(line, taken))
					}
					if !slices.Equal(got, want) {
						t.Errorf("taken %v, want %v", got, want)
					}
				}
				check(c.first)
				if c.then != nil {
					q.hurry()
					check(c.then)
				}
				q.close(ErrClosed)
				check(nil)
			})
		})
	}
}

// TestALateChangeHoldsUpNobody: what entered behind a late change is taken as soon as that is filled.
func TestALateChangeHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(queueMax, ID{}, time.Now)
		defer q.close(ErrClosed)
		first, err := q.enterAs(late, 100)
		if err != nil {
			t.Fatal(err)
		}
		behind := enterFilled(t, q, ahead)
		began, taken := time.Now(), make(chan []*Commit)
		go func() { taken <- q.take() }()
		synctest.Wait() // it waits for more
		q.fill(first, nil, 100, nil)
		if group := <-taken; len(group) != 1 || group[0] != behind {
			t.Errorf("taken %v", group)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("after %v", took)
		}
	})
}

// TestLateChangesGoWithTheNext: after a while they join the next group, but don't make one of their own yet.
func TestLateChangesGoWithTheNext(t *testing.T) {
	for after, want := range map[time.Duration]int{lateMin / 2: 1, lateMin: 2, lateMax - 1: 2} {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue(queueMax, ID{}, time.Now)
			defer q.close(ErrClosed)
			enterFilled(t, q, late)
			time.Sleep(after)
			synctest.Wait()
			next := enterFilled(t, q, ahead)
			if group := q.take(); len(group) != want || group[want-1] != next {
				t.Errorf("after %v: taken %v", after, group)
			}
		})
	}
}

// TestLateChangesAreTaken: each of these is enough to have them written.
func TestLateChangesAreTaken(t *testing.T) {
	for name, cause := range map[string]func(*testing.T, *queue, *Commit){
		"their time is over": func(*testing.T, *queue, *Commit) {},
		"one is waited for":  func(_ *testing.T, _ *queue, c *Commit) { go c.Wait() },
		"they are many": func(t *testing.T, q *queue, _ *Commit) {
			for range lateCount - 1 {
				enterFilled(t, q, late)
			}
		},
		"one must be in its turn": func(t *testing.T, q *queue, _ *Commit) { enterFilled(t, q, inTurn) },
		"the queue is full": func(t *testing.T, q *queue, _ *Commit) {
			go func() {
				if c, err := q.enter(q.max); err == nil {
					q.fill(c, nil, 0, nil)
				}
			}()
		},
		"the queue is closed": func(_ *testing.T, q *queue, _ *Commit) { q.close(ErrClosed) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(queueMax, ID{}, time.Now)
				c := enterFilled(t, q, late)
				began := time.Now()
				cause(t, q, c)
				group := q.take()
				if len(group) == 0 || group[0] != c {
					t.Fatalf("taken %v", group)
				}
				want := time.Duration(0)
				if name == "their time is over" {
					want = lateMax
				}
				if took := time.Since(began); took != want {
					t.Errorf("after %v, want %v", took, want)
				}
				for _, c := range group {
					c.finish(nil)
				}
				q.release(group)
				q.close(ErrClosed)
			})
		})
	}
}
