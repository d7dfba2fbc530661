package relay

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/hooktape/hooktape/relay/wire"
)

// headWith is a request head with these fields.
func headWith(t testing.TB, fields ...string) *wire.RequestHead {
	t.Helper()
	head, err := wire.ParseRequestHead([]byte("POST / HTTP/1.1\r\nHost: a\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return head
}

var trustedInTests = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("127.0.0.1/32")}

func TestOnlyTrustedProxiesSayWhoTheSenderIs(t *testing.T) {
	for name, c := range map[string]struct {
		peer   string
		fields []string
		want   string // remote
	}{
		"no proxy at all":               {"203.0.113.9:4711", nil, "203.0.113.9:4711"},
		"a stranger tells":              {"203.0.113.9:4711", []string{"X-Forwarded-For: 1.2.3.4"}, "203.0.113.9:4711"},
		"a stranger tells of a proxy":   {"203.0.113.9:4711", []string{"X-Forwarded-For: 1.2.3.4, 10.0.0.1"}, "203.0.113.9:4711"},
		"the proxy tells nothing":       {"10.0.0.1:4711", nil, "10.0.0.1:4711"},
		"the proxy tells":               {"10.0.0.1:4711", []string{"X-Forwarded-For: 1.2.3.4"}, "1.2.3.4"},
		"the sender lies to the proxy":  {"10.0.0.1:4711", []string{"X-Forwarded-For: 10.9.9.9, 8.8.8.8, 1.2.3.4"}, "1.2.3.4"},
		"the lie is a field of its own": {"10.0.0.1:4711", []string{"X-Forwarded-For: 8.8.8.8", "x-forwarded-for: 1.2.3.4"}, "1.2.3.4"},
		"the lie is ours":               {"10.0.0.1:4711", []string{"X-Forwarded-For: 127.0.0.1, 1.2.3.4"}, "1.2.3.4"},
		"two proxies":                   {"10.0.0.1:4711", []string{"X-Forwarded-For: 8.8.8.8, 1.2.3.4, 10.0.0.2"}, "1.2.3.4"},
		"two proxies, two fields":       {"10.0.0.1:4711", []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 10.0.0.2"}, "1.2.3.4"},
		"only proxies":                  {"10.0.0.1:4711", []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"the proxy itself":              {"10.0.0.1:4711", []string{"X-Forwarded-For: 10.0.0.1"}, "10.0.0.1:4711"},
		"a port":                        {"10.0.0.1:4711", []string{"X-Forwarded-For: 1.2.3.4:99"}, "1.2.3.4"},
		"IPv6":                          {"[fd00::1]:4711", []string{"X-Forwarded-For: 2001:db8::7"}, "2001:db8::7"},
		"IPv6 in brackets":              {"10.0.0.1:4711", []string{"X-Forwarded-For: [2001:db8::7]"}, "2001:db8::7"},
		"IPv6 with a port":              {"10.0.0.1:4711", []string{"X-Forwarded-For: [2001:db8::7]:99"}, "2001:db8::7"},
		"IPv4 in IPv6":                  {"[::ffff:10.0.0.1]:4711", []string{"X-Forwarded-For: ::ffff:1.2.3.4, ::ffff:10.0.0.2"}, "1.2.3.4"},
		"unknown":                       {"10.0.0.1:4711", []string{"X-Forwarded-For: 8.8.8.8, unknown"}, "10.0.0.1:4711"},
		"unknown before a proxy":        {"10.0.0.1:4711", []string{"X-Forwarded-For: 8.8.8.8, _hidden, 10.0.0.2"}, "10.0.0.2"},
		"a zone":                        {"10.0.0.1:4711", []string{"X-Forwarded-For: fe80::1%eth0"}, "10.0.0.1:4711"},
		"a name":                        {"10.0.0.1:4711", []string{"X-Forwarded-For: localhost"}, "10.0.0.1:4711"},
		"markup":                        {"10.0.0.1:4711", []string{"X-Forwarded-For: <script>"}, "10.0.0.1:4711"},
		"nobody's address":              {"10.0.0.1:4711", []string{"X-Forwarded-For: 0.0.0.0"}, "10.0.0.1:4711"},
		"odd digits":                    {"10.0.0.1:4711", []string{"X-Forwarded-For: 010.0.0.2"}, "10.0.0.1:4711"},
		"a bracket too few":             {"10.0.0.1:4711", []string{"X-Forwarded-For: [1.2.3.4"}, "10.0.0.1:4711"},
		"a port beyond all":             {"10.0.0.1:4711", []string{"X-Forwarded-For: 1.2.3.4:99999"}, "10.0.0.1:4711"},
		"empty elements":                {"10.0.0.1:4711", []string{"X-Forwarded-For: ,8.8.8.8, ,1.2.3.4,\t, ", "X-Forwarded-For:"}, "1.2.3.4"},
		"commas only":                   {"10.0.0.1:4711", []string{"X-Forwarded-For: " + strings.Repeat(",", 5000)}, "10.0.0.1:4711"},
		"the field of another standard": {"10.0.0.1:4711", []string{"Forwarded: for=1.2.3.4", "X-Real-IP: 1.2.3.4"}, "10.0.0.1:4711"},
	} {
		t.Run(name, func(t *testing.T) {
			peer := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.peer))
			got := senderOf(peer, false, headWith(t, c.fields...), trustedInTests)
			if got.remote != strings.Replace(c.want, "[::ffff:10.0.0.1]", "10.0.0.1", 1) {
				t.Errorf("remote is %s, not %s", got.remote, c.want)
			}
			if told := got.remote != peer.String(); told != (got.proxy != "") || told && got.proxy != peer.String() {
				t.Errorf("proxy is %q", got.proxy)
			}
			if got := senderOf(peer, false, headWith(t, c.fields...), nil); got.remote != peer.String() || got.proxy != "" {
				t.Errorf("with no proxy to trust: %+v", got)
			}
		})
	}
}

func TestOnlyTrustedProxiesSayHowTheSenderCame(t *testing.T) {
	for _, c := range []struct {
		peer  string
		tls   bool
		proto []string
		want  bool
	}{
		{"203.0.113.9:1", false, []string{"X-Forwarded-Proto: https"}, false},
		{"203.0.113.9:1", true, []string{"X-Forwarded-Proto: http"}, true},
		{"10.0.0.1:1", false, nil, false},
		{"10.0.0.1:1", true, nil, true},
		{"10.0.0.1:1", false, []string{"X-Forwarded-Proto: HTTPS"}, true},
		{"10.0.0.1:1", true, []string{"X-Forwarded-Proto: http"}, false},
		{"10.0.0.1:1", false, []string{"X-Forwarded-Proto: https, http"}, false},
		{"10.0.0.1:1", false, []string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: https"}, false},
		{"10.0.0.1:1", true, []string{"X-Forwarded-Proto: gopher"}, true},
	} {
		peer := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.peer))
		if got := senderOf(peer, c.tls, headWith(t, c.proto...), trustedInTests); got.tls != c.want {
			t.Errorf("%+v: tls is %v", c, got.tls)
		}
	}
}

func FuzzTheWayOfARequestEndsSomewhere(f *testing.F) {
	f.Add("1.2.3.4, 10.0.0.2")
	f.Add("[::1]:2,unknown,,")
	f.Fuzz(func(t *testing.T, forwarded string) {
		peer := netip.MustParseAddr("10.0.0.1")
		from := firstUntrusted(peer, []string{forwarded}, trustedInTests)
		if !from.IsValid() || from.Zone() != "" {
			t.Errorf("%q: %v", forwarded, from)
		}
	})
}
