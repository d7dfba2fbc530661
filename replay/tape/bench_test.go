package tape

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hooktape/hooktape/store"
)

// benchSizes are bodies of webhooks, and of a batch of them.
var benchSizes = []int{1 << 10, 16 << 10, 1 << 20}

// filled is a store on a disk with bodies of a size, 64 MiB of them or 20,000.
func filled(b *testing.B, size int) *store.Store {
	b.Helper()
	s, err := store.Open(filepath.Join(b.TempDir(), "tape.db"), store.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	body := make([]byte, size)
	for i := range body {
		body[i] = "0123456789abcdef"[i*i>>2&15]
	}
	raw := append(fmt.Appendf(nil, "POST /in HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size), body...)
	m := &Importer{Store: s}
	for range min(20_000, 64<<20/size) {
		r := &Recording{Known: true, Verdict: "accepted", Method: "POST", Target: "/in", Host: "a", HeadSize: len(raw) - size, BodySize: int64(size), Request: Bytes(raw)}
		r.Answer = &Answer{Status: 200, HeadSize: 38, Response: Bytes([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))}
		if err := m.Add(r); err != nil {
			b.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkExport writes a file and syncs it. Its bytes are those of the WARC, also where they are compressed.
func BenchmarkExport(b *testing.B) {
	for _, size := range benchSizes {
		for name, begin := range map[string]func(io.Writer, Info) *Writer{"warc": NewWriter, "warc.gz": NewGzipWriter} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				s := filled(b, size)
				b.SetBytes(int64(len(export(b, s, NewWriter))))
				for b.Loop() {
					f, err := os.Create(filepath.Join(b.TempDir(), "out"))
					if err != nil {
						b.Fatal(err)
					}
					w := begin(f, Info{})
					for rec, err := range s.Records(store.Query{}) {
						if err != nil {
							b.Fatal(err)
						}
						r, err := Of(s, rec)
						if err != nil {
							b.Fatal(err)
						}
						if err := w.Write(r); err != nil {
							b.Fatal(err)
						}
					}
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
					if err := f.Sync(); err != nil {
						b.Fatal(err)
					}
					f.Close()
				}
			})
		}
	}
}

// BenchmarkImport reads a file into a store that syncs.
func BenchmarkImport(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			file := export(b, filled(b, size), NewWriter)
			b.SetBytes(int64(len(file)))
			for b.Loop() {
				b.StopTimer()
				s, err := store.Open(filepath.Join(b.TempDir(), "tape.db"), store.Options{})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				r, err := NewReader(bytes.NewReader(file))
				if err != nil {
					b.Fatal(err)
				}
				importAll(b, s, r.Recordings())
				r.Close()
				s.Close()
			}
		})
	}
}

// BenchmarkDisk is what both are held against: so many bytes, written and synced.
func BenchmarkDisk(b *testing.B) {
	block := make([]byte, 1<<20)
	b.SetBytes(64 << 20)
	for b.Loop() {
		f, err := os.Create(filepath.Join(b.TempDir(), "out"))
		if err != nil {
			b.Fatal(err)
		}
		for range 64 {
			if _, err := f.Write(block); err != nil {
				b.Fatal(err)
			}
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

// BenchmarkRead reads a file of small recordings with an attempt each, and does nothing with them.
func BenchmarkRead(b *testing.B) {
	var file bytes.Buffer
	w := NewWriter(&file, Info{})
	for _, r := range samples(b)[:5] { // the small ones
		for range 2000 {
			if err := w.Write(r); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(file.Len()))
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(file.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range r.Recordings() {
			if err != nil {
				b.Fatal(err)
			}
		}
		r.Close()
	}
}

// BenchmarkMask masks the 5000 recordings of a file, of so many senders with a token each. Its bytes are those of the file.
// Looking ahead, it reads the file a second time.
func BenchmarkMask(b *testing.B) {
	for _, senders := range []int{10, 5000} {
		file := fileOfSenders(b, senders)
		for _, looking := range []string{"", ", looking ahead"} {
			b.Run(fmt.Sprintf("%d senders%s", senders, looking), func(b *testing.B) {
				b.SetBytes(int64(len(file)))
				for b.Loop() {
					maskFile(b, file, looking != "")
				}
			})
		}
	}
}

func maskFile(b *testing.B, file []byte, lookAhead bool) {
	m := newTestMasker(b)
	open := func() *Reader {
		r, err := NewReader(bytes.NewReader(file))
		if err != nil {
			b.Fatal(err)
		}
		return r
	}
	if lookAhead {
		m.LookAhead(open().Recordings())
	}
	w := NewWriter(io.Discard, Info{})
	for r, err := range open().Recordings() {
		if err != nil {
			b.Fatal(err)
		}
		masked, err := m.Mask(r)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Write(masked); err != nil {
			b.Fatal(err)
		}
	}
}

func fileOfSenders(b *testing.B, senders int) []byte {
	var file bytes.Buffer
	w := NewStreamWriter(&file, Info{})
	line := `{"sku":"A-1009","quantity":3,"price":12.50,"name":"a longer description"}`
	response, headSize := headed("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n{\"status\":\"OK\",\"code\":10}")
	for i := range 5000 {
		token := fmt.Sprintf("%08xS3cretTok3n", uint32(i%senders*79190003))
		r := request("POST /hook/orders HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: shop/1.0\r\nContent-Type: application/json\r\nAuthorization: Bearer "+token+"\r\n",
			fmt.Sprintf(`{"id":%d,"token":"%s","lines":[%s]}`, i, token, strings.Join([]string{line, line, line, line, line, line, line, line, line, line, line, line}, ",")))
		r.Source = ""
		r.Attempts = []Attempt{{Number: 1, URL: "http://127.0.0.1:3000/hook", Head: r.Request.inline[:r.HeadSize], HeadSize: headSize, Response: response}}
		if err := w.Write(r); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return file.Bytes()
}
