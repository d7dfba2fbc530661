package tape

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"html"
	"io"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// hidingPlace is where a secret may stand: put puts it there, as it is spelled there.
type hidingPlace struct {
	name string
	put  func(r *draft, secret string)
}

// draft is a recording in the making.
type draft struct {
	target, head, kind, coding, body string
	answer, answerHead               string
	error                            string
	chunked                          bool
}

func bodyOf(kind, format string, spell ...func(string) string) func(*draft, string) {
	return func(r *draft, secret string) {
		for _, s := range spell {
			secret = s(secret)
		}
		r.kind, r.body = kind, strings.ReplaceAll(format, "SECRET", secret)
	}
}

func field(format string, spell ...func(string) string) func(*draft, string) {
	return func(r *draft, secret string) {
		for _, s := range spell {
			secret = s(secret)
		}
		r.head += strings.ReplaceAll(format, "SECRET", secret) + "\r\n"
	}
}

func target(format string) func(*draft, string) {
	return func(r *draft, secret string) {
		r.target = strings.ReplaceAll(format, "SECRET", url.QueryEscape(secret))
	}
}

func in64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func asToken(s string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"`+inQuotes(s)+`"}`)) + ".c2lnbmF0dXJl"
}

const (
	jsonKind = "application/json"
	formKind = "application/x-www-form-urlencoded"
)

// hidingPlaces are where senders and apps put their secrets.
var hidingPlaces = []hidingPlace{
	{"bearer", field("Authorization: Bearer SECRET")},
	{"bare credentials", field("authorization:SECRET")},
	{"basic", field("Authorization: Basic SECRET", func(s string) string { return in64("jo:" + s) })},
	{"proxy", field("Proxy-Authorization: Basic SECRET", func(s string) string { return in64("jo:" + s) })},
	{"api key", field("X-Api-Key: SECRET")},
	{"folded name", field("x_AUTH_token: SECRET")},
	{"cookie", field("Cookie: a=b; sid=SECRET; c=d", url.QueryEscape)},
	{"referer", field("Referer: https://x.test/a?b=c&access_token=SECRET", url.QueryEscape)},
	{"user of a URL", field("Referer: https://jo:SECRET@x.test/", url.PathEscape)},
	{"token in any field", field("X-Extra: SECRET", asToken)},
	{"URL in any field", field("X-Callback: see <https://x.test/?token=SECRET>", url.QueryEscape)},
	{"query", target("/?a=b&token=SECRET&c=d")},
	{"query in brackets", target("/?auth%5Bapplication_token%5D=SECRET")},
	{"URL in a query", func(r *draft, s string) {
		r.target = "/?next=" + url.QueryEscape("https://x.test/?token="+url.QueryEscape(s))
	}},
	{"path", target("/api/token/SECRET/x")},
	{"bot in a path", target("/bot123456:SECRET/sendMessage")},
	{"session in a path", target("/a;jsessionid=SECRET/b")},
	{"json", bodyOf(jsonKind, `{"a":1,"token": "SECRET"}`, inQuotes)},
	{"json of PHP", bodyOf(jsonKind, `{"a":1,"token":"SECRET"}`, inPHPQuotes)},
	{"json in escapes", bodyOf(jsonKind, `{"\u0074oken":"SECRET"}`, inEscapes)},
	{"json below", bodyOf(jsonKind, `{"credentials":{"a":["SECRET"]}}`, inQuotes)},
	{"json in json", bodyOf(jsonKind, `{"payload":"SECRET"}`, func(s string) string { return inQuotes(`{"api_key":"` + inQuotes(s) + `"}`) })},
	{"json in base64", bodyOf(jsonKind, `{"message":{"data":"SECRET"}}`, func(s string) string { return in64(`{"api_key":"` + inQuotes(s) + `"}`) })},
	{"URL in json", bodyOf(jsonKind, `{"callback":"SECRET"}`, func(s string) string { return inQuotes("https://x.test/?a=b&token=" + url.QueryEscape(s)) })},
	{"target in json", bodyOf(jsonKind, `{"path":"/a?b=c&token=SECRET"}`, url.QueryEscape)},
	{"target in text", bodyOf("text/plain", "POST /a?key=SECRET HTTP/1.1", url.QueryEscape)},
	{"form in json", bodyOf(jsonKind, `{"raw":"a=b&token=SECRET"}`, url.QueryEscape)},
	{"token in json", bodyOf(jsonKind, `{"id":"SECRET"}`, asToken)},
	{"xml in json", bodyOf(jsonKind, `{"doc":"SECRET"}`, func(s string) string { return inQuotes("<a><token>" + s + "</token></a>") })},
	{"json that is cut", bodyOf("text/json", `{"a":[{"token":"SECRET`, inQuotes)},
	{"json as text", bodyOf("text/plain", `{"token":"SECRET"}`, inQuotes)},
	{"json lines", bodyOf("application/x-ndjson", "{\"a\":1}\n{\"token\":\"SECRET\"}\n", inQuotes)},
	{"form", bodyOf(formKind, "a=b&client_secret=SECRET&c=d", url.QueryEscape)},
	{"form in brackets", bodyOf(formKind, "auth[access_token]=SECRET", url.QueryEscape)},
	{"form in small letters", bodyOf(formKind, "token=SECRET", lowerQuery)},
	{"json in a form", bodyOf(formKind, "payload=SECRET", func(s string) string { return url.QueryEscape(`{"token":"` + inQuotes(s) + `"}`) })},
	{"form as nothing", bodyOf("", "a=b&token=SECRET", url.QueryEscape)},
	{"part", bodyOf("multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nSECRET\r\n--B--\r\n")},
	{"json in a part", bodyOf("multipart/mixed; boundary=B", "--B\r\nContent-Type: application/json\r\n\r\n{\"token\":\"SECRET\"}\r\n--B--\r\n", inQuotes)},
	{"xml", bodyOf("application/xml", `<?xml version="1.0"?><a><ns:authToken x="y"> SECRET </ns:authToken></a>`)},
	{"entities of xml, a form of it", bodyOf("text/xml", `<a><token>SECRET</token></a>`, html.EscapeString)},
	{"xml text", bodyOf("text/xml", `<a><password><![CDATA[SECRET]]></password></a>`)},
	{"xml attribute", bodyOf("text/xml", `<a token='SECRET'/>`)},
	{"xml parameter", bodyOf("text/xml", `<param name="api_key">SECRET</param>`)},
	{"html field", bodyOf("text/html", `<input type="hidden" name="csrf_token" value="SECRET">`)},
	{"URL in xml", bodyOf("text/xml", `<a href="https://x.test/?a=b&amp;token=SECRET"/>`, url.QueryEscape)},
	{"URL in text", bodyOf("text/plain", "go to https://x.test/?token=SECRET now", url.QueryEscape)},
	{"gzip", func(r *draft, s string) {
		r.coding, r.kind, r.body = "gzip", jsonKind, `{"token":"`+inQuotes(s)+`"}`
	}},
	{"deflate", func(r *draft, s string) {
		r.coding, r.kind, r.body = "deflate", jsonKind, `{"token":"`+inQuotes(s)+`"}`
	}},
	{"chunks", func(r *draft, s string) { r.chunked, r.kind, r.body = true, jsonKind, `{"token":"`+inQuotes(s)+`"}` }},
	{"answer's cookie", func(r *draft, s string) { r.answerHead += "Set-Cookie: sid=" + url.QueryEscape(s) + "; Path=/\r\n" }},
	{"answer's place", func(r *draft, s string) {
		r.answerHead += "Location: /cb#access_token=" + url.QueryEscape(s) + "\r\n"
	}},
	{"answer's link", func(r *draft, s string) {
		r.answerHead += "Link: <https://x.test/?token=" + url.QueryEscape(s) + ">; rel=next\r\n"
	}},
	{"answer", func(r *draft, s string) { r.answer += `{"refresh_token":"` + inQuotes(s) + `"}` }},
	{"error", func(r *draft, s string) {
		r.head += "X-Token: " + s + "\r\n"
		r.error = "Post \"http://app/?token=" + url.QueryEscape(s) + "\": " + s + " is wrong"
	}},
}

// recording is what came and went, with the secret told again in every spelling.
func (w *draft) recording(t *testing.T, id int, secret string) *Recording {
	t.Helper()
	body := w.body
	if w.coding != "" {
		coded, err := recoded(w.coding, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		body, w.head = string(coded), w.head+"Content-Encoding: "+w.coding+"\r\n"
	}
	if w.kind != "" {
		w.head += "Content-Type: " + w.kind + "\r\n"
	}
	if w.chunked {
		w.head += "Transfer-Encoding: chunked\r\n"
	}
	if w.target == "" {
		w.target = "/"
	}
	r := request("POST "+w.target+" HTTP/1.1\r\nHost: a\r\n"+w.head, body)
	r.ID, r.Source, r.Target, r.URL = fmt.Sprintf("01KA0000000000000000000%03d", id), "", w.target, "http://a"+w.target
	r.Reason, r.Trace, r.Event, r.Remote = "because of "+secret, secret, "order."+secret, "203.0.113.7:1234"
	echo := strings.Join(spellingsOf(secret), "\n") + "\n" + in64("x"+secret+"y") + "\n" + in64("xy"+secret+"z")
	answer := "HTTP/1.1 200 OK\r\n" + w.answerHead + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(w.answer))
	reply := fmt.Sprintf("HTTP/1.1 500 No\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", len(echo))
	r.Answer = &Answer{Status: 200, Time: r.Time, Error: w.error, HeadSize: len(answer), Response: Bytes([]byte(answer + w.answer))}
	r.Attempts = []Attempt{{Number: 1, URL: "http://app" + w.target, Time: Time{time.Unix(1700000001, 0)}, Head: r.Request.inline[:r.HeadSize], Status: 500, Error: w.error, HeadSize: len(reply), Response: Bytes([]byte(reply + echo))}}
	wide := "HTTP/1.1 500 No\r\n\r\n\xff\xfe" + strings.Join(wideSpellingsOf(secret), "\x01")
	r.Attempts = append(r.Attempts, Attempt{Number: 2, URL: "http://app/", Status: 500, HeadSize: strings.Index(wide, "\xff"), Response: Bytes([]byte(wide))})
	r.Deliveries = []Delivery{{Target: "app", State: "failed", Key: secret, Error: w.error}}
	return r
}

// spellingsOf are those in which a secret could be read.
func spellingsOf(s string) []string {
	return []string{
		s, url.QueryEscape(s), url.PathEscape(s), lowerQuery(s), inQuotes(s), inPlainQuotes(s), inPHPQuotes(s), inEscapes(s),
		in64(s), base64.RawURLEncoding.EncodeToString([]byte(s)), inHex(s), inUpperHex(s),
		html.EscapeString(s),
	}
}

// wideSpellingsOf are those that are no text to who looks at bytes.
func wideSpellingsOf(s string) []string {
	return []string{inUTF16(binary.LittleEndian)(s), inUTF16(binary.BigEndian)(s)}
}

// foundIn says in which spelling a secret is in a text; "": in none. In base64, where what stands around it changes the
// ends, its middle must not be there.
func foundIn(text, secret string) string {
	all := append(spellingsOf(secret), wideSpellingsOf(secret)...)
	for shift := range 3 {
		all = append(all, inBase64(base64.RawStdEncoding, secret, shift), inBase64(base64.RawURLEncoding, secret, shift))
	}
	for _, s := range all {
		if strings.Contains(text, s) {
			return s
		}
	}
	return ""
}

var base64Text = regexp.MustCompile(`[A-Za-z0-9+/]{16,}={0,2}`)

// unfolded is a file and what can be read in it: base64 and gzip undone, in lines put together.
func unfolded(t *testing.T, file []byte) string {
	t.Helper()
	if bytes.HasPrefix(file, gzipMagic) {
		z, err := gzip.NewReader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		if file, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	b.Write(file)
	for _, text := range []string{string(file), strings.ReplaceAll(string(file), "\n", "")} {
		for _, coded := range base64Text.FindAllString(text, -1) {
			if plain, err := base64.StdEncoding.DecodeString(coded); err == nil {
				b.Write(plain)
			}
		}
	}
	for rest := file; ; {
		i := bytes.Index(rest, gzipMagic)
		if i < 0 {
			return b.String()
		}
		rest = rest[i:]
		if z, err := gzip.NewReader(bytes.NewReader(rest)); err == nil {
			_, _ = io.Copy(&b, z) // what is behind it is no gzip
		}
		rest = rest[1:]
	}
}

// TestAMaskedFileTellsNoSecret: wherever it stood, in whatever form the file is, and however it could be spelled.
func TestAMaskedFileTellsNoSecret(t *testing.T) {
	var files [4]bytes.Buffer // WARC, in gzip, HAR, commands
	warc, zipped, har := NewWriter(&files[0], Info{}), NewGzipWriter(&files[1], Info{}), NewHARWriter(&files[2], Info{})
	secrets := map[string]string{}
	m := newTestMasker(t)
	for i, p := range hidingPlaces {
		secret := fmt.Sprintf(`K7x%02dq/W+v"Zr&9üLmT%02d`, i, i)
		if !strings.Contains(p.name, "json") && !strings.Contains(p.name, "query") && !strings.Contains(p.name, "form") {
			secret = fmt.Sprintf(`K7x%02dqWvZr9LmT%02dBn3`, i, i)
		}
		w := &draft{}
		p.put(w, secret)
		r := w.recording(t, i, secret)
		secrets[p.name] = secret
		masked, err := m.Mask(r)
		if err != nil {
			t.Fatal(err)
		}
		checkWhole(t, masked)
		command, _, err := Curl(masked, "")
		if err != nil {
			t.Fatal(err)
		}
		files[3].WriteString(command)
		for _, w := range []interface{ Write(*Recording) error }{warc, zipped, har} {
			if err := w.Write(masked); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, w := range []io.Closer{warc, zipped, har} {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, form := range []string{"WARC", "gzip", "HAR", "curl"} {
		text := unfolded(t, files[i].Bytes())
		for name, secret := range secrets {
			if s := foundIn(text, secret); s != "" {
				at := strings.Index(text, s)
				t.Errorf("%s: the secret of %q is there: %.200q", form, name, text[max(0, at-60):])
			}
		}
	}
}

// TestASealedBodyIsReplacedWhole: nobody can look into it.
func TestASealedBodyIsReplacedWhole(t *testing.T) {
	sealed := "\x1b\x0f\x00\xf8" + theSecret
	r := request("POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: br\r\n", sealed)
	r.Source = ""
	m := newTestMasker(t)
	masked, err := m.Mask(r)
	if err != nil {
		t.Fatal(err)
	}
	body := string(masked.Request.inline[masked.HeadSize:])
	if len(body) != len(sealed) || foundIn(body, theSecret) != "" || body[:4] == sealed[:4] || m.Unread != 1 {
		t.Errorf("%q, %d unread", body, m.Unread)
	}
}

// TestEverywhereForgetsTheOldest, and finds the longest.
func TestEverywhereForgetsTheOldest(t *testing.T) {
	const most = 100
	e := newEverywhere()
	e.most = most
	for i := range most + 2 {
		e.add(fmt.Sprintf("secret-%d-", i), fmt.Sprintf("faked--%d-", i))
	}
	e.add("secret-9-and-more", "longer-9-and-more")
	for text, want := range map[string]string{
		"secret-0-":                "secret-0-",
		"secret-5-":                "faked--5-",
		"a secret-9-secret-10-b":   "a faked--9-faked--10-b",
		"secret-9-and-more":        "longer-9-and-more",
		"secret-9-and":             "faked--9-and",
		"short":                    "short",
		inHex("secret-77-") + "00": inHex("faked--77-") + "00",
	} {
		if got := e.replace(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for i := range most + 2 {
		e.forget(fmt.Sprintf("secret-%d-", i))
	}
	e.forget("secret-9-and-more")
	if len(e.spelled) > 0 {
		t.Errorf("%d spellings are left", len(e.spelled))
	}
}
