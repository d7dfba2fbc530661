package inspect

import (
	"io"
	"net/http"

	"github.com/hooktape/hooktape/relay/provider"
	"github.com/hooktape/hooktape/relay/wire"
)

// Signer signs requests as the senders of sources do. It may be asked from many
// goroutines at once.
type Signer interface {
	// Sign says what to change of a request so that it is as the source's sender
	// would send it now. body is the decoded one.
	Sign(source string, head *wire.RequestHead, body []byte) (*provider.Signature, error)
}

// signMax bounds a request that is to be signed, in bytes: it has to be in memory.
const signMax = 65 << 20

// sign says how to sign a request of a source: what is posted is its head, and
// behind it the decoded body. Secrets do not leave the agent.
func (s *Server) sign(w http.ResponseWriter, r *http.Request) error {
	if s.Signer == nil {
		return refuse(Failed, "no agent runs, and it is the agent that knows the secrets")
	}
	message, err := io.ReadAll(http.MaxBytesReader(w, r.Body, signMax))
	if err != nil {
		return refuse(Misused, "read the request: %s", err)
	}
	head, err := wire.ParseRequestHead(message)
	if err != nil {
		return refuse(Misused, "read the request: %s", err)
	}
	g, err := s.Signer.Sign(r.PathValue("name"), head, message[len(head.Raw):])
	if err != nil {
		return refuse(Failed, "%s", err)
	}
	return reply(w, g)
}
