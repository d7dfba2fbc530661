package config

import (
	"cmp"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/hooktape/hooktape/relay/acme"
)

// ACME says which certificates to ask a CA for (RFC 8555).
type ACME struct {
	Names     []string // in lower case; at least one
	Email     string   // where the CA may write to; "": nowhere
	Directory string   // URL of the CA
	Cache     string   // the folder of keys and certificates; "": beside the tape, as Config.Certificates has it
	HTTP      string   // host:port where the CA's questions over plain HTTP are answered; "": they aren't
}

// defaultDirectory is Let's Encrypt's.
const defaultDirectory = "https://acme-v02.api.letsencrypt.org/directory"

var acmeSchema = schema[ACME]{
	place: "acme",
	keys: map[string]func(*decoder, *ACME, *hclsyntax.Attribute){
		"names": decodeNames,
		"email": func(d *decoder, c *ACME, a *hclsyntax.Attribute) {
			if text, ok := d.text(a); ok && !strings.Contains(text, "@") {
				d.fail(a.Expr.Range(), `%q is an address like "ops@example.com"`, a.Name)
			} else {
				c.Email = text
			}
		},
		"directory": func(d *decoder, c *ACME, a *hclsyntax.Attribute) {
			if u, ok := d.parseURL(a); ok && checkDirectory(d, a, u) {
				c.Directory = u.String()
			}
		},
		"cache": func(d *decoder, c *ACME, a *hclsyntax.Attribute) {
			if d.path(a, &c.Cache); c.Cache != "" {
				c.Cache = d.around.beside(c.Cache)
			}
		},
		"http": func(d *decoder, c *ACME, a *hclsyntax.Attribute) { d.address(a, &c.HTTP) },
	},
}

func decodeACME(d *decoder, t *TLS, b *hclsyntax.Block) {
	d.unlabeled(b)
	d.once("acme", b.TypeRange, "a second acme block")
	t.ACME = &ACME{Directory: defaultDirectory}
	decodeBody(d, t.ACME, b.Body, &acmeSchema)
	if b.Body.Attributes["names"] == nil {
		d.fail(b.TypeRange, `acme needs the names to get certificates for: names = ["hooks.example.com"]`)
		return
	}
	d.seen["acme names"] = b.Body.Attributes["names"].Expr.Range()
}

// decodeNames reads the names to certify: single host names, the only ones that either way of proof works for.
func decodeNames(d *decoder, c *ACME, a *hclsyntax.Attribute) {
	before := len(d.diags)
	d.texts(a, func(text string, at hcl.Range) {
		name := strings.ToLower(strings.TrimSuffix(text, "."))
		_, notAddress := netip.ParseAddr(strings.Trim(name, "[]"))
		switch {
		case strings.Contains(name, "*"):
			d.fail(at, "hooktape gets no wildcard certificates: a CA wants a DNS entry as proof, which hooktape can't write; "+
				"list each name, or give a certificate's files")
		case notAddress == nil:
			d.fail(at, "certificates are for host names, not for addresses")
		case !hostPattern.MatchString(name):
			d.fail(at, `write a host name like "hooks.example.com", without scheme, port and path; letters beyond ASCII as xn--...`)
		case slices.Contains(c.Names, name):
			d.fail(at, "this name is in the list already")
		default:
			c.Names = append(c.Names, name)
		}
	})
	if len(c.Names) == 0 && len(d.diags) == before {
		d.fail(a.Expr.Range(), "the list is empty: certificates are ordered for listed names only")
	}
}

// checkDirectory insists on TLS: whoever can change what a CA says can have its account do what they like.
func checkDirectory(d *decoder, a *hclsyntax.Attribute, u *url.URL) bool {
	if u.Scheme != "https" {
		d.fail(a.Expr.Range(), "%q must begin with https://", a.Name)
		return false
	}
	return true
}

// checkACME finds an edge that nobody could reach.
func (d *decoder) checkACME(c *Config) {
	if c.Edge == nil || c.Edge.Domain == "" || c.TLS == nil || c.TLS.ACME == nil {
		return
	}
	at := c.Edge.Domain
	if u, err := url.Parse(c.PublicURL); err == nil && u.Hostname() != "" {
		at = u.Hostname()
	}
	if !slices.Contains(c.TLS.ACME.Names, strings.ToLower(at)) {
		d.fail(d.seen["acme names"], "%q is not among the names, where laptops and their senders come to", at)
	}
}

// Certificates are the settings for certificates from a CA; none without an acme block. Unless the block names their
// folder, it is beside the tape.
func (c *Config) Certificates() acme.Settings {
	if c.TLS == nil || c.TLS.ACME == nil {
		return acme.Settings{}
	}
	a := c.TLS.ACME
	return acme.Settings{Names: a.Names, Directory: a.Directory, Email: a.Email, Folder: cmp.Or(a.Cache, c.Data+".acme")}
}
