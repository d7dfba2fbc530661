package provider

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"iter"
	"net/url"
	"strings"
	"unicode/utf8"

	text "golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// guessURLs are what the sender may take for our URL: another scheme, host or port, a slash more or less at the end of
// the path, no query, or what a proxy says it was.
func guessURLs(r *Request) iter.Seq[string] {
	return func(yield func(string) bool) {
		u, err := url.Parse(r.URL)
		if err != nil {
			return
		}
		targets := []string{u.RequestURI(), u.EscapedPath(), r.Head.Target, strings.TrimSuffix(u.EscapedPath(), "/"), u.EscapedPath() + "/"}
		for _, name := range []string{"X-Original-URL", "X-Original-URI", "X-Forwarded-URI"} {
			if original, ok := r.Head.Fields.Get(name); ok {
				targets = append(targets, original)
			}
		}
		for _, target := range targets {
			for _, host := range guessHosts(r, u) {
				for _, scheme := range []string{"https://", "http://"} {
					if guess := scheme + host + target; guess != r.URL && !yield(guess) {
						return
					}
				}
			}
		}
	}
}

func guessHosts(r *Request, u *url.URL) []string {
	hosts := []string{u.Host, u.Hostname(), r.Head.Host(), u.Hostname() + ":443", u.Hostname() + ":80"}
	for _, name := range []string{"X-Forwarded-Host", "X-Original-Host"} {
		hosts = append(hosts, r.Head.Fields.Values(name)...)
	}
	return hosts
}

// guessBodies are what the body may have been when it was signed, each with words for what happened to it.
func guessBodies(r *Request) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, guess := range []iter.Seq2[string, []byte]{
			guessLineEnds(r.Body), guessCodings(r.Body), guessJSON(r.Body), guessCharsets(r.Body), guessForms(r.Body),
		} {
			for what, body := range guess {
				if !bytes.Equal(body, r.Body) && !yield(what, body) {
					return
				}
			}
		}
	}
}

func guessLineEnds(body []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		lf := bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
		_ = yield("the body without its final newline", bytes.TrimSuffix(bytes.TrimSuffix(body, []byte("\n")), []byte("\r"))) &&
			yield("the body with a final newline", append(bytes.Clone(body), '\n')) &&
			yield("the body with a final CR LF", append(bytes.Clone(body), '\r', '\n')) &&
			yield("the body with LF instead of CR LF", lf) &&
			yield("the body with CR LF instead of LF", bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))) &&
			yield("the body without the spaces and newlines round it", bytes.TrimSpace(body))
	}
}

// inflation is how many times larger a body may get by decompression.
const inflation = 8

// guessCodings undoes a compression, and redoes the one of Go senders: other software compresses to other bytes.
func guessCodings(body []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		limit := int64(inflation * len(body))
		if r, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			plain, err := io.ReadAll(io.LimitReader(r, limit))
			if err == nil && !yield("the body decompressed: it was compressed after it was signed", plain) {
				return
			}
		}
		if r, err := zlib.NewReader(bytes.NewReader(body)); err == nil {
			plain, err := io.ReadAll(io.LimitReader(r, limit))
			if err == nil && !yield("the body decompressed: it was compressed after it was signed", plain) {
				return
			}
		}
		for _, level := range []int{gzip.DefaultCompression, gzip.BestSpeed, gzip.BestCompression} {
			var b bytes.Buffer
			w, err := gzip.NewWriterLevel(&b, level)
			if err != nil {
				return
			}
			w.Write(body)
			w.Close()
			if !yield("the body compressed: it was decompressed on the way", b.Bytes()) {
				return
			}
		}
	}
}

// charsets are what bodies are converted from and to.
var charsets = []struct {
	name     string
	encoding text.Encoding
}{
	{"windows-1251", charmap.Windows1251},
	{"ISO-8859-1", charmap.ISO8859_1},
	{"windows-1252", charmap.Windows1252},
	{"KOI8-R", charmap.KOI8R},
	{"UTF-16LE", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)},
	{"UTF-16BE", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)},
}

var byteOrderMark = []byte("\ufeff")

func guessCharsets(body []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		rest, marked := bytes.CutPrefix(body, byteOrderMark)
		if marked && !yield("the body without its byte order mark", rest) ||
			!marked && !yield("the body with a byte order mark", append(bytes.Clone(byteOrderMark), body...)) {
			return
		}
		for _, c := range charsets {
			if other, err := c.encoding.NewEncoder().Bytes(body); err == nil && utf8.Valid(body) &&
				!yield("the body in "+c.name+", it came in UTF-8", other) {
				return
			}
			if other, err := c.encoding.NewDecoder().Bytes(body); err == nil &&
				!yield("the body in UTF-8, it came in "+c.name, other) {
				return
			}
		}
	}
}

// guessForms undoes what may be done to form-encoded bodies: decoding, encoding again, sorting.
func guessForms(body []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		text := string(body)
		if !strings.Contains(text, "=") || !utf8.Valid(body) {
			return
		}
		if decoded, err := url.QueryUnescape(text); err == nil && !yield("the form decoded", []byte(decoded)) {
			return
		}
		encoded := encodeForm(text)
		if !yield("the form encoded, it came decoded", []byte(encoded)) ||
			!yield("the form encoded, it came decoded", []byte(strings.ReplaceAll(encoded, "+", "%20"))) ||
			!yield("the form with %20 instead of +", []byte(strings.ReplaceAll(text, "+", "%20"))) ||
			!yield("the form with + instead of %20", []byte(strings.ReplaceAll(text, "%20", "+"))) {
			return
		}
		if values, err := url.ParseQuery(text); err == nil {
			yield("the form encoded anew, its parameters sorted", []byte(values.Encode()))
		}
	}
}

// encodeForm encodes a form that was decoded as a whole, as far as its parts can be told.
func encodeForm(text string) string {
	pairs := strings.Split(text, "&")
	for i, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		pairs[i] = url.QueryEscape(key)
		if ok {
			pairs[i] += "=" + url.QueryEscape(value)
		}
	}
	return strings.Join(pairs, "&")
}
