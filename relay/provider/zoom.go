package provider

// zoom signs with the app's secret token, and asks now and then whether we still have it.
var zoom = Provider{
	Name:  "zoom",
	Title: "Zoom",
	Doc:   "https://developers.zoom.us/docs/api/webhooks/#verify-with-zooms-header",
	Scheme: &signed{
		At: "X-Zm-Signature", Prefix: "v0=",
		Message: "v0:{timestamp}:{body}",
		Stamp:   stamp{At: "X-Zm-Request-Timestamp", Tolerance: usualTolerance},
	},
	Methods:   []string{"POST"},
	Event:     "json.event",
	Handshake: zoomValidation,
	Headers:   []string{"x-zm-signature"},
}

// zoomValidation is https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint
func zoomValidation(r *Request, s *Setting) *Reply {
	if event, _ := place("json:event").get(r); event != "endpoint.url_validation" {
		return nil
	}
	plain, ok := place("json:payload.plainToken").get(r)
	if !ok {
		return nil
	}
	encrypted, ok := signText(plain, s)
	if !ok {
		return nil
	}
	return echoJSON(map[string]string{"plainToken": plain, "encryptedToken": encrypted}).checked()
}
