package tape

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/relay/wire"
)

// curlTextMax is how much of a body stands in the command as text. More is base64, in lines.
const curlTextMax = 32 << 10

// Curl is a shell command that sends exactly the bytes of a request to a place: scheme and host, or "" for those that the
// sender used. With bytes that curl would not send as they are, the command is one of bash, and instead says why.
func Curl(r *Recording, to string) (command, instead string, err error) {
	raw, err := r.Request.inMemory()
	if err != nil {
		return "", "", err
	}
	place, err := placeOf(r, to)
	if err != nil {
		return "", "", err
	}
	head, err := wire.ParseRequestHead(raw)
	if err != nil {
		return socketCommand(place, raw), "it is no request that curl could make", nil
	}
	if instead = notForCurl(head, raw[len(head.Raw):]); instead != "" {
		return socketCommand(place, raw), instead, nil
	}
	return curlCommand(place, head, raw[len(head.Raw):]), "", nil
}

// placeOf is where to send a request to.
func placeOf(r *Recording, to string) (*url.URL, error) {
	if to == "" {
		if to = "http://" + r.Host; r.TLS {
			to = "https://" + r.Host
		}
	}
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no URL of http or https with a host", mask.Names(nil).Target(to))
	}
	return u, nil
}

// notForCurl says why curl would not send these bytes; "": it does. It writes Host first, its fields as they are given, and
// the framing of chunks that it likes.
func notForCurl(h *wire.RequestHead, body []byte) string {
	lines := strings.SplitAfter(h.Raw, "\n")
	switch {
	case lines[0] != h.Method+" "+h.Target+" "+h.Proto+"\r\n" || strings.Count(h.Raw, "\r\n") != strings.Count(h.Raw, "\n"):
		return "its lines don't end as curl ends them"
	case h.Framing.Chunked:
		return "curl makes other chunks"
	case int64(len(body)) != h.Framing.Length:
		return "its body is not as long as its head says"
	case h.Method == "HEAD" && len(body) > 0:
		return "curl sends no body with HEAD"
	case strings.ContainsRune(h.Raw, 0):
		return "it has a NUL in its head"
	}
	for i, f := range h.Fields {
		line := strings.TrimSuffix(lines[i+1], "\r\n")
		isHost := strings.EqualFold(f.Name, "Host")
		switch {
		case isHost != (i == 0) && (isHost || h.Proto == "HTTP/1.1") || isHost && f.Name != "Host":
			return "curl sends Host as the first field"
		case strings.Contains(line, ";") && !strings.Contains(line, ":"), f.Value == "" && line != f.Name+":":
			return "curl leaves out spaces behind an empty field"
		case strings.EqualFold(f.Name, "Proxy-Connection"), isHost && f.Value == "":
			return "curl does not send field " + f.Name + " as it is"
		}
	}
	return ""
}

// curlCommand is the command with curl.
func curlCommand(place *url.URL, h *wire.RequestHead, body []byte) string {
	words := []string{"curl", "--globoff", "--path-as-is"}
	switch h.Proto {
	case "HTTP/1.0":
		words = append(words, "--http1.0")
	default:
		words = append(words, "--http1.1")
	}
	if h.Method == "HEAD" {
		words = append(words, "--head")
	} else {
		words = append(words, "--request", quoted(h.Method))
	}
	words = append(words, "--request-target", quoted(h.Target))
	lines := []string{strings.Join(words, " ")}
	lines = append(lines, curlFields(h, len(body) > 0)...)
	before := ""
	if len(body) > 0 {
		if text := string(body); len(body) <= curlTextMax && utf8.ValidString(text) && !strings.ContainsRune(text, 0) {
			lines = append(lines, "--data-raw "+quoted(text))
		} else {
			lines = append(lines, "--data-binary @-")
			before = heredoc(body)
		}
	}
	lines = append(lines, quoted(place.Scheme+"://"+place.Host+"/"))
	command := strings.Join(lines, " \\\n  ")
	if before != "" {
		return "base64 -d <<'END' | " + command + "\n" + before
	}
	return command + "\n"
}

// curlFields are the fields, and those of its own that curl is to leave out.
func curlFields(h *wire.RequestHead, hasBody bool) (lines []string) {
	raw := strings.Split(h.Raw, "\r\n")
	given := map[string]bool{}
	for i, f := range h.Fields {
		given[strings.ToLower(f.Name)] = true
		line := raw[i+1]
		if f.Value == "" {
			line = f.Name + ";" // a field without a value
		}
		lines = append(lines, "--header "+quoted(line))
	}
	own := []string{"Host", "User-Agent", "Accept"}
	if hasBody {
		own = append(own, "Content-Type", "Expect")
	}
	for _, name := range own {
		if !given[strings.ToLower(name)] {
			lines = append(lines, "--header "+quoted(name+":"))
		}
	}
	return lines
}

// socketCommand sends bytes over a connection, and prints what comes back: until the other end hangs up, or three seconds,
// for many leave it open (timeout ends with 124 then).
func socketCommand(place *url.URL, raw []byte) string {
	port := place.Port()
	switch {
	case port == "" && place.Scheme == "https":
		port = "443"
	case port == "":
		port = "80"
	}
	if place.Scheme == "https" {
		to := quoted(net.JoinHostPort(place.Hostname(), port))
		return "(base64 -d; sleep 5) <<'END' | openssl s_client -quiet -servername " + quoted(place.Hostname()) + " -connect " + to + " 2>/dev/null\n" + heredoc(raw)
	}
	// The sender chose the host, and those of RFC 3986 may hold what a shell runs: it is a word of its own.
	const script = `exec 3<>"/dev/tcp/$0/$1" && base64 -d >&3 && { timeout 3 cat <&3 || [ $? = 124 ]; }`
	return "bash -c " + quoted(script) + " " + quoted(place.Hostname()) + " " + quoted(port) + " <<'END'\n" + heredoc(raw)
}

// heredoc is bytes in base64 up to the line END.
func heredoc(raw []byte) string {
	const width = 76
	var b strings.Builder
	for text := base64.StdEncoding.EncodeToString(raw); text != ""; {
		n := min(width, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	return b.String() + "END\n"
}

// quoted is a word of a shell. What could do harm on a terminal, or is no text, is escaped as bash and zsh read it.
func quoted(s string) string {
	strange := func(r rune) bool {
		return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && r != '\n'
	}
	if !strings.ContainsFunc(s, strange) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case strange(r):
			for i := range n {
				fmt.Fprintf(&b, `\x%02x`, s[i])
			}
		case r == '\'' || r == '\\':
			b.WriteString(`\` + s[:n])
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String() + "'"
}
