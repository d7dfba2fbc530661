package wire

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// webhookHead is a head of 500 bytes as a payment provider sends it.
const webhookHead = "POST /api/v1/webhooks/payments?tenant=42 HTTP/1.1\r\n" +
	"Host: hooks.example.com\r\n" +
	"User-Agent: Provider/1.0 (+https://provider.example/docs/webhooks)\r\n" +
	"Content-Length: 1024\r\n" +
	"Accept: */*; q=0.5, application/xml\r\n" +
	"Cache-Control: no-cache\r\n" +
	"Content-Type: application/json; charset=utf-8\r\n" +
	"Provider-Signature: t=1712345678,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd\r\n" +
	"X-Request-Id: 0198f3c2-7d5e-7b1a-9d0e-6f1f3c2b1a00\r\n" +
	"Accept-Encoding: gzip\r\n" +
	"\r\n"

func BenchmarkParseRequestHead(b *testing.B) {
	head := []byte(webhookHead)
	b.Run("wire", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(head)))
		for b.Loop() {
			if _, err := ParseRequestHead(head); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		r := bufio.NewReader(nil)
		b.ReportAllocs()
		b.SetBytes(int64(len(head)))
		for b.Loop() {
			r.Reset(bytes.NewReader(head))
			if _, err := http.ReadRequest(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRouteHead(b *testing.B) {
	h, err := ParseRequestHead([]byte(webhookHead))
	if err != nil {
		b.Fatal(err)
	}
	u, err := url.Parse("http://127.0.0.1:3000/hooks")
	if err != nil {
		b.Fatal(err)
	}
	route := Route{Prefix: "/api/v1/webhooks", URL: u}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := route.Head(h); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFramer(b *testing.B) {
	chunks := []byte(strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 64) + "0\r\n\r\n")
	b.ReportAllocs()
	b.SetBytes(int64(len(chunks)))
	f := NewFramer(Framing{})
	for b.Loop() {
		f.Reset(Framing{Chunked: true})
		if n, err := f.Scan(chunks); n != len(chunks) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkAppendResponse(b *testing.B) {
	answer := Answer{Status: 200, Fields: Fields{{"Content-Type", "application/json"}}, Body: []byte(`{"status": "OK"}`)}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendResponse(dst[:0], answer)
	}
}
