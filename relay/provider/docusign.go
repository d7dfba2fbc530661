package provider

import "strconv"

// docusign is Connect. It signs once with each key of the account, in numbered fields. Keys look like base64, but are
// used as written. Different recipients cause events of the same name, so nothing tells repeats.
var docusign = Provider{
	Name:    "docusign",
	Title:   "DocuSign Connect",
	Doc:     "https://developers.docusign.com/platform/webhooks/connect/hmac/",
	Scheme:  docusignSignatures(),
	Methods: []string{"POST"},
	Event:   "json.event",
	Headers: []string{"x-docusign-signature-1"},
}

// docusignKeys is how many signatures are checked. An account may have a hundred keys, but has two while it replaces
// one.
const docusignKeys = 5

func docusignSignatures() (all either) {
	for i := range docusignKeys {
		all = append(all, &signed{At: place("X-DocuSign-Signature-" + strconv.Itoa(i+1)), Encoding: base64Padded})
	}
	return all
}
