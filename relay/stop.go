package relay

import "time"

// tellStopping says what a stop waits for, so that nobody takes it for a hang.
func (a *Agent) tellStopping() {
	if requests, attempts := a.exchanges.Load(), a.attemptsUnderWay(); requests > 0 || attempts > 0 {
		a.log.Warn("stopping, waiting for what is under way; a second signal ends at once",
			"requests", requests, "attempts", attempts, "at-most", a.grace.String())
	}
}

// tellStopped says what a stop leaves behind.
func (a *Agent) tellStopped(began time.Time) {
	if pending := a.store.Stats().Pending; pending > 0 {
		a.log.Warn("stopped, deliveries are left pending for the next start", "pending", pending, "took", a.now().Sub(began).String())
		return
	}
	a.log.Info("stopped, nothing is left pending", "took", a.now().Sub(began).String())
}

// attemptsUnderWay is how many deliveries have one, also those to targets that have left the configuration.
func (a *Agent) attemptsUnderWay() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, targets := range []map[targetKey]*target{a.targets, a.left} {
		for _, t := range targets {
			t.mu.Lock()
			n += len(t.flying)
			t.mu.Unlock()
		}
	}
	return n
}
