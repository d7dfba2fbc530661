package mask

import (
	"cmp"
	"regexp"
	"strings"
)

func looksLikeXML(text string) bool {
	text = strings.TrimLeft(strings.TrimPrefix(text, "\uFEFF"), " \t\r\n")
	return len(text) > 1 && text[0] == '<' && strings.IndexByte(text, '>') > 0
}

// tagPattern is a tag of XML or HTML, its name apart.
var tagPattern = regexp.MustCompile(`<([\pL_][\w\pL\pN.:-]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>`)

// attributePattern is an attribute of a tag.
var attributePattern = regexp.MustCompile(`([\pL_][\w\pL\pN.:-]*)(\s*=\s*)("[^"]*"|'[^']*')`)

// xml hides the content of elements with secret names, including the elements in them, and the attributes with secret
// names. An attribute may also name the element: <param name="token">, <input name="token" value="...">; since HTML does
// not close all of these, elements in them are not looked at. It follows no grammar beyond tags.
func (n masking) xml(text string) string {
	var b strings.Builder
	at, name := 0, ""
	group, end := "", "" // the secret name of an enclosing element, all of which is secret, and what ends it
	for _, tag := range tagPattern.FindAllStringSubmatchIndex(text, -1) {
		before := text[at:tag[0]]
		b.WriteString(n.content(name, before))
		if group != "" && strings.Contains(before, end) {
			group = ""
		}
		b.WriteString(text[tag[0]:tag[4]])
		element, attributes := text[tag[2]:tag[3]], text[tag[4]:tag[5]]
		if name = local(element); !n.IsSecret(name) {
			name = cmp.Or(n.namedBy(attributes), group)
		}
		b.WriteString(n.attributes(name, attributes))
		b.WriteByte('>')
		switch at = tag[1]; {
		case strings.HasSuffix(attributes, "/"):
			name = group
		case group == "" && n.isGroup(local(element)):
			group, end = name, "</"+element
		}
	}
	return b.String() + n.content(name, text[at:])
}

// local is a name without its namespace prefix.
func local(name string) string { return name[strings.IndexByte(name, ':')+1:] }

// namedBy is the secret name that attributes give their element; "" if they give none.
func (n masking) namedBy(attributes string) string {
	for _, a := range attributePattern.FindAllStringSubmatch(attributes, -1) {
		switch value := a[3][1 : len(a[3])-1]; strings.ToLower(a[1]) {
		case "name", "key", "id":
			if _, found := n.secretKey(value); found {
				return value
			}
		}
	}
	return ""
}

// attributes hides the attributes of a tag; name is the element's name if that is secret.
func (n masking) attributes(name, text string) string {
	var b strings.Builder
	at := 0
	for _, a := range attributePattern.FindAllStringSubmatchIndex(text, -1) {
		key, value := local(text[a[2]:a[3]]), text[a[6]+1:a[7]-1]
		b.WriteString(text[at : a[6]+1])
		switch {
		case n.IsSecret(key):
			value = n.hide(key, value, inXML)
		case name != "" && strings.EqualFold(key, "value"):
			value = n.hide(name, value, inXML)
		default:
			value = n.plain(value)
		}
		b.WriteString(value)
		at = a[7] - 1
	}
	return b.String() + text[at:]
}

const (
	cdata    = "<![CDATA["
	cdataEnd = "]]>"
)

// content hides what follows a tag, up to the next element. With a name it is all secret, up to where the element ends.
func (n masking) content(name, text string) string {
	if name == "" || !n.IsSecret(name) && !n.hasSecretKey(name) {
		return n.plain(text)
	}
	bare := strings.TrimLeft(text, " \t\r\n")
	begin := len(text) - len(bare)
	end, how := strings.IndexByte(bare, '<'), inXML
	if inside, ok := strings.CutPrefix(bare, cdata); ok {
		begin += len(cdata)
		end = strings.Index(inside, cdataEnd)
		bare, how = inside, asIs
	}
	if end < 0 {
		end = len(bare)
	}
	value := strings.TrimRight(bare[:end], " \t\r\n")
	return text[:begin] + n.hide(name, value, how) + n.plain(bare[len(value):])
}

func (n Names) hasSecretKey(name string) bool {
	_, found := n.secretKey(name)
	return found
}
