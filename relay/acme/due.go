package acme

import (
	"crypto/x509"
	"time"
)

const (
	// renewBefore is how long before its end a certificate is renewed at the earliest: CAs write that one should after two
	// thirds of 90 days.
	renewBefore = 30 * 24 * time.Hour
	// pauseLeast and pauseMost bound how soon an order is made again that failed. Let's Encrypt takes five failures of a
	// name an hour.
	pauseLeast = time.Minute
	pauseMost  = time.Hour
	// pauseAsked is how long a CA may ask us to wait at most.
	pauseAsked = 24 * time.Hour
)

// renewal is when a certificate is to be renewed: when a third of its time is left, or 30 days.
func renewal(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-min(leaf.NotAfter.Sub(leaf.NotBefore)/3, renewBefore))
}

// respite is for how long no other certificate is ordered behind one that has just come. Where our clock is ahead that one
// may seem to be due already, and so would each after it: a CA gives few a week.
func respite(leaf *x509.Certificate) time.Duration {
	return min(leaf.NotAfter.Sub(leaf.NotBefore)/3, pauseMost)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pause is how long to wait after so many orders have failed in a row: twice as long each time, half of it by chance, and
// not less than the CA asked for, within reason.
func pause(failed int, asked time.Duration, jitter float64) time.Duration {
	d := pauseMost
	if shift := failed - 1; shift < 10 {
		d = min(pauseLeast<<shift, pauseMost)
	}
	return max(min(asked, pauseAsked), d/2+time.Duration(jitter*float64(d/2)))
}
