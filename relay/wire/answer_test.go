package wire

import (
	"testing"
	"time"
)

func TestAnswers(t *testing.T) {
	date := time.Date(2026, 5, 4, 3, 2, 1, 0, time.FixedZone("", 3600))
	text := Fields{{"Content-Type", "text/plain"}}
	tests := []struct {
		name   string
		answer Answer
		want   string
	}{
		{"plain", Answer{Status: 200, Fields: text, Body: []byte("ok"), Date: date},
			"HTTP/1.1 200 OK\r\nDate: Mon, 04 May 2026 02:02:01 GMT\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"},
		{"empty", Answer{Status: 202}, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"},
		{"own date", Answer{Status: 200, Fields: Fields{{"date", "then"}}, Date: date}, "HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 0\r\n\r\n"},
		{"unknown status", Answer{Status: 299}, "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"},
		{"to HEAD", Answer{Status: 200, Body: []byte("ok"), HeadOnly: true}, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"},
		{"204 has no length", Answer{Status: 204, Body: []byte("no")}, "HTTP/1.1 204 No Content\r\n\r\n"},
		{"304 has no length", Answer{Status: 304}, "HTTP/1.1 304 Not Modified\r\n\r\n"},
		{"100 is no more than its line", Answer{Status: 100}, "HTTP/1.1 100 Continue\r\n\r\n"},
		{"closing", Answer{Status: 400, Close: true}, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"HTTP/1.0 closes by default", Answer{Status: 200, Proto: "HTTP/1.0", Close: true}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"HTTP/1.0 lives on", Answer{Status: 200, Proto: "HTTP/1.0"}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"},
		{"framing is not for others to say",
			Answer{Status: 200, Fields: Fields{{"content-length", "7"}, {"Transfer-Encoding", "chunked"}, {"Connection", "close"}}},
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"a value can't break out",
			Answer{Status: 200, Fields: Fields{{"X", "a\r\nY: b\x00"}, {"X\r\nY", "c"}, {"", "d"}}},
			"HTTP/1.1 200 OK\r\nX: a  Y: b \r\nContent-Length: 0\r\n\r\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := AppendResponse([]byte("before"), test.answer)
			if string(got) != "before"+test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}
