// Package store keeps the tape.
package store

import (
	"io"
	"iter"
	"time"
)

type Options struct {
	ReadOnly bool
	Timeout  time.Duration
	Log      func(msg string, kv ...any)
	Now      func() time.Time
	NoSync   bool
}

type Store struct{}

func Open(path string, o Options) (*Store, error) { return nil, nil }
func (s *Store) Close() error                     { return nil }
func (s *Store) Path() string                     { return "" }

type Spool struct{}

func (s *Store) Spool() *Spool                     { return nil }
func (p *Spool) Write(b []byte) (int, error)       { return 0, nil }
func (p *Spool) WriteString(b string) (int, error) { return 0, nil }
func (p *Spool) Size() int64                       { return 0 }
func (p *Spool) Truncate(n int64) error            { return nil }
func (p *Spool) Bytes() []byte                     { return nil }
func (p *Spool) Raw() (Raw, error)                 { return Raw{}, nil }
func (p *Spool) Discard()                          {}

type Commit struct{}

func (c *Commit) Wait() error { return nil }

func (s *Store) Append(rec *Record, raw *Spool, deliveries []Delivery, render func(*Record)) *Commit {
	return nil
}
func (s *Store) Settle(id ID, o Outcome) *Commit { return nil }
func (s *Store) Sync() error                     { return nil }
func (s *Store) Get(id ID) (*Record, error)      { return nil, nil }

type RawReader struct{ io.Reader }

func (r *RawReader) Close() error                               { return nil }
func (r *RawReader) Seek(off int64, whence int) (int64, error)  { return 0, nil }
func (r *RawReader) ReadAt(p []byte, off int64) (n int, e error) { return 0, nil }
func (r *RawReader) WriteTo(w io.Writer) (int64, error)         { return 0, nil }

func (s *Store) Open(raw Raw) *RawReader { return nil }

type Query struct {
	Source       string
	Verdict      Verdict
	Since, Until time.Time
	After        ID
	Newest       bool
}

func (s *Store) Records(q Query) iter.Seq2[*Record, error] { return nil }
func (s *Store) Find(name string) (ID, error)              { return ID{}, nil }
func (s *Store) Attempts(id ID) ([]Attempt, error)         { return nil, nil }
func (s *Store) Deliveries(id ID) ([]Delivery, error)      { return nil, nil }

type DeliveryQuery struct {
	Source, Target string
	State          State
	After          ID
	Newest         bool
}

func (s *Store) AllDeliveries(q DeliveryQuery) iter.Seq2[Delivery, error] { return nil }
func (s *Store) Ready(source, target string, now time.Time, limit int, skip func(ID) bool) (due []Delivery, next time.Time, err error) {
	return
}
func (s *Store) Pending(source, target string) (n int, oldest time.Time, err error) { return }
func (s *Store) PutMeta(key string, v []byte) error                                 { return nil }
func (s *Store) Meta(key string) ([]byte, error)                                    { return nil, nil }

type Stats struct{}

func (s *Store) Stats() Stats { return Stats{} }
