package provider

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// contentful signs the method, the path, the fields that X-Contentful-Signed-Headers names, and the body. The tolerance
// is that of its own library.
var contentful = Provider{
	Name:  "contentful",
	Title: "Contentful",
	Doc:   "https://www.contentful.com/developers/docs/webhooks/request-verification/",
	Scheme: &signed{
		At:      "X-Contentful-Signature",
		Compose: contentfulMessage,
		Stamp:   stamp{At: contentfulStamp, Format: unixMillis, Tolerance: 30 * time.Second},
	},
	Methods: []string{"POST"},
	Event:   "header.x-contentful-topic",
	Headers: []string{"x-contentful-topic"},
}

const (
	contentfulStamp  place = "X-Contentful-Timestamp"
	contentfulFields place = "X-Contentful-Signed-Headers"
)

// contentfulMessage has its parts on lines of their own. The time and the list of signed fields must themselves be on
// the list, or anybody could change them.
func contentfulMessage(r *Request, _ *Setting) ([]byte, error) {
	list, ok := contentfulFields.get(r)
	if !ok {
		return nil, missing(contentfulFields)
	}
	names := strings.Split(strings.ToLower(list), ",")
	for _, needed := range []place{contentfulStamp, contentfulFields} {
		if !slices.Contains(names, strings.ToLower(string(needed))) {
			return nil, misshapen("%s does not name %s", contentfulFields, needed)
		}
	}
	slices.Sort(names)
	var fields []string
	for _, name := range slices.Compact(names) {
		if value, ok := r.Head.Fields.Get(name); ok {
			fields = append(fields, name+":"+value)
		}
	}
	lines := []string{r.Head.Method, contentfulPath(targetOf(r)), strings.Join(fields, ";"), string(r.Body)}
	return []byte(strings.Join(lines, "\n")), nil
}

// targetOf is the target as the sender has it.
func targetOf(r *Request) string {
	_, rest, ok := strings.Cut(r.URL, "://")
	if i := strings.IndexByte(rest, '/'); ok && i >= 0 {
		return rest[i:]
	}
	return r.Head.Target
}

// contentfulPath writes a target as its library does: the query escaped as one component, then all of it as a URI.
func contentfulPath(target string) string {
	path, query, _ := strings.Cut(target, "?")
	if query, _, _ = strings.Cut(query, "?"); query != "" {
		path += "?" + escapeExcept(query, "-_.!~*'()")
	}
	return escapeExcept(path, ";,/?:@&=+$-_.!~*'()#")
}

// escapeExcept escapes everything except letters, digits and the bytes in safe, as encodeURI of JavaScript does.
func escapeExcept(text, safe string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; strings.IndexByte(safe, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ReplaceAll(url.QueryEscape(text[i:i+1]), "+", "%20"))
		}
	}
	return b.String()
}
