package tape

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// asked is a recording of a request with a key, and what an app answered.
func asked(response string) *Recording {
	request := "GET /me HTTP/1.1\r\nHost: shop.example\r\nX-Api-Key: n0SecretAnyMore12\r\n\r\n"
	return &Recording{
		ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Known: true, Time: Time{time.Unix(1e9, 0)}, Method: "GET", Target: "/me", Host: "shop.example",
		Verdict: "accepted", HeadSize: len(request), Request: Bytes([]byte(request)),
		Attempts: []Attempt{{Number: 1, Target: "app", Status: 200, HeadSize: strings.Index(response, "{"), Response: Bytes([]byte(response))}},
	}
}

func respond(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func writeFile(t *testing.T, path string, info Info, recordings ...*Recording) {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, info)
	for _, r := range recordings {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAcceptedResponsesAreMaskedWhereTheFileIs(t *testing.T) {
	came := respond(`{"sessionToken":"S3cretOfTheBody22","email":"jo@example.com","phone":"+49 151 000","key":"n0SecretAnyMore12"}`)
	for name, c := range map[string]struct {
		info         Info
		masked       int
		gone, stayed []string
	}{
		"masked": {
			Info{Masked: true, Hidden: &Hidden{Names: []string{"phone"}, Paths: []string{"json.email"}}}, 1,
			[]string{"S3cretOfTheBody22", "jo@example.com", "+49 151 000"}, []string{`"key":"n0SecretAnyMore12"`, `"hidden":{`},
		},
		"masked by an older one": {Info{Masked: true}, 1, []string{"S3cretOfTheBody22"}, []string{"jo@example.com", `"key":"n0SecretAnyMore12"`}},
		"verbatim":               {Info{}, 0, nil, []string{came}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "me.warc")
			writeFile(t, path, c.info, asked(respond(`{"email":"x"}`)))
			did, err := Accept(path, nil, func(int, *Recording) ([]NewResponse, error) {
				return []NewResponse{{0, &Attempt{Target: "app", Status: 200, HeadSize: strings.Index(came, "{"), Response: Bytes([]byte(came))}}}, nil
			})
			if err != nil || did.Responses != 1 || did.Masked != c.masked {
				t.Fatalf("%+v %v", did, err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, gone := range c.gone {
				if bytes.Contains(text, []byte(gone)) {
					t.Errorf("%s is in\n%s", gone, text)
				}
			}
			for _, stayed := range append(c.stayed, "X-Api-Key: n0SecretAnyMore12\r\n", fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n{", len(came)-strings.Index(came, "{"))) {
				if !bytes.Contains(text, []byte(stayed)) {
					t.Errorf("%s is not in\n%s", stayed, text)
				}
			}
		})
	}
}

func TestEachTargetsResponseIsAcceptedInItsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "me.warc")
	writeFile(t, path, Info{}, asked(respond(`{"n":1}`)))
	attempt := func(target, body string) *Attempt {
		return &Attempt{Target: target, Status: 200, HeadSize: strings.Index(respond(body), "{"), Response: Bytes([]byte(respond(body)))}
	}
	did, err := Accept(path, nil, func(int, *Recording) ([]NewResponse, error) {
		return []NewResponse{{-1, attempt("erp", `{"n":3}`)}, {0, attempt("app", `{"n":2}`)}}, nil
	})
	if err != nil || did.Responses != 2 {
		t.Fatal(did, err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, all, damage, _ := read(t, file)
	if len(all) != 1 || len(damage) > 0 || len(all[0].Attempts) != 2 {
		t.Fatal(all, damage)
	}
	for i, want := range []string{respond(`{"n":2}`), respond(`{"n":3}`)} {
		if a := all[0].Attempts[i]; string(a.Response.inline) != want || a.Number != i+1 || a.Accepted != (i == 1) {
			t.Errorf("%+v %s", a, a.Response.inline)
		}
	}
}

// TestAnAcceptedResponseHasANumberOfItsOwn where attempts before it are lost: by their numbers a file tells whose they are.
func TestAnAcceptedResponseHasANumberOfItsOwn(t *testing.T) {
	r := &Recording{Known: true, Attempts: []Attempt{{Number: 2}, {Number: 3}}}
	r.accept(NewResponse{-1, &Attempt{Target: "erp", Status: 200}})
	if last := r.Attempts[2]; last.Number != 4 {
		t.Errorf("%+v", r.Attempts)
	}
}

func TestAFileIsWrittenAnewWhereItsLinkLeads(t *testing.T) {
	folder := t.TempDir()
	path, link := filepath.Join(folder, "me.warc"), filepath.Join(folder, "link.warc")
	writeFile(t, path, Info{}, asked(respond(`{}`)))
	if err := os.Symlink("me.warc", link); err != nil {
		t.Skip(err) // not everybody may make links on Windows
	}
	if err := Rewrite(link, func(_ int, r *Recording) error { r.Event = "written anew"; return nil }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("it is no link any more: %v %v", info, err)
	}
	if text, err := os.ReadFile(path); err != nil || !bytes.Contains(text, []byte("written anew")) {
		t.Errorf("%s %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o444 != 0o444 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestABaselineIsTheResponseToWhatWasRecorded(t *testing.T) {
	for name, c := range map[string]struct {
		Attempt
		want bool
	}{
		"a delivery":                 {Attempt{Status: 200}, true},
		"one without a response":     {Attempt{}, false},
		"one of something else":      {Attempt{Status: 200, Edited: true}, false},
		"a replay":                   {Attempt{Status: 200, Replay: true}, false},
		"an accepted replay":         {Attempt{Status: 200, Replay: true, Accepted: true}, true},
		"an accepted one, of others": {Attempt{Status: 200, Replay: true, Edited: true, Accepted: true}, true},
	} {
		if c.IsBaseline() != c.want {
			t.Error(name)
		}
	}
}
