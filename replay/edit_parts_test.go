package replay

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// upload is a request with a form in parts: a field, another one twice, a file, and one in a coding, odd as senders are.
const upload = "preamble\r\n--b-1 \r\nContent-Disposition: form-data; name=\"order[id]\"\r\n\r\n17\r\n" +
	"--b-1\r\ncontent-disposition: FORM-DATA; name=tag\r\nX-Odd:  1\r\n\r\n\r\n" +
	"--b-1\r\nContent-Disposition: form-data; name=\"tag\"\r\n\r\nb--b-1\r\n--b-12\r\n" +
	"--b-1\r\nContent-Disposition: form-data; name=\"list\"; filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\n\x00\xff\r\n\r\n" +
	"--b-1\r\nContent-Disposition: form-data; name=\"coded\"\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n" +
	"--b-1--\r\nepilogue"

func uploaded(body string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=\"b-1\"\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func TestAnEditOfAFormInPartsChangesThatPartAlone(t *testing.T) {
	first, second := "--b-1\r\ncontent-disposition: FORM-DATA; name=tag\r\nX-Odd:  1\r\n\r\n\r\n", "--b-1\r\nContent-Disposition: form-data; name=\"tag\"\r\n\r\nb--b-1\r\n--b-12\r\n"
	file := "--b-1\r\nContent-Disposition: form-data; name=\"list\"; filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\n\x00\xff\r\n\r\n"
	for edits, change := range map[string][2]string{
		"form.order.id=18":                  {"\r\n17\r\n", "\r\n18\r\n"},
		"form.order.id=":                    {"\r\n17\r\n", "\r\n\r\n"},
		"form.tag=a\r\nb":                   {first + second, strings.TrimSuffix(first, "\r\n") + "a\r\nb\r\n"},
		"unset form.tag":                    {first + second, ""},
		"unset form.list":                   {file, ""},
		"add form.more=1":                   {"--b-1--", "--b-1\r\nContent-Disposition: form-data; name=\"more\"\r\n\r\n1\r\n--b-1--"},
		"add form.order.id=18":              {"\r\n17\r\n", "\r\n18\r\n"},
		`add form.order["a\"b"]=1`:          {"--b-1--", "--b-1\r\nContent-Disposition: form-data; name=\"order[a%22b]\"\r\n\r\n1\r\n--b-1--"},
		"unset form.order.id;add form.x=2":  {"", ""},
		"form.order.id=18;form.order.id=17": {"", ""},
	} {
		parsed, err := parseEdits(edits)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Replace(upload, change[0], change[1], 1)
		if edits == "unset form.order.id;add form.x=2" {
			want = strings.Replace(upload, "--b-1 \r\nContent-Disposition: form-data; name=\"order[id]\"\r\n\r\n17\r\n", "", 1)
			want = strings.Replace(want, "--b-1--", "--b-1\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n2\r\n--b-1--", 1)
		}
		r, err := loaded(t, uploaded(upload)).With(parsed...)
		if err != nil {
			t.Errorf("%s: %v", edits, err)
			continue
		}
		if diff := cmp.Diff(uploaded(want), bytesOf(t, r)); diff != "" {
			t.Errorf("%s: %s", edits, diff)
		}
	}
}

func TestAPartWithoutContentOrLineBreakGetsBoth(t *testing.T) {
	const head, rest = "--b-1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n", "--b-1\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n2\r\n--b-1--"
	for edit, want := range map[string]string{"form.a=1": head + "1\r\n" + rest, "form.a=": head + rest, "unset form.a": rest} {
		edits, err := parseEdits(edit)
		if err != nil {
			t.Fatal(err)
		}
		r, err := loaded(t, uploaded(head+rest)).With(edits...)
		if err != nil {
			t.Errorf("%s: %v", edit, err)
			continue
		}
		if diff := cmp.Diff(uploaded(want), bytesOf(t, r)); diff != "" {
			t.Errorf("%s: %s", edit, diff)
		}
	}
}

func TestWhatCannotBeChangedOfAFormInPartsSaysWhy(t *testing.T) {
	for _, c := range []struct{ body, edit, want string }{
		{upload, "form.none=1", "set form.none: the request has none"},
		{upload, "unset form.none", "unset form.none: the request has none"},
		{upload, "form.list=1", `it is the file "a.csv"`},
		{upload, "form.coded=1", "the part is in base64"},
		{upload, "add form.x=--b-1", "the boundary"},
		{"no parts", "add form.x=1", "not in the parts"},
		{upload[:len(upload)-20], "form.order.id=1", "not in the parts"},
		{"--b-1\r\nContent-Disposition: form-data; name=a", "form.a=1", "not in the parts"},
		{"", "form.a=1", "not in the parts"},
	} {
		edits, err := parseEdits(c.edit)
		if err != nil {
			t.Fatal(err)
		}
		_, err = loaded(t, uploaded(c.body)).With(edits...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(c.want, "has none") && !errors.Is(err, ErrNoPart) {
			t.Errorf("%q: %v, want %q", c.edit, err, c.want)
		}
	}
}
