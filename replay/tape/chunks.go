package tape

import (
	"bytes"
	"fmt"
	"strconv"
)

// chunk is where one of a chunked body stands in it: its line, its data, and the line end behind them.
type chunk struct{ line, data, end, next int }

// chunksOf finds those with data; the last may be cut short. rest is where what is none begins: the chunk of size 0, or
// whatever breaks the framing.
func chunksOf(raw []byte) (all []chunk, rest int) {
	for at := 0; ; {
		data := at + bytes.IndexByte(raw[at:], '\n') + 1
		size, err := strconv.ParseInt(string(raw[at:at+chunkDigits(raw[at:data])]), 16, 64)
		if err != nil || size == 0 {
			return all, at
		}
		c := chunk{line: at, data: data, end: len(raw), next: len(raw)}
		if size < int64(len(raw)-data) {
			c.end = data + int(size)
			c.next = c.end + bytes.IndexByte(raw[c.end:], '\n') + 1
		}
		if all = append(all, c); c.next == len(raw) || c.next == c.end {
			return all, c.next
		}
		at = c.next
	}
}

// chunkDigits is how many digits the size of a chunk has.
func chunkDigits(line []byte) int {
	return len(line) - len(bytes.TrimLeft(line, "0123456789abcdefABCDEF"))
}

// dechunked is the data of a chunked body.
func dechunked(raw []byte) []byte {
	data := make([]byte, 0, len(raw))
	all, _ := chunksOf(raw)
	for _, c := range all {
		data = append(data, raw[c.data:c.end]...)
	}
	return data
}

// rechunked is a chunked body with other data: in chunks of the same sizes, extensions and trailers, but for the last one
// with data, which takes what is left.
func rechunked(raw, data []byte) []byte {
	var out bytes.Buffer
	all, rest := chunksOf(raw)
	for i, c := range all {
		n := min(c.end-c.data, len(data))
		if i == len(all)-1 {
			n = len(data)
		}
		if n == 0 {
			continue
		}
		line := raw[c.line:c.data]
		if n != c.end-c.data {
			line = fmt.Appendf(nil, "%x%s", n, line[chunkDigits(line):])
		}
		out.Write(line)
		out.Write(data[:n])
		out.Write(raw[c.end:c.next])
		data = data[n:]
	}
	out.Write(raw[rest:])
	return out.Bytes()
}

// trailers are the bytes behind the line of the last chunk, when the body is whole, or what breaks the framing; before is
// what is before them.
func trailers(raw []byte) (before, behind []byte, whole bool) {
	_, rest := chunksOf(raw)
	if digits := chunkDigits(raw[rest:]); digits > 0 && len(bytes.Trim(raw[rest:rest+digits], "0")) == 0 {
		rest += bytes.IndexByte(raw[rest:], '\n') + 1
		whole = true
	}
	return raw[:rest], raw[rest:], whole
}
