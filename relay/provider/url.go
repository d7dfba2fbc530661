package provider

import (
	"strings"

	"github.com/hooktape/hooktape/relay/wire"
)

// RequestURL is the URL of a request as its sender has it, for Request.URL. public is what the sender sees instead of
// the scheme and host that the request came to; "": these themselves.
func RequestURL(public string, head *wire.RequestHead, tls bool) string {
	if public == "" {
		public = "http://"
		if tls {
			public = "https://"
		}
		public += head.Host()
	}
	target := head.Path()
	if query := head.Query(); query != "" {
		target += "?" + query
	}
	return strings.TrimSuffix(public, "/") + target
}
