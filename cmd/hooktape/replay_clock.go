package main

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktape/hooktape/relay/config"
	"github.com/hooktape/hooktape/replay"
)

// clockFlags say when requests are sent, and how many at once.
type clockFlags struct {
	speed, maxGap, rate string
	loops, concurrency  int
	orderBy             string
}

// fullSpeed is the --speed that waits for nothing.
const fullSpeed = "max"

func (f *clockFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.speed, "speed", fullSpeed, "1: with the recorded timing, 10: ten times as fast, max: as fast as possible")
	flags.StringVar(&f.maxGap, "max-gap", "", "with --speed: never wait longer than this between two records")
	flags.StringVar(&f.rate, "rate", "", "send at this even rate: 100/s, 30/m")
	flags.IntVar(&f.loops, "loop", 1, "send all of them this many times")
	flags.IntVar(&f.concurrency, "concurrency", 0, "send at most this many at once (default 1; with --order-by 16; with --speed or --rate 64)")
	flags.Var(filled{&f.orderBy}, "order-by", "send records with the same value of this expression one after another: json.order.id")
	completed(c, "speed", "1, 10, "+fullSpeed)
}

// orderedConcurrency is how many keys are served at once where nothing else says so.
const orderedConcurrency = 16

// options reads the flags.
func (f *clockFlags) options() (replay.Options, error) {
	o := replay.Options{Concurrency: f.concurrency, Loops: f.loops}
	switch {
	case f.loops < 1:
		return o, misused("1 sends them once", "--loop %d is less than 1", f.loops)
	case f.concurrency < 0:
		return o, misused("1 sends one behind the other", "--concurrency %d is less than 0", f.concurrency)
	}
	var err error
	if o.Pace, err = f.pace(); err != nil {
		return o, err
	}
	if f.orderBy != "" && f.concurrency == 0 && o.Pace == (replay.Pace{}) {
		o.Concurrency = orderedConcurrency
	}
	return o, nil
}

func (f *clockFlags) pace() (p replay.Pace, err error) {
	if f.speed != fullSpeed {
		p.Speed, err = strconv.ParseFloat(strings.TrimSuffix(f.speed, "x"), 64)
		if err != nil || !(p.Speed > 0) || math.IsInf(p.Speed, 0) {
			return p, misused("1 is the original clock, 10 ten times as fast, max as fast as it goes", "--speed %q is no speed", f.speed)
		}
	}
	if f.rate != "" {
		rate, err := config.ParseRate(f.rate)
		switch {
		case err != nil:
			return p, misused(err.Error(), "--rate %q is no rate", f.rate)
		case p.Speed > 0:
			return p, misused("give one of them", "--speed and --rate exclude each other")
		}
		p.Rate = float64(rate.Count) / rate.Per.Seconds()
	}
	if f.maxGap == "" {
		return p, nil
	}
	if p.Speed == 0 {
		return p, misused("--speed 1 keeps the pauses between the records", "--max-gap cuts pauses, and there are none")
	}
	if p.MaxGap, err = config.ParseDuration(f.maxGap); err != nil || p.MaxGap < time.Millisecond {
		return p, misused("5s and 1m are durations; the shortest is 1ms", "--max-gap %q is no duration", f.maxGap)
	}
	return p, nil
}
