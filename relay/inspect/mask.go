package inspect

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/hooktape/hooktape/relay/mask"
	"github.com/hooktape/hooktape/store"
)

// maskKey is the name under which the store keeps what is masked besides the defaults.
const maskKey = "mask"

// SaveMask puts onto the tape what is masked besides the defaults, so that it is masked even when no agent runs. The
// agent calls it at start and at every reload. A tape that has the same names already is not written to.
func SaveMask(s *store.Store, names mask.Names) error {
	if now, err := loadMask(s); err == nil && slices.Equal(now, names) {
		return nil
	}
	text, err := json.Marshal(names)
	if err != nil {
		return err
	}
	return s.PutMeta(maskKey, text)
}

// loadMask reads what SaveMask wrote; none when there was no agent yet.
func loadMask(s *store.Store) (mask.Names, error) {
	return remembered[mask.Names](s, maskKey)
}

// names are what is masked besides the defaults. They are read for every question, because a reload changes them. With
// an error nothing can be shown: it could be what is to be hidden.
func (s *Server) names() (mask.Names, error) {
	if s.Known != nil {
		return s.Known.Mask, nil
	}
	return loadMask(s.Store)
}

// mask sends the names, for those who show bytes.
func (s *Server) mask(w http.ResponseWriter, _ *http.Request) error {
	names, err := s.names()
	if err != nil {
		return err
	}
	return reply(w, names)
}
