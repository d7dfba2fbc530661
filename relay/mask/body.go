package mask

import (
	stdjson "encoding/json"
	"mime"
	"regexp"
	"strings"
)

func (n masking) body(contentType string, body []byte) []byte {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind, _, _ = strings.Cut(strings.ToLower(contentType), ";")
		kind = strings.TrimSpace(kind)
	}
	text := string(body)
	var masked string
	switch {
	case strings.HasPrefix(kind, "multipart/"):
		masked = n.parts(text, params["boundary"])
	case kind == "application/x-www-form-urlencoded" && !stdjson.Valid(body):
		masked = n.json(n.form(text, false))
	case looksLikeForm(text):
		masked = n.form(text, false)
	case looksLikeXML(text):
		masked = n.json(n.xml(text)) // pages have JSON in scripts
	case looksLikeJSON(text):
		masked = n.json(text)
	default:
		if masked = n.json(text); masked == text {
			masked = n.plain(text)
		}
	}
	if masked == text {
		return body
	}
	return []byte(masked)
}

func looksLikeJSON(text string) bool {
	text = strings.TrimLeft(strings.TrimPrefix(text, "\uFEFF"), " \t\r\n")
	return text != "" && (text[0] == '{' || text[0] == '[' || text[0] == '"')
}

var formPattern = regexp.MustCompile(`^[A-Za-z0-9_.\-~%+\[\]]+=[^\s"{}<>]*$`)

// looksLikeForm recognises an urlencoded form whose content type says something else.
func looksLikeForm(text string) bool { return formPattern.MatchString(strings.TrimSpace(text)) }

// partName finds the name in a part's Content-Disposition, and does not confuse it with filename.
var partName = regexp.MustCompile(`(?i)[;\s]name\s*=\s*(?:"([^"\n]*)|([^;\s"]+))`)

// parts hides the content of parts of a multipart body whose names are secret, and what is secret in the
// others.
func (n masking) parts(text, boundary string) string {
	if boundary == "" || !strings.Contains(text, "--"+boundary) {
		boundary = guessBoundary(text)
	}
	if boundary == "" {
		return n.json(text)
	}
	pieces := strings.Split(text, "--"+boundary)
	for i, piece := range pieces[1:] {
		pieces[i+1] = n.part(piece)
	}
	return strings.Join(pieces, "--"+boundary)
}

// guessBoundary takes the boundary from the first line.
func guessBoundary(text string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(text, "\r\n"), "\n")
	boundary, _ := strings.CutPrefix(strings.TrimSpace(line), "--")
	return boundary
}

func (n masking) part(piece string) string {
	end := strings.Index(piece, "\r\n\r\n")
	skip := len("\r\n\r\n")
	if lf := strings.Index(piece, "\n\n"); end < 0 || lf >= 0 && lf < end {
		end, skip = lf, len("\n\n")
	}
	if end < 0 {
		return piece
	}
	head, content := piece[:end+skip], piece[end+skip:]
	value := strings.TrimRight(content, "\r\n")
	masked, _ := n.embedded(value)
	for _, m := range partName.FindAllStringSubmatch(head, -1) {
		if key, found := n.secretKey(m[1] + m[2]); found {
			masked = n.hide(key, value, asIs)
		}
	}
	return head + masked + content[len(value):]
}
