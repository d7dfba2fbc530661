package wire

import "testing"

// The app's response goes to the sender as the app sent it, the fields of the
// app's own connection aside.
func TestResponsesForTheSender(t *testing.T) {
	const length = "Content-Length: 5\r\n"
	tests := []struct {
		name, method, response string
		proto                  string
		keepAlive              bool
		want                   string
		passing                Passing
	}{
		{"as it is", "GET", "HTTP/1.1 200 \xff\nx-a:\t1 \r\nX-A:\nContent-Length: 5\r\n\n", "HTTP/1.1", true,
			"HTTP/1.1 200 \xff\nx-a:\t1 \r\nX-A:\nContent-Length: 5\r\n\n", Passing{}},
		{"fields of the app's connection", "GET", "HTTP/1.1 200 OK\r\nConnection: close, X-Named, content-length\r\nKeep-Alive: 5\r\nx-named: a\r\nProxy-Authenticate: b\r\nProxy-Status: c\r\nUpgrade: d\r\n" + length + "\r\n", "HTTP/1.1", true,
			"HTTP/1.1 200 OK\r\nProxy-Status: c\r\n" + length + "\r\n", Passing{}},
		{"the sender closes", "GET", "HTTP/1.1 200 OK\r\n" + length + "\r\n", "HTTP/1.1", false,
			"HTTP/1.1 200 OK\r\n" + length + "Connection: close\r\n\r\n", Passing{Close: true}},
		{"the app's end is the connection's", "GET", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1", true,
			"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", Passing{Close: true}},
		{"an HTTP/1.0 app, a sender that lives on", "GET", "HTTP/1.0 200 OK\r\n" + length + "\r\n", "HTTP/1.1", true,
			"HTTP/1.0 200 OK\r\n" + length + "Connection: keep-alive\r\n\r\n", Passing{}},
		{"an HTTP/1.0 app, until it closes", "GET", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1", true,
			"HTTP/1.0 200 OK\r\n\r\n", Passing{Close: true}},
		{"an HTTP/1.0 sender that lives on", "GET", "HTTP/1.1 200 OK\r\n" + length + "\r\n", "HTTP/1.0", true,
			"HTTP/1.1 200 OK\r\n" + length + "Connection: keep-alive\r\n\r\n", Passing{}},
		{"chunks for HTTP/1.1", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n", "HTTP/1.1", true,
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n", Passing{}},
		{"chunks for HTTP/1.0", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\nX: 1\r\n\r\n", "HTTP/1.0", true,
			"HTTP/1.1 200 OK\r\nX: 1\r\n\r\n", Passing{Decode: true, Close: true}},
		{"no chunks for HEAD and HTTP/1.0", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0", true,
			"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", Passing{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, err := ParseResponseHead([]byte(test.response), test.method)
			if err != nil {
				t.Fatal(err)
			}
			head, passing := h.ForSender(test.proto, test.keepAlive)
			if head != test.want || passing != test.passing {
				t.Errorf("got  %q, %+v\nwant %q, %+v", head, passing, test.want, test.passing)
			}
		})
	}
}
