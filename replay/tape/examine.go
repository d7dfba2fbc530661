package tape

import (
	"bytes"
	"cmp"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/hooktape/hooktape/relay/wire"
)

// examine finds out from the bytes what a file of another tool does not say: the sizes of heads, the request line, whether
// the request is whole. Of a recording of ours it makes sure that what is said of the heads is so.
func (r *Recording) examine() error {
	start, err := r.Request.Start(headMax)
	if err != nil {
		return err
	}
	end := max(0, wire.HeadEnd(start, 0))
	if r.Known {
		if r.HeadSize != end {
			r.HeadSize = 0 // and nobody looks for a head in what is none
		}
		return r.examineResponses()
	}
	head, err := wire.ParseRequestHead(start)
	if err != nil {
		r.Verdict, r.Reason = "malformed", err.Error()
		return r.examineResponses()
	}
	r.Verdict = "accepted"
	r.HeadSize, r.Proto, r.Method, r.Target = end, head.Proto, head.Method, head.Target
	r.TLS = strings.HasPrefix(r.URL, "https:")
	r.Host = cmp.Or(head.Host(), hostOf(r.URL))
	if r.BodySize, err = r.measure(head.Framing); err != nil {
		r.Verdict, r.Reason = "incomplete", err.Error()
	}
	return r.examineResponses()
}

// measure is the size of the body without its framing.
func (r *Recording) measure(framing wire.Framing) (int64, error) {
	b, err := r.Request.Open()
	if err != nil {
		return 0, err
	}
	defer b.Close()
	if _, err := io.CopyN(io.Discard, b, int64(r.HeadSize)); err != nil {
		return 0, err
	}
	return io.Copy(io.Discard, wire.NewBodyReader(framing, b))
}

func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}

// examineResponses finds the heads of what came back. A pair of another tool is an attempt: its response is the app's, with
// which a replay can be compared, unless it is not whole.
func (r *Recording) examineResponses() error {
	if a := r.Answer; a != nil {
		end, status, err := examineResponse(a.Response)
		if err != nil {
			return err
		}
		a.HeadSize, a.Status = end, cmp.Or(a.Status, status)
		if !r.Known && end == 0 && a.Status != 0 { // HAR has one status, which may be that of an interim response
			a.Status, a.Error = 0, "the file has no final response"
		}
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		end, _, err := examineResponse(a.Response)
		if err != nil {
			return err
		}
		a.HeadSize = end
	}
	if a := r.Answer; !r.Known && a != nil && a.Error == "" && a.HeadSize > 0 && r.HeadSize > 0 && len(r.Attempts) == 0 {
		head, err := r.Request.Start(int64(r.HeadSize))
		if err != nil {
			return err
		}
		r.Attempts = []Attempt{{
			Number: 1, URL: r.URL, Time: r.Time, Head: head, Status: a.Status, Duration: a.Duration, FirstByte: a.Duration,
			HeadSize: a.HeadSize, Response: a.Response,
		}}
		a.FromAttempt = 1
	}
	return nil
}

// examineResponse finds the end of the head of a final response, behind those of interim ones.
func examineResponse(b Block) (end, status int, err error) {
	start, err := b.Start(headMax)
	if err != nil {
		return 0, 0, err
	}
	begin, end, status := finalHead(start)
	if begin == end {
		return 0, 0, nil
	}
	return end, status, nil
}

// finalHead is where the head of a final response begins and ends, which are the same where there is none.
func finalHead(start []byte) (begin, end, status int) {
	begin = wire.Interim(start)
	n := wire.HeadEnd(start[begin:], 0)
	if n < 0 || !bytes.HasPrefix(start[begin:], []byte("HTTP/")) {
		return begin, begin, 0
	}
	_, rest, _ := strings.Cut(string(start[begin:begin+n]), " ")
	status, _ = strconv.Atoi(rest[:min(3, len(rest))]) // 0: it has none
	return begin, begin + n, status
}
