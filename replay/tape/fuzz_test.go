package tape

import (
	"bytes"
	"errors"
	"testing"
)

// readAnything reads a file of which nothing is known: it must end, and every block must be as long as it says.
func readAnything(t *testing.T, file []byte) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return
	}
	defer r.Close()
	for recording, err := range r.Recordings() {
		if err != nil {
			var damage *Damage
			if errors.As(err, &damage) && (damage.Offset < 0 || damage.Offset > int64(len(file))) {
				t.Errorf("damage at %d of %d", damage.Offset, len(file))
			}
			continue
		}
		raw, err := recording.Request.ReadAll()
		if err != nil || recording.HeadSize > len(raw) || recording.HeadSize < 0 {
			t.Errorf("%v, head of %d bytes in %d", err, recording.HeadSize, len(raw))
		}
		if a := recording.Answer; a != nil && int64(a.HeadSize) > a.Response.Size {
			t.Errorf("head of %d bytes in an answer of %d", a.HeadSize, a.Response.Size)
		}
		if _, err := newTestMasker(t).Mask(recording); err != nil {
			t.Error(err)
		}
		_, _, _ = Curl(recording, "http://a")
	}
}

// The seeds are small: before a fuzzer goes on from an input, it tries to leave out every part of it.
func FuzzReadingWARCNeverPanics(f *testing.F) {
	const (
		pair = "WARC/1.0\r\nWARC-Type: request\r\nContent-Type: application/http\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.0\r\n\r\n\r\n\r\n"
		ours = "WARC/1.1\nContent-Type:" + typeRecording + "\nWARC-Concurrent-To:1\nContent-Length:42\n\n" +
			`{"parts":2,"head_size":18,"answer":{"a":1}}` + "\nWARC/1.1\nHooktape-Part:request\nWARC-Record-ID:1\nContent-Length:18\n\nGET / HTTP/1.0\r\n\r\n"
	)
	f.Add(pair)
	f.Add(ours)
	f.Add(gzipped(f, pair))
	f.Fuzz(func(t *testing.T, file string) { readAnything(t, []byte(file)) })
}

func FuzzReadingHARNeverPanics(f *testing.F) {
	file, _ := writtenHAR(f, samples(f)[:5])
	f.Add(string(file))
	f.Add(`{"log":{"entries":[{"startedDateTime":"x","time":-1e300,"request":{"method":"GET","url":"http://[::1","headers":[{"name":"Content-Length","value":"9"}],"postData":{"encoding":"base64","text":"!"}},"response":{"status":-1,"content":{"size":1e99,"text":"\u0000é"}}}]}}`)
	f.Fuzz(func(t *testing.T, file string) { readAnything(t, []byte("{"+file)) })
}
