package relay

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hooktape/hooktape/store"
)

var (
	sourceLabels = []string{"source"}
	targetLabels = []string{"source", "target"}
)

// desc describes a metric.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("hooktape_"+name, help, labels, nil)
}

var (
	descRequests = desc("requests_total", "Requests recorded, by verdict. The source is empty where none took them.", "source", "verdict")
	descBytes    = desc("request_bytes_total", "Bytes of the requests that were recorded.", sourceLabels...)
	descAnswers  = desc("answers_total", "Answers to senders, by the class of their status.", "source", "class")
	descLast     = desc("last_request_timestamp_seconds", "When the last request came; absent until there is one.", sourceLabels...)
	descFailures = desc("expression_failures_total", "Expressions that failed on a request and counted as false or empty.", sourceLabels...)
	descRolledUp = desc("rolled_up_total", "Requests that were refused, or handshakes, and came too fast for a record each: counted in requests_total, and in roll-ups on the tape.")
	descTurned   = desc("turned_away_total", "Requests that could not be recorded and were answered 503.")
	descReady    = desc("ready", "1 while the agent takes requests, as /readyz says.")
	descLost     = desc("events_lost_total", "Events that onlookers were too slow for: tails, terminals. Nothing of the tape is lost by it.")

	descAttempts = desc("attempts_total", "Attempts to deliver, by the class of the answer's status; none: no answer came.", "source", "target", "class")
	descOff      = desc("unexpected_responses_total", "Responses of 2xx that were not what the target's expect block wants.", targetLabels...)
	descSettled  = desc("deliveries_total", "Deliveries that came to a state.", "source", "target", "state")
	descPending  = desc("deliveries_pending", "Deliveries that wait.", targetLabels...)
	descOldest   = desc("delivery_oldest_pending_seconds", "How long the oldest of them has waited.", targetLabels...)
	descAway     = desc("target_away", "1 while a target is taken to be away and deliveries wait for it.", targetLabels...)

	descQueue      = desc("queue_changes", "Changes that wait for their commit.")
	descQueueBytes = desc("queue_bytes", "Bytes that they keep in memory.")
	descCommitFail = desc("commit_failures_total", "Transactions that failed.")
	descReopened   = desc("database_reopened_total", "Times that the database was opened again after a failure.")
	descSetAside   = desc("tape_set_aside_total", "Damaged tapes that were set aside: hooktape salvage copies what can be read of them.")

	descRecords    = desc("tape_records", "Records on the tape.")
	descTapeBytes  = desc("tape_bytes", "Bytes of requests, answers and responses on the tape, as they were on the wire.")
	descTapeFile   = desc("tape_file_bytes", "Size of the tape's file.")
	descTapeUsed   = desc("tape_used_bytes", "Bytes of the file that are taken: what retain.max_size bounds.")
	descTapePinned = desc("tape_sessions_bytes", "Bytes of those that the records of sessions take, about: at most half of retain.max_size.")
	descTapeOldest = desc("tape_oldest_timestamp_seconds", "When the oldest record came; absent while there is none.")
	descEvicted    = desc("tape_evicted_total", "Records that retention has deleted.")

	descExpires = desc("certificate_expires_timestamp_seconds", "When the certificate that senders see ends; of several, the first that does.")
	descMissing = desc("certificates_missing", "Names of tls.acme that have no certificate: senders can't connect to them.")
	descOrders  = desc("certificate_orders_total", "Certificates ordered at the CA of tls.acme, by how that ended: done or failed.", "result")
)

// gauges reads off an agent and its store what need not be counted as it happens.
type gauges struct{ agent *Agent }

// Describe tells of everything that Collect may send.
func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descRequests, descBytes, descAnswers, descLast, descFailures, descRolledUp, descTurned, descReady, descLost,
		descAttempts, descOff, descSettled, descPending, descOldest, descAway,
		descQueue, descQueueBytes, descCommitFail, descReopened, descSetAside,
		descRecords, descTapeBytes, descTapeFile, descTapeUsed, descTapePinned, descTapeOldest, descEvicted,
		descExpires, descMissing, descOrders,
		descTunnelUp, descTunnelLinks, descTunnelSeen, descTunnelStreams, descTunnelRequests, descTunnelSent, descTunnelReceived,
		descTunnelPending, descTunnelRefused, descUplinkUp, descUplinkLinks, descUplinkSince,
	} {
		to <- d
	}
}

// Collect sends the figures of this moment.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	out := figures{to}
	for name, s := range *g.agent.metrics.sources.Load() {
		out.source(name, s)
	}
	for key, t := range *g.agent.metrics.targets.Load() {
		out.target(key, t)
		g.waiting(out, key)
	}
	g.itself(out)
	g.tunnels(out)
	g.uplink(out)
	out.tape(g.agent.store.Stats())
}

// itself is about the agent as a whole.
func (g *gauges) itself(out figures) {
	m := g.agent.metrics
	out.count(descRolledUp, m.rolledUp.Load())
	out.count(descTurned, m.turnedAway.Load())
	out.count(descLost, m.lost.Load())
	out.gauge(descReady, oneIf(g.agent.Ready() == nil))
	if g.agent.server.TLS != nil {
		g.certificates(out)
	}
}

// certificates is about what senders see of the agent.
func (g *gauges) certificates(out figures) {
	var first time.Time
	missing := 0
	for _, leaf := range g.agent.certificates() {
		switch {
		case leaf == nil:
			missing++
		case first.IsZero() || leaf.NotAfter.Before(first):
			first = leaf.NotAfter
		}
	}
	if !first.IsZero() {
		out.time(descExpires, first)
	}
	if g.agent.asksCA() {
		out.gauge(descMissing, float64(missing))
		out.count(descOrders, g.agent.metrics.ordersDone.Load(), "done")
		out.count(descOrders, g.agent.metrics.ordersFailed.Load(), "failed")
	}
}

// waiting is about the deliveries that wait for a target.
func (g *gauges) waiting(out figures, key targetKey) {
	a := g.agent
	pending, oldest, err := a.store.Pending(key.source, key.name)
	if err == nil { // what can't be read has no figures; whoever reads next says why
		out.gauge(descPending, float64(pending), key.source, key.name)
		waited := 0.0
		if !oldest.IsZero() {
			waited = max(0, a.now().Sub(oldest).Seconds())
		}
		out.gauge(descOldest, waited, key.source, key.name)
	}
	if t := a.targetOf(key); t != nil {
		out.gauge(descAway, oneIf(t.away()), key.source, key.name)
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// figures are on their way to who asked.
type figures struct{ to chan<- prometheus.Metric }

func (f figures) count(d *prometheus.Desc, n uint64, labels ...string) {
	f.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (f figures) gauge(d *prometheus.Desc, v float64, labels ...string) {
	f.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (f figures) time(d *prometheus.Desc, t time.Time, labels ...string) {
	f.gauge(d, float64(t.UnixMilli())/1000, labels...)
}

// source sends what is known of a source. Verdicts and classes that it never had are left out, but for the usual ones,
// so that a rate can be made of them from the first request on.
func (f figures) source(name string, s *sourceTally) {
	for i, v := range verdicts {
		if n := s.verdicts[i].Load(); n > 0 || v == store.Accepted && name != "" {
			f.count(descRequests, n, name, string(v))
		}
	}
	for i, class := range statusClasses {
		if n := s.answers[i].Load(); n > 0 || class == "2xx" {
			f.count(descAnswers, n, name, class)
		}
	}
	f.count(descBytes, s.bytes.Load(), name)
	f.count(descFailures, s.failures.Load(), name)
	if last := s.last.Load(); last != 0 {
		f.time(descLast, time.Unix(0, last), name)
	}
}

func (f figures) target(key targetKey, t *targetTally) {
	for i, class := range statusClasses {
		if n := t.attempts[i].Load(); n > 0 || class == "2xx" {
			f.count(descAttempts, n, key.source, key.name, class)
		}
	}
	f.count(descOff, t.off.Load(), key.source, key.name)
	for _, state := range settledStates {
		f.count(descSettled, t.settled[state].Load(), key.source, key.name, string(state))
	}
}

func (f figures) tape(st store.Stats) {
	f.gauge(descQueue, float64(st.Queued))
	f.gauge(descQueueBytes, float64(st.QueuedBytes))
	f.count(descCommitFail, uint64(st.Failures))
	f.count(descReopened, uint64(st.Reopened))
	f.count(descSetAside, uint64(st.SetAside))
	f.gauge(descRecords, float64(st.Records))
	f.gauge(descTapeBytes, float64(st.Bytes))
	f.gauge(descTapeFile, float64(st.File))
	f.gauge(descTapeUsed, float64(st.Used))
	f.gauge(descTapePinned, float64(st.Pinned))
	f.count(descEvicted, uint64(st.Evicted))
	if !st.Oldest.IsZero() {
		f.time(descTapeOldest, st.Oldest)
	}
}
