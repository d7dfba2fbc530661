package relay

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hooktape/hooktape/relay/tunnel"
)

func TestMetricsShowTunnels(t *testing.T) {
	a := startApp(t, always(ok))
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Millisecond))
	edge.wantFigures(map[string]string{
		`hooktape_tunnel_up{tunnel="alice"}`:                          "0",
		`hooktape_tunnel_links_total{tunnel="alice"}`:                 "0",
		`hooktape_tunnel_last_seen_timestamp_seconds{tunnel="alice"}`: "",
		`hooktape_tunnel_refused_total{reason="token"}`:               "0",
		`hooktape_tunnel_refused_total{reason="taken"}`:               "0",
		`hooktape_tunnel_deliveries_pending{tunnel="alice"}`:          "0",
		`hooktape_uplink_up`:                                          "",
	})
	edge.send("POST /t/alice/early HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
	edge.wantFigures(map[string]string{`hooktape_tunnel_deliveries_pending{tunnel="alice"}`: "1"})

	laptop := startLaptop(t, edge.addr, tapeIn(t), passing(a, time.Minute))
	const body = 100_000
	edge.send(fmt.Sprintf("POST /t/alice/x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", body, strings.Repeat("x", body)))
	edge.wantFigures(map[string]string{
		`hooktape_tunnel_up{tunnel="alice"}`:                 "1",
		`hooktape_tunnel_links_total{tunnel="alice"}`:        "1",
		`hooktape_tunnel_requests_total{tunnel="alice"}`:     "2",
		`hooktape_tunnel_deliveries_pending{tunnel="alice"}`: "0",
	})
	laptop.wantFigures(map[string]string{`hooktape_uplink_up`: "1", `hooktape_uplink_links_total`: "1", `hooktape_tunnel_refused_total{reason="token"}`: ""})
	sent := figure(t, edge.Agent, `hooktape_tunnel_sent_bytes_total{tunnel="alice"}`)
	if came := figure(t, edge.Agent, `hooktape_tunnel_received_bytes_total{tunnel="alice"}`); sent < body || came <= 0 || came > body {
		t.Errorf("%v bytes were sent, %v came back", sent, came)
	}

	edge.cutLink()
	edge.wantFigures(map[string]string{`hooktape_tunnel_up{tunnel="alice"}`: "1", `hooktape_tunnel_links_total{tunnel="alice"}`: "2"})
	if now := figure(t, edge.Agent, `hooktape_tunnel_sent_bytes_total{tunnel="alice"}`); now < sent {
		t.Errorf("of the first link %v bytes are left of %v", now, sent)
	}
	laptop.wantFigures(map[string]string{`hooktape_uplink_up`: "1", `hooktape_uplink_links_total`: "2"})
	laptop.hangUp()
	edge.wantFigures(map[string]string{`hooktape_tunnel_up{tunnel="alice"}`: "0", `hooktape_tunnel_streams{tunnel="alice"}`: "0"})
	if seen := figure(t, edge.Agent, `hooktape_tunnel_last_seen_timestamp_seconds{tunnel="alice"}`); seen < float64(time.Now().Add(-time.Hour).Unix()) {
		t.Errorf("last seen at %v", seen)
	}
}

func TestMetricsCountRefusedLinks(t *testing.T) {
	edge := startEdge(t, tapeIn(t), edgeConfig(time.Minute))
	stranger := startLaptopWith(t, edge.addr, tapeIn(t), func(u *tunnel.Uplink) { u.Dialer.Token = "a guess" })
	if err := <-stranger.ran; err == nil {
		t.Error("a guess opens the tunnel")
	} else {
		stranger.ran <- err
	}
	first := startLaptop(t, edge.addr, tapeIn(t))
	first.hears("up", up)
	second := startLaptop(t, edge.addr, tapeIn(t))
	if err := <-second.ran; err == nil {
		t.Error("another instance has the tunnel, too")
	} else {
		second.ran <- err
	}
	edge.wantFigures(map[string]string{
		`hooktape_tunnel_refused_total{reason="token"}`:           "1",
		`hooktape_tunnel_refused_total{reason="taken"}`:           "1",
		`hooktape_tunnel_refused_total{reason="too_many_tokens"}`: "0",
		`hooktape_tunnel_refused_total{reason="no_copy"}`:         "0",
		`hooktape_tunnel_links_total{tunnel="alice"}`:             "1",
	})
}

// figure is a number of the metrics.
func figure(t *testing.T, a *Agent, name string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(scrape(t, a)[name], 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
