package mask

import (
	"encoding/base64"
	stdjson "encoding/json"
	"strings"
	"time"

	"github.com/hooktape/hooktape/relay/wire"
)

// Credentials are what a request brought to prove who sent it.
type Credentials struct {
	Scheme  string    // as sent: "Bearer"; "" when it names none
	Present bool      // whether there are any
	Masked  string    // the field's value, hidden
	Expires time.Time // when a JSON Web Token expires; zero: not known
}

// Auth finds the credentials in header fields: Authorization, or else the first field whose name is secret by default.
// Names that the configuration adds need not be of credentials. Cookies do not count.
func Auth(fields wire.Fields) Credentials {
	if value, ok := fields.Get("Authorization"); ok {
		return credentials("Authorization", value)
	}
	for _, f := range fields {
		if Names(nil).IsSecret(f.Name) && !strings.HasSuffix(plain(f.Name), "cookie") {
			return credentials(f.Name, f.Value)
		}
	}
	return Credentials{}
}

func credentials(name, value string) Credentials {
	s, rest := scheme(value)
	return Credentials{
		Scheme:  s,
		Present: true,
		Masked:  Names(nil).Field(name, value),
		Expires: expiry(strings.TrimSpace(rest)),
	}
}

// maxClaims is how long the middle part of a token may be to be decoded.
const maxClaims = 16 << 10

// expiry is the exp claim of a JSON Web Token (RFC 7519 section 4.1.4), or zero. Nothing is verified.
func expiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(parts[1]) > maxClaims {
		return time.Time{}
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	const year10000 = 253402300800 // later times have no RFC 3339 form
	if err := stdjson.Unmarshal(b, &claims); err != nil || claims.Exp <= 0 || claims.Exp >= year10000 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Exp), 0).UTC()
}
