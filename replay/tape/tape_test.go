package tape

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// headed is the bytes of a message whose head ends at the first blank line.
func headed(raw string) (b Block, headSize int) {
	return Bytes([]byte(raw)), strings.Index(raw, "\n\r\n") + 3
}

// samples are recordings of every kind.
func samples(t testing.TB) []*Recording {
	t.Helper()
	at := func(ms int) Time { return Time{time.Date(2026, 3, 4, 5, 6, 7, ms*1e6+123, time.UTC)} }
	binary := make([]byte, 300)
	for i := range binary {
		binary[i] = byte(i)
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), (inlineMax+5000)/16)
	head := "POST /in?a=b%20c&token=x HTTP/1.1\r\nhOST: shop.test\r\nX-Empty:\r\nX-Twice: 1\r\nx-twice:  2 \r\nContent-Length: 300\r\n\r\n"
	chunked := "POST /chunked HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;ext=1\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	answerBlock, answerHead := headed(answer)
	sent := Bytes([]byte("edited"))
	return []*Recording{
		{
			ID: "01KA000000000000000000000A", Known: true, Time: at(0), Source: "shop", Via: "direct", Remote: "192.0.2.7:4242", TLS: true,
			Proto: "HTTP/1.1", Method: "POST", Target: "/in?a=b%20c&token=x", Host: "shop.test", Event: "a", Events: []string{"a", "b"},
			Trace: "t1", Verdict: "accepted", Verified: true, HeadSize: len(head), BodySize: 300, Request: Bytes(append([]byte(head), binary...)),
			Answer: &Answer{Status: 200, Time: at(5), Duration: 6e6, FromAttempt: 2, HeadSize: answerHead, Response: answerBlock},
			Attempts: []Attempt{
				{Number: 1, Source: "shop", Target: "app", URL: "http://127.0.0.1:1/x", Time: at(1), Head: []byte("POST /x HTTP/1.1\r\n\xff\r\n"), Error: "refused", Duration: 5},
				{
					Number: 2, Source: "shop", Target: "app", Edited: true, URL: "http://127.0.0.1:1/x", Time: at(2), Head: []byte("POST /x HTTP/1.1\r\n\r\n"),
					Sent: &sent, Status: 200, FirstByte: 7, Duration: 8, HeadSize: answerHead, Response: answerBlock,
				},
			},
			Deliveries: []Delivery{{Target: "app", State: "delivered", Attempts: 2, Status: 200, Key: "k", Created: at(1)}},
		},
		{
			ID: "01KA000000000000000000000B", Known: true, Time: at(10), Verdict: "accepted", Method: "POST", Target: "/chunked", Host: "shop.test",
			HeadSize: strings.Index(chunked, "5;ext"), BodySize: 5, Request: Bytes([]byte(chunked)),
		},
		{
			ID: "01KA000000000000000000000C", Known: true, Time: at(20), Verdict: "malformed", Reason: "TLS on a plain port", Remote: "[2001:db8::1]:1",
			Request: Bytes([]byte("\x16\x03\x01\x02\x00WARC/1.1\r\n\r\n")),
		},
		{
			ID: "01KA000000000000000000000D", Known: true, Time: at(30), Until: at(40), Count: 12, Verdict: "rate_limited", HeadSize: len(head), Target: "/in",
			Host: "shop.test", Truncated: true, Request: Bytes([]byte(head)),
		},
		{
			ID: "01KA000000000000000000000E", Known: true, Time: at(50), Verdict: "incomplete", Method: "POST", Target: "/in", Host: "shop.test",
			HeadSize: len(head), Request: Bytes(append([]byte(head), "cut"...)),
		},
		{
			ID: "01KA000000000000000000000F", Known: true, Time: at(60), Verdict: "accepted", Method: "PUT", Target: "http://shop.test/absolute", Host: "shop.test",
			HeadSize: len(head), Request: Opened(int64(len(head)+len(large)), func() (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader(head), bytes.NewReader(large))), nil
			}),
			Answer: &Answer{Error: "the sender went away"},
		},
	}
}

var testInfo = Info{Session: "checkout day", Software: "hooktape test", Created: time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC), Masked: true,
	Signing: []Signing{{"shop", "github", map[string]string{"header": "X"}, "s3"}}}

// written is a tape file of the recordings.
func written(t testing.TB, begin func(io.Writer, Info) *Writer, recordings []*Recording) []byte {
	t.Helper()
	var b bytes.Buffer
	w := begin(&b, testInfo)
	for _, r := range recordings {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read reads a whole file into memory, and what is damaged in it.
func read(t testing.TB, file io.Reader) (info Info, all []*Recording, damage []*Damage, skipped Skipped) {
	t.Helper()
	r, err := NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	for recording, err := range r.Recordings() {
		if d, ok := errors.AsType[*Damage](err); ok {
			damage = append(damage, d)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, inMemory(t, recording))
	}
	return r.Info(), all, damage, r.Skipped()
}

// inMemory takes the blocks out of a file.
func inMemory(t testing.TB, r *Recording) *Recording {
	t.Helper()
	load := func(b *Block) {
		all, err := b.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		*b = Bytes(all)
	}
	load(&r.Request)
	if r.Answer != nil {
		load(&r.Answer.Response)
	}
	for i := range r.Attempts {
		load(&r.Attempts[i].Response)
		if r.Attempts[i].Sent != nil {
			load(r.Attempts[i].Sent)
		}
	}
	return r
}

var forms = map[string]func(io.Writer, Info) *Writer{"plain": NewWriter, "gzip": NewGzipWriter, "stream": NewStreamWriter}

func compareRecordings(t *testing.T, got, want []*Recording) {
	t.Helper()
	bytesOfBlocks := cmp.Transformer("bytes", func(b Block) string { return string(b.inline) })
	var loaded []*Recording
	for _, r := range want {
		loaded = append(loaded, inMemory(t, r))
	}
	ignoreURL := cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "URL" }, cmp.Ignore())
	if diff := cmp.Diff(loaded, got, bytesOfBlocks, ignoreURL); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for name, begin := range forms {
		t.Run(name, func(t *testing.T) {
			file := written(t, begin, samples(t))
			info, got, damage, skipped := read(t, bytes.NewReader(file))
			if len(damage) > 0 || skipped.Alone > 0 || len(skipped.Other) > 0 {
				t.Errorf("damage %v, skipped %v", damage, skipped)
			}
			compareRecordings(t, got, samples(t))
			if diff := cmp.Diff(testInfo, info, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Created" }, cmp.Ignore())); diff != "" {
				t.Error(diff)
			}
			if again := written(t, begin, got); name == "plain" && !bytes.Equal(again, file) {
				t.Error("what is read and written again is another file")
			}
		})
	}
}

func TestATapeWithoutRecordingsSaysWhatItIs(t *testing.T) {
	info, got, damage, _ := read(t, bytes.NewReader(written(t, NewGzipWriter, nil)))
	if info.Session != testInfo.Session || len(got)+len(damage) > 0 {
		t.Error(info, got, damage)
	}
}

// TestACutFileGivesWhatIsReadable: wherever it is cut, what is whole before is given, and the cut is told.
func TestACutFileGivesWhatIsReadable(t *testing.T) {
	all := samples(t)[:5]
	for name, begin := range map[string]func(io.Writer, Info) *Writer{"plain": NewWriter, "gzip": NewGzipWriter} {
		t.Run(name, func(t *testing.T) {
			ends := []int{len(written(t, begin, nil))}
			for i := range all {
				ends = append(ends, len(written(t, begin, all[:i+1])))
			}
			file := written(t, begin, all)
			for cut := len("WARC/"); cut < len(file); cut += 23 { // a prime, so that it falls everywhere
				_, got, damage, _ := read(t, bytes.NewReader(file[:cut]))
				whole := 0
				for whole < len(all) && cut >= ends[whole+1] {
					whole++
				}
				if len(got) < whole || len(got) > whole+1 {
					t.Fatalf("cut at %d: %d recordings, want %d", cut, len(got), whole)
				}
				atBorder := false
				for _, end := range ends {
					atBorder = atBorder || cut >= end-4 && cut <= end // without the blank lines, nothing is missing
				}
				if len(damage) == 0 && !atBorder && cut > ends[0] {
					t.Fatalf("cut at %d: nothing is told", cut)
				}
				for i := range whole {
					if diff := cmp.Diff(string(all[i].Request.inline), string(got[i].Request.inline)); diff != "" {
						t.Fatalf("cut at %d: %s", cut, diff)
					}
				}
			}
		})
	}
}

func TestDamageIsToldAndTheRestIsRead(t *testing.T) {
	all := samples(t)
	for name, begin := range map[string]func(io.Writer, Info) *Writer{"plain": NewWriter, "gzip": NewGzipWriter} {
		t.Run(name, func(t *testing.T) {
			file := written(t, begin, all)
			first, second := len(written(t, begin, all[:1])), len(written(t, begin, all[:2]))
			for at := first; at < second; at += 31 {
				bad := bytes.Clone(file)
				for i := at; i < min(at+5, second); i++ {
					bad[i] ^= 0x55
				}
				_, got, damage, _ := read(t, bytes.NewReader(bad))
				if len(got) < len(all)-2 {
					t.Errorf("damage at %d of %d to %d: only %d recordings: %v", at, first, second, len(got), damage)
				}
				if got[0].ID != all[0].ID || got[len(got)-1].ID != all[len(all)-1].ID {
					t.Errorf("damage at %d: neighbours are lost: %v", at, damage)
				}
				for _, d := range damage {
					if d.Offset < int64(first)-8 || d.Offset > int64(second) && len(got) == len(all)-1 {
						t.Errorf("damage at %d is said to be at %d", at, d.Offset)
					}
				}
			}
		})
	}
}

func TestEveryWARCRecordIsAGzipMember(t *testing.T) {
	file := bytes.NewReader(written(t, NewGzipWriter, samples(t)))
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	members := 0
	for err == nil {
		z.Multistream(false)
		text, e := io.ReadAll(z)
		if e != nil || !bytes.HasPrefix(text, []byte("WARC/1.1\r\n")) || !bytes.HasSuffix(text, []byte("\r\n\r\n")) || bytes.Count(text, []byte("\nWARC-Type: ")) != 1 {
			t.Fatalf("member %d: %q, %v", members, text[:min(len(text), 100)], e)
		}
		members++
		err = z.Reset(file)
	}
	if err != io.EOF || members != 2+4+2+2+2+2+2+1 {
		t.Errorf("%d members, %v", members, err)
	}
}

func TestAFileOfOneMemberIsReadToo(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(written(t, NewWriter, samples(t)))
	_ = z.Close()
	_, got, damage, _ := read(t, &b)
	if len(damage) > 0 {
		t.Error(damage)
	}
	compareRecordings(t, got, samples(t))
}

func TestWhatIsNoTapeFileIsSaid(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "the file is empty"},
		{"hello", "neither WARC nor HAR: it begins like neither"},
	} {
		if _, err := NewReader(strings.NewReader(c.text)); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v", c.text, err)
		}
	}
}

func TestAnErrorOfTheFileEndsIt(t *testing.T) {
	file := written(t, NewWriter, samples(t))
	broken := errors.New("the disk is gone")
	r, err := NewReader(io.MultiReader(bytes.NewReader(file[:len(file)/2]), failing{broken}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var last error
	for _, last = range r.Recordings() {
	}
	if !errors.Is(last, broken) {
		t.Errorf("the last error is %v", last)
	}
}

// TestAnErrorThatIsNoDamageEndsIt: the file may be whole, and what follows is lost if nobody looks again.
func TestAnErrorThatIsNoDamageEndsIt(t *testing.T) {
	large := samples(t)
	for _, c := range []struct {
		name string
		file io.Reader
		want error
		do   func(t *testing.T, r *Reader)
	}{
		{"reading behind what is damaged", io.MultiReader(strings.NewReader("WARC/1.0\r\nContent-Length: 0\r\n\r\ndamage\n"), failing{fs.ErrPermission}), fs.ErrPermission, nil},
		{"no folder for temporary files", bytes.NewReader(written(t, NewWriter, large)), fs.ErrNotExist, func(t *testing.T, _ *Reader) {
			for _, name := range []string{"TMPDIR", "TMP"} {
				t.Setenv(name, filepath.Join(t.TempDir(), "none"))
			}
		}},
		{"no room for them", bytes.NewReader(written(t, NewWriter, large)), fs.ErrClosed, func(t *testing.T, r *Reader) {
			if err := errors.Join(r.scratch.make(), r.scratch.file.Close(), os.Remove(r.scratch.file.Name())); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := NewReader(c.file)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if c.do != nil {
				c.do(t, r)
			}
			var last error
			for _, last = range r.Recordings() {
			}
			var damage *Damage
			if !errors.Is(last, c.want) || errors.As(last, &damage) {
				t.Errorf("the last error is %v", last)
			}
		})
	}
}

// TestNothingFromAFileBreaksALine of another that is made of it: a zone of IPv6 may be any text.
func TestNothingFromAFileBreaksALine(t *testing.T) {
	r := samples(t)[0]
	r.Remote = "[fe80::1%x\r\nContent-Length: 0\r\nX:]:80"
	_, all, damage, _ := read(t, bytes.NewReader(written(t, NewWriter, []*Recording{r})))
	if len(damage) > 0 {
		t.Error(damage)
	}
	compareRecordings(t, all, []*Recording{r})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestFilesOfOtherToolsAreRead: in their orders, with their digests.
func TestFilesOfOtherToolsAreRead(t *testing.T) {
	record := func(kind, id, concurrent, url, extra, block string) string {
		about := ""
		if concurrent != "" {
			about = "WARC-Concurrent-To: <" + concurrent + ">\r\n"
		}
		if !strings.Contains(extra, "Content-Type") {
			extra += "Content-Type: application/http;msgtype=" + kind + "\r\n"
		}
		return fmt.Sprintf("WARC/1.0\r\nWARC-Type: %s\r\nWARC-Record-ID: <%s>\r\n%sWARC-Target-URI: <%s>\r\nWARC-Date: 2026-01-02T03:04:05Z\r\n%sContent-Length: %d\r\n\r\n%s\r\n\r\n",
			kind, id, about, url, extra, len(block), block)
	}
	request, response := "GET /a HTTP/1.1\r\nHost: x.test\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nhi"
	const wrong = "WARC-Block-Digest: sha1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"
	for _, c := range []struct {
		name, file string
		want       int
		answered   int
		damaged    int
		alone      int
		other      int
	}{
		{"request first", record("request", "1", "", "http://x.test/a", "", request) + record("response", "2", "1", "http://x.test/a", "", response), 1, 1, 0, 0, 0},
		{"response first", record("response", "2", "", "http://x.test/a", "", response) + record("request", "1", "2", "http://x.test/a", "", request), 1, 1, 0, 0, 0},
		{"without references", record("response", "2", "", "http://x.test/a", "", response) + record("request", "1", "", "http://x.test/a", "", request), 1, 1, 0, 0, 0},
		{"request alone", record("request", "1", "", "http://x.test/a", "", request), 1, 0, 0, 0, 0},
		{"response alone", record("response", "1", "", "http://x.test/a", "", response), 0, 0, 0, 1, 0},
		{"others", record("revisit", "1", "", "http://x.test/a", "", response) + record("response", "2", "", "dns:x.test", "Content-Type: text/dns\r\n", "x"), 0, 0, 0, 0, 2},
		{"wrong digest", record("request", "1", "", "http://x.test/a", wrong, request), 0, 0, 1, 0, 0},
		{"wrong payload digest", record("response", "1", "", "http://x.test/a", strings.Replace(wrong, "Block", "Payload", 1), response), 0, 0, 1, 0, 0},
		{"md5", record("request", "1", "", "http://x.test/a", "WARC-Block-Digest: md5:f39562c2ce3b64a1b1a67c3e4c9b3f00\r\n", request), 0, 0, 1, 0, 0},
		{"lines that end with LF", strings.ReplaceAll(record("request", "1", "", "http://x.test/a", "", "BLOCK"), "\r\n", "\n"), 1, 0, 0, 0, 0},
		{"byte order mark", "\ufeff" + record("request", "1", "", "http://x.test/a", "", request), 1, 0, 0, 0, 0},
		{"no blank lines", strings.TrimSpace(record("request", "1", "", "http://x.test/a", "", request)) + "\r\n\r\n" + record("response", "2", "1", "http://x.test/a", "", response), 1, 1, 0, 0, 0},
		{"no content type", record("request", "1", "", "http://x.test/a", "Content-Type:\r\n", request), 1, 0, 0, 0, 0},
		{"response in segments", record("request", "1", "", "http://x.test/a", "", request) + record("response", "2", "1", "http://x.test/a", "WARC-Segment-Number: 1\r\n", response) + record("continuation", "3", "", "http://x.test/a", "WARC-Segment-Number: 2\r\n", "more"), 1, 0, 0, 0, 2},
		{"revisit of a request's response", record("request", "1", "", "http://x.test/a", "", request) + record("revisit", "2", "1", "http://x.test/a", "", response), 1, 0, 0, 0, 1},
		{"unknown digest", record("request", "1", "", "http://x.test/a", "WARC-Block-Digest: crc32:00\r\n", request), 1, 0, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := strings.Replace(c.file, "Content-Length: 5\n\nBLOCK", fmt.Sprintf("Content-Length: %d\n\n%s", len(request), request), 1)
			_, got, damage, skipped := read(t, strings.NewReader(file))
			answered, other := 0, 0
			for _, r := range got {
				if string(r.Request.inline) != request || r.Known || r.URL != "http://x.test/a" || r.Time.IsZero() {
					t.Errorf("%+v", r)
				}
				if r.Answer != nil && string(r.Answer.Response.inline) == response {
					answered++
				}
			}
			for _, n := range skipped.Other {
				other += n
			}
			if len(got) != c.want || answered != c.answered || len(damage) != c.damaged || skipped.Alone != c.alone || other != c.other {
				t.Errorf("%d recordings, %d answered, %v, %+v", len(got), answered, damage, skipped)
			}
		})
	}
}

func TestContentTypesAreTheSameWhateverTheirCaseAndSpaces(t *testing.T) {
	for _, other := range []string{typeRequest, "Application/HTTP; MsgType=Request", " application / http;msgtype=request "} {
		if !sameType(other, typeRequest) {
			t.Errorf("%q is another", other)
		}
	}
	for _, other := range []string{"", typeResponse, "application/http", typeRequest + "s"} {
		if sameType(other, typeRequest) {
			t.Errorf("%q is the same", other)
		}
	}
}
