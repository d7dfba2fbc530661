package wire

import (
	"bytes"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Whether the requests of testdata come in one piece or byte by byte, an Exchange gives what was sent, and what a Client
// sends on of it arrives unchanged.
func TestRealRequestsPassServerAndClientVerbatim(t *testing.T) {
	var mu sync.Mutex
	var arrived, came bytes.Buffer // guarded by mu
	app := listen(t, &Server{Serve: func(x *Exchange) {
		body, _ := io.ReadAll(x)
		mu.Lock()
		arrived.WriteString(x.Head.Raw + string(body))
		mu.Unlock()
		_, _ = x.Write(AppendResponse(nil, Answer{Status: 204, Proto: x.Head.Proto, Close: !x.KeepAlive()}))
	}})
	u := &url.URL{Scheme: "http", Host: app}
	c := newClient(t)
	edge := listen(t, &Server{Serve: func(x *Exchange) {
		body, _ := io.ReadAll(x)
		mu.Lock()
		came.WriteString(x.Head.Raw + string(body))
		mu.Unlock()
		o := post(u, x.Head.Raw, body)
		o.Method = x.Head.Method
		r, err := c.Do(t.Context(), o)
		if err != nil {
			t.Error(err)
			return
		}
		defer r.Close()
		_, _ = x.Write(AppendResponse(nil, Answer{Status: r.Head.Status, Close: !x.KeepAlive()}))
	}})
	for _, file := range requestFiles(t, "*.http") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".http"), func(t *testing.T) {
			stream := string(read(t, file))
			pieces := map[string][]string{"whole": {stream}}
			if len(stream) < 4<<10 {
				pieces["bytes"] = strings.Split(stream, "")
			}
			for name, sent := range pieces {
				arrived.Reset()
				came.Reset()
				talk(t, edge, sent...)
				if got := came.String(); got != stream {
					t.Errorf("%s: the exchanges gave\n%.300q\nwant\n%.300q", name, got, stream)
				}
				if got := arrived.String(); got != stream {
					t.Errorf("%s: the app got\n%.300q\nwant\n%.300q", name, got, stream)
				}
			}
		})
	}
}
