package acmetest

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http/httptest"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// serve is the CA's process: it runs until in ends.
func serve(in io.Reader, out io.Writer) error {
	var ask asked
	if err := json.NewDecoder(in).Decode(&ask); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	names := &dns.Server{Listener: l, Handler: dns.HandlerFunc(leadHere)}
	go func() { _ = names.ActivateAndServe() }() // until the process ends
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "90 days", ValidityPeriod: 90 * 24 * 3600}})
	prover := va.New(quiet, ask.HTTPPort, ask.TLSPort, true, l.Addr().String(), store)
	front := wfe.New(quiet, store, prover, issuer, []string{"ca.example.com"}, true, false, 1, 1)
	web := httptest.NewUnstartedServer(front.Handler())
	web.Config.ErrorLog = quiet
	web.StartTLS()
	answer := told{
		Directory: web.URL + "/dir",
		Own:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}),
		Issued:    issuer.GetRootCert(0).PEM(),
	}
	if err := json.NewEncoder(out).Encode(answer); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// leadHere answers that every name is this machine.
func leadHere(w dns.ResponseWriter, question *dns.Msg) {
	answer := new(dns.Msg).SetReply(question)
	for _, q := range question.Question {
		if q.Qtype == dns.TypeA {
			answer.Answer = append(answer.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1),
			})
		}
	}
	_ = w.WriteMsg(answer)
}
