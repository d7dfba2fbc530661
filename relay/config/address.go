package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/wire"
)

// minTimeout keeps a timeout or wait from being no time at all.
const minTimeout = time.Millisecond

var (
	namePattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	tokenPattern = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$") // RFC 9110 section 5.6.2
	hostPattern  = regexp.MustCompile(`^[A-Za-z0-9._-]+$|^\[[0-9A-Fa-f:.]+\]$`)
)

// managed are the header fields that hooktape sets itself.
var managed = []string{"connection", "content-length", "date", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}

// address reads what a listener is bound to.
func (d *decoder) address(a *hclsyntax.Attribute, into *string) {
	text, ok := d.text(a)
	if !ok {
		return
	}
	_, port, err := net.SplitHostPort(text)
	if _, errPort := strconv.ParseUint(port, 10, 16); err != nil || errPort != nil {
		d.fail(a.Expr.Range(), `%q must be an address and a port, like "127.0.0.1:7070" or ":7070"`, a.Name)
		return
	}
	*into = text
}

// networks reads a list of networks and single addresses.
func (d *decoder) networks(a *hclsyntax.Attribute, into *[]netip.Prefix) {
	d.texts(a, func(text string, at hcl.Range) {
		n, err := netip.ParsePrefix(text)
		if one, errOne := netip.ParseAddr(text); errOne == nil && one.Zone() == "" {
			one = one.Unmap()
			n, err = netip.PrefixFrom(one, one.BitLen()), nil
		}
		switch {
		case err != nil:
			d.fail(at, `write an address or a network, like "127.0.0.1" or "10.0.0.0/8"`)
		case n.Addr().Is4In6():
			d.fail(at, "write IPv4 networks as such, like 10.0.0.0/8")
		case n != n.Masked():
			d.fail(at, `the network is "%s"`, n.Masked())
		default:
			*into = append(*into, n)
		}
	})
}

// parseURL reads an http or https URL with a host.
func (d *decoder) parseURL(a *hclsyntax.Attribute) (u *url.URL, ok bool) {
	text, ok := d.text(a)
	if !ok {
		return nil, false
	}
	u, err := webURL(text)
	if err != nil {
		d.fail(a.Expr.Range(), "%q %s", a.Name, err)
	}
	return u, err == nil
}

// webURL reads an http or https URL. Its errors follow the name of whatever has the text.
func webURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil && !strings.Contains(text, "://"), err == nil && u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must begin with http:// or https://")
	case err != nil:
		return nil, errors.New("is no URL")
	case u.Hostname() == "":
		return nil, errors.New("needs a host")
	case !validPort(u.Port()):
		return nil, errors.New("must have a port from 1 to 65535")
	case u.User != nil:
		return nil, errors.New("cannot have a user name and password in it")
	case u.Fragment != "":
		return nil, errors.New(`cannot have a "#" in it`)
	}
	return u, nil
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

func (d *decoder) targetURL(a *hclsyntax.Attribute, into **url.URL) {
	u, ok := d.parseURL(a)
	if !ok {
		return
	}
	if wire.HasDotSegment(u.EscapedPath()) {
		d.fail(a.Expr.Range(), `the path of %q cannot have "." or ".." in it`, a.Name)
		return
	}
	*into = u
}

func (d *decoder) publicURL(a *hclsyntax.Attribute, into *string) {
	text, ok := d.text(a)
	if !ok {
		return
	}
	at, err := ParsePublicURL(text)
	if err != nil {
		d.fail(a.Expr.Range(), "%q %s", a.Name, err)
	}
	*into = at
}

// ParsePublicURL reads a URL that senders see, to which paths are added; the result has no slash at its end. Its errors
// follow the name of whatever has the text.
func ParsePublicURL(text string) (string, error) {
	u, err := webURL(text)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return "", errors.New(`cannot have a "?" in it`)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// sourcePath reads a prefix of request paths.
func (d *decoder) sourcePath(a *hclsyntax.Attribute, into *string) {
	text, ok := d.text(a)
	if !ok {
		return
	}
	switch {
	case !strings.HasPrefix(text, "/"):
		d.fail(a.Expr.Range(), `%q must begin with "/"`, a.Name)
	case strings.ContainsAny(text, "?#"):
		d.fail(a.Expr.Range(), `%q cannot have "?" or "#" in it: all queries match`, a.Name)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		d.fail(a.Expr.Range(), "%q is as it is sent: write spaces and letters beyond ASCII as %%XX", a.Name)
	case wire.HasDotSegment(text):
		d.fail(a.Expr.Range(), `%q cannot have "." or ".." in it`, a.Name)
	default:
		*into = text
	}
}

func (d *decoder) host(a *hclsyntax.Attribute, into *string) {
	text, ok := d.text(a)
	switch {
	case !ok:
	case !hostPattern.MatchString(text):
		d.fail(a.Expr.Range(), `%q is a name like "hooks.example.com", without scheme, port and path`, a.Name)
	default:
		*into = strings.ToLower(strings.Trim(text, "[]"))
	}
}

func (d *decoder) methods(a *hclsyntax.Attribute, into *[]string) {
	before := len(d.diags)
	d.texts(a, func(method string, at hcl.Range) {
		switch upper := strings.ToUpper(method); {
		case !tokenPattern.MatchString(method):
			d.fail(at, "this is no method")
		case method != upper:
			d.fail(at, `methods are in upper case: "%s"`, upper)
		default:
			*into = append(*into, method)
		}
	})
	if len(*into) == 0 && len(d.diags) == before {
		d.fail(a.Expr.Range(), "no method at all; leave %q out to take all", a.Name)
	}
}

// fieldName reads the name of a header field.
func (d *decoder) fieldName(a *hclsyntax.Attribute, into *string) {
	if text, ok := d.text(a); ok && d.checkFieldName(text, a.Expr.Range()) {
		*into = text
	}
}

func (d *decoder) checkFieldName(name string, at hcl.Range) bool {
	switch {
	case !tokenPattern.MatchString(name):
		d.fail(at, "this is no name of a header field")
	case slices.Contains(managed, strings.ToLower(name)):
		d.fail(at, "hooktape sets this header field itself")
	default:
		return true
	}
	return false
}

// headers reads { "Name" = value }. Values may depend on the record.
func (d *decoder) headers(a *hclsyntax.Attribute, into *[]Header) {
	object, ok := a.Expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		d.fail(a.Expr.Range(), `%q must be an object: { "Content-Type" = "application/json" }`, a.Name)
		return
	}
	for _, item := range object.Items {
		at := item.KeyExpr.Range()
		key, diags := item.KeyExpr.Value(nil)
		if diags.HasErrors() || key.IsNull() || key.Type().FriendlyName() != "string" {
			d.fail(at, "put the name of a header field in quotes")
			continue
		}
		h := Header{Name: key.AsString()}
		d.template(item.ValueExpr, &h.Value)
		if !d.checkFieldName(h.Name, at) || h.Value == nil {
			continue
		}
		if v, ok := h.Value.Constant(); ok && !v.IsNull() && v.Type().FriendlyName() == "string" && !isFieldValue(v.AsString()) {
			d.fail(item.ValueExpr.Range(), "a header field is one line")
			continue
		}
		*into = append(*into, h)
	}
}
