package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

var (
	errDuration = errors.New(`write a duration like "30s", "1h30m" or "7d"`)
	errRate     = errors.New(`write a rate like "10/s", "600/m" or "1000/h"`)
	errSize     = errors.New(`write a size like "32MiB", "512KiB" or "10MB"`)
)

// ParseDuration is time.ParseDuration, but also takes days in front: "7d", "1d12h".
func ParseDuration(s string) (time.Duration, error) {
	text, negative := strings.CutPrefix(s, "-")
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, errDuration
		}
		return d, nil
	}
	n, err := strconv.ParseFloat(days, 64)
	if err != nil || strings.Trim(days, "0123456789.") != "" || n > float64(math.MaxInt64/(24*time.Hour))-1 {
		return 0, errDuration
	}
	d := time.Duration(n * float64(24*time.Hour))
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil || more < 0 || d+more < d {
			return 0, errDuration
		}
		d += more
	}
	if negative {
		d = -d
	}
	return d, nil
}

var sizeUnits = []struct {
	suffix string
	bytes  float64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1}, {"", 1},
}

// ParseSize reads a number of bytes: "32MiB" is 32·2^20, "10MB" is 10·10^6, "512" is 512.
func ParseSize(s string) (int64, error) {
	for _, unit := range sizeUnits {
		digits, ok := strings.CutSuffix(s, unit.suffix)
		if !ok {
			continue
		}
		digits = strings.TrimSpace(digits)
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil || strings.Trim(digits, "0123456789.") != "" || n*unit.bytes >= math.MaxInt64 {
			return 0, errSize
		}
		return int64(n * unit.bytes), nil
	}
	return 0, errSize
}

// durationText is a duration as ParseDuration reads it, without units that are zero.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// sizeText is a number of bytes as ParseSize reads it, in the largest unit that is exact.
func sizeText(n int64) string {
	for _, unit := range sizeUnits {
		if n%int64(unit.bytes) == 0 {
			return strconv.FormatInt(n/int64(unit.bytes), 10) + unit.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// Rate is a number in a span of time. The zero Rate is no bound.
type Rate struct {
	Count int
	Per   time.Duration
}

// ParseRate reads a number per second, minute or hour: "600/m".
func ParseRate(s string) (Rate, error) {
	count, unit, _ := strings.Cut(s, "/")
	n, err := strconv.ParseUint(strings.TrimSpace(count), 10, 31)
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[strings.TrimSpace(unit)]
	if err != nil || n == 0 || per == 0 {
		return Rate{}, errRate
	}
	return Rate{Count: int(n), Per: per}, nil
}
