package relay

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/store"
)

// verdicts are the values of the label "verdict".
var verdicts = [...]store.Verdict{
	store.Accepted, store.Handshake, store.Duplicate, store.Unauthorized, store.InvalidSignature, store.Unverified,
	store.AddressNotAllowed, store.InvalidBody, store.MethodNotAllowed, store.TooLarge, store.RateLimited,
	store.Unavailable, store.Disabled, store.NoSource, store.Malformed, store.Incomplete,
}

var verdictIndex = func() map[store.Verdict]int {
	index := make(map[store.Verdict]int, len(verdicts))
	for i, v := range verdicts {
		index[v] = i
	}
	return index
}()

// settledStates are the states that deliveries are counted in as they come to them.
var settledStates = []store.State{store.Delivered, store.Failed, store.Expired, store.Dropped, store.Orphaned}

// statusClasses are the values of the label "class": hundreds of a status, and "none" where there was no answer.
var statusClasses = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

// byClass counts by the class of a status.
type byClass [len(statusClasses)]atomic.Uint64

func (c *byClass) add(status int) {
	class := status / 100
	if class < 0 || class >= len(c) {
		class = 0
	}
	c[class].Add(1)
}

// sourceTally counts the requests of a source. Those that no source took have one too, under no name.
type sourceTally struct {
	verdicts [len(verdicts)]atomic.Uint64
	answers  byClass
	bytes    atomic.Uint64
	last     atomic.Int64 // when the last one began to arrive, in nanoseconds since 1970; 0: none came yet
	failures atomic.Uint64
}

// targetTally counts what came of the deliveries of a target.
type targetTally struct {
	attempts byClass
	off      atomic.Uint64                  // responses that were not as expected
	settled  map[store.State]*atomic.Uint64 // never changed once made
	lag      prometheus.Observer
}

// metrics counts what the agent does: an addition for each thing counted, under names that the configuration has given
// once, so that no sender can make more of them. What can be read off the agent and its store is read when asked for.
type metrics struct {
	registry *prometheus.Registry
	sources  atomic.Pointer[map[string]*sourceTally] // with "": no source
	targets  atomic.Pointer[map[targetKey]*targetTally]

	commitChanges, commitBytes prometheus.Histogram
	commitTook, commitWriting  prometheus.Histogram
	lag                        *prometheus.HistogramVec

	turnedAway atomic.Uint64
	rolledUp   atomic.Uint64
	lost       atomic.Uint64 // events, by onlookers that were too slow

	ordersDone, ordersFailed atomic.Uint64 // of certificates
}

// newMetrics makes the metrics of an agent.
func newMetrics(a *Agent) *metrics {
	doubling := func(name, help string, first, factor float64, n int) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(first, factor, n),
		})
	}
	m := &metrics{
		registry:      prometheus.NewRegistry(),
		commitChanges: doubling("hooktape_commit_changes", "Changes that a transaction took together.", 1, 2, 13),
		commitBytes:   doubling("hooktape_commit_bytes", "Bytes of the changes of a transaction.", 1<<10, 4, 7),
		commitTook:    doubling("hooktape_commit_seconds", "How long a transaction took until it was on the disk.", 250e-6, 2, 16),
		commitWriting: doubling("hooktape_commit_fsync_seconds", "Of that, writing to the file and fsync.", 250e-6, 2, 16),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hooktape_delivery_lag_seconds",
			Help:    "From the recording of a request until its target took it.",
			Buckets: []float64{.01, .05, .1, .5, 1, 5, 10, 60, 300, 600, 3600, 6 * 3600, 24 * 3600, 72 * 3600},
		}, targetLabels),
	}
	m.sources.Store(&map[string]*sourceTally{"": new(sourceTally)})
	m.targets.Store(new(map[targetKey]*targetTally))
	m.registry.MustRegister(m.commitChanges, m.commitBytes, m.commitTook, m.commitWriting, m.lag, &gauges{a},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Metrics answers with the agent's figures in the format of Prometheus.
func (a *Agent) Metrics() http.Handler {
	return promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{})
}

// follow makes room for the sources and targets of a configuration. What is in it again goes on counting where it was.
// Agent.mu is held.
func (m *metrics) follow(cfg *config.Config) {
	oldSources, oldTargets := *m.sources.Load(), *m.targets.Load()
	sources := map[string]*sourceTally{"": oldSources[""]}
	targets := make(map[targetKey]*targetTally)
	for _, s := range cfg.Sources {
		if sources[s.Name] = oldSources[s.Name]; sources[s.Name] == nil {
			sources[s.Name] = new(sourceTally)
		}
		for _, t := range s.Targets {
			key := targetKey{s.Name, t.Name}
			if targets[key] = oldTargets[key]; targets[key] == nil {
				targets[key] = m.newTargetTally(key)
			}
		}
	}
	for key := range oldTargets {
		if targets[key] == nil {
			m.lag.DeleteLabelValues(key.source, key.name)
		}
	}
	m.sources.Store(&sources)
	m.targets.Store(&targets)
}

func (m *metrics) newTargetTally(key targetKey) *targetTally {
	t := &targetTally{settled: make(map[store.State]*atomic.Uint64), lag: m.lag.WithLabelValues(key.source, key.name)}
	for _, state := range settledStates {
		t.settled[state] = new(atomic.Uint64)
	}
	return t
}

// answered counts a request that is recorded, and answered or refused.
func (m *metrics) answered(rec *store.Record) {
	s := (*m.sources.Load())[rec.Source]
	if s == nil {
		return // it has left the configuration
	}
	if i, known := verdictIndex[rec.Verdict]; known {
		s.verdicts[i].Add(1)
	}
	s.bytes.Add(uint64(rec.Raw.Size))
	s.last.Store(rec.Time.UnixNano())
	status := 0
	if rec.Answer != nil {
		status = rec.Answer.Status
	}
	s.answers.add(status)
}

// failed counts an expression of a source that could not be evaluated.
func (m *metrics) failed(source string) {
	if s := (*m.sources.Load())[source]; s != nil {
		s.failures.Add(1)
	}
}

// attempted counts an attempt by the status of its answer; 0: none came.
func (m *metrics) attempted(key targetKey, status int) {
	if t := (*m.targets.Load())[key]; t != nil {
		t.attempts.add(status)
	}
}

// unexpected counts a response that was not as expected.
func (m *metrics) unexpected(key targetKey) {
	if t := (*m.targets.Load())[key]; t != nil {
		t.off.Add(1)
	}
}

// observer is how the store tells of its commits.
func (m *metrics) observer(now func() time.Time) store.Observer {
	return store.Observer{
		Committed: func(c store.Committed) {
			m.commitChanges.Observe(float64(c.Changes))
			m.commitBytes.Observe(float64(c.Bytes))
			m.commitTook.Observe(c.Took.Seconds())
			m.commitWriting.Observe(c.Writing.Seconds())
		},
		Settled: func(d store.Delivery) {
			t := (*m.targets.Load())[targetKey{d.Source, d.Target}]
			if t == nil || t.settled[d.State] == nil {
				return
			}
			t.settled[d.State].Add(1)
			if d.State == store.Delivered && !d.Created.IsZero() {
				t.lag.Observe(max(0, now().Sub(d.Created).Seconds()))
			}
		},
	}
}
