package acme

import (
	"crypto/x509"
	"time"
)

const (
	// renewBefore is how long before its end a certificate is renewed at the earliest: CAs advise to do it after two
	// thirds of 90 days.
	renewBefore = 30 * 24 * time.Hour
	// pauseLeast and pauseMost bound the pause after a failed order. Let's Encrypt allows a name five failures an
	// hour.
	pauseLeast = time.Minute
	pauseMost  = time.Hour
	// pauseAsked is the longest pause that a CA may ask for.
	pauseAsked = 24 * time.Hour
)

// renewal is when to renew a certificate: when a third of its time is left, or 30 days.
func renewal(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-min(leaf.NotAfter.Sub(leaf.NotBefore)/3, renewBefore))
}

// respite is how long after a new certificate no other one is ordered. If our clock is ahead, the new one may seem due at
// once, and so would each after it: a CA gives only few a week.
func respite(leaf *x509.Certificate) time.Duration {
	return min(leaf.NotAfter.Sub(leaf.NotBefore)/3, pauseMost)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pause is how long to wait after so many failed orders in a row: twice as long each time, half of it random, and at least
// what the CA asked for, within reason.
func pause(failed int, asked time.Duration, jitter float64) time.Duration {
	d := pauseMost
	if shift := failed - 1; shift < 10 {
		d = min(pauseLeast<<shift, pauseMost)
	}
	return max(min(asked, pauseAsked), d/2+time.Duration(jitter*float64(d/2)))
}
