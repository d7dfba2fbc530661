package tape

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// TestMembersStandInTheOrderOfTheirRecords, small ones, which are compressed side by side, and large ones, and there is one
// for each.
func TestMembersStandInTheOrderOfTheirRecords(t *testing.T) {
	all := make([]*Recording, 0, 500)
	for i := range cap(all) {
		body := fmt.Sprintf("%d", i)
		switch i % 125 {
		case 100:
			body = strings.Repeat("0123456789", batchSize/10+i)
		case 110:
			body = strings.Repeat("x", batchSize-i)
		}
		all = append(all, &Recording{ID: fmt.Sprintf("%026d", i), Known: true, Verdict: "malformed", Request: Bytes([]byte(body))})
	}
	plain, file := written(t, NewWriter, all), bytes.NewReader(written(t, NewGzipWriter, all))
	from := bufio.NewReader(file)
	member, err := gzip.NewReader(from)
	for err == nil {
		member.Multistream(false)
		text, failed := io.ReadAll(member)
		if failed != nil {
			t.Fatal(failed)
		}
		head, length := string(text), 0
		_, _ = fmt.Sscanf(head[strings.Index(head, "Content-Length: "):], "Content-Length: %d", &length)
		if !bytes.HasPrefix(plain, text) || len(text) != strings.Index(head, "\r\n\r\n")+4+length+4 {
			t.Fatalf("the member is not the next record: %.300q", text)
		}
		plain = plain[len(text):]
		err = member.Reset(from)
	}
	if err != io.EOF || len(plain) > 0 {
		t.Errorf("%v, and %d bytes are not in the file", err, len(plain))
	}
}
