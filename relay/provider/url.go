package provider

import (
	"strings"

	"github.com/hooktape/hooktape/relay/wire"
)

// RequestURL is the URL that a sender has of a request, for Request.URL. public is what it sees in the place of the
// scheme and host that the request came to; "" stands for those.
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
