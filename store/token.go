package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Token lets a laptop open the tunnel of the token's name. The tape has only a hash of it.
type Token struct {
	Name    string
	Hash    [sha256.Size]byte // of the token's text
	Created time.Time
}

// HashToken is what is kept of a token.
func HashToken(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// hashPrefix is before the digits of a hash.
const hashPrefix = "sha256:"

// HashText is the hash as text, which ParseTokenHash reads.
func (t *Token) HashText() string { return hashPrefix + hex.EncodeToString(t.Hash[:]) }

// ParseTokenHash reads the text of a token's hash.
func ParseTokenHash(text string) (hash [sha256.Size]byte, err error) {
	digits, prefixed := strings.CutPrefix(text, hashPrefix)
	b, err := hex.DecodeString(digits)
	if !prefixed || err != nil || len(b) != sha256.Size {
		return hash, fmt.Errorf("the hash of a token is %q and %d digits", hashPrefix, 2*sha256.Size)
	}
	return [sha256.Size]byte(b), nil
}

// tokenKey stands before the name of a token, among the keys of PutMeta.
const tokenKey = "token."

// tokenFacts are a token as stored, without its name.
type tokenFacts struct {
	Hash    []byte    `json:"hash"`
	Created time.Time `json:"created"`
}

// PutToken keeps a token, in the place of one of the same name, and returns when it is on the disk.
func (s *Store) PutToken(t Token) error {
	text, err := json.Marshal(tokenFacts{t.Hash[:], t.Created})
	if err != nil {
		return err
	}
	return s.PutMeta(tokenKey+t.Name, text)
}

// DeleteToken forgets a token. It is no error when there is none.
func (s *Store) DeleteToken(name string) error { return s.PutMeta(tokenKey+name, nil) }

// Tokens returns the tokens, by name. When some can't be read, the others are returned with an error that wraps ErrDamaged.
func (s *Store) Tokens() (tokens []Token, err error) {
	names, err := s.metaKeys(tokenKey)
	if err != nil {
		return nil, err
	}
	var damaged []error
	for _, name := range names {
		t := Token{Name: strings.TrimPrefix(name, tokenKey)}
		text, err := s.Meta(name)
		if errors.Is(err, ErrNotFound) {
			continue // deleted since its name was read
		}
		var facts tokenFacts
		if err == nil {
			err = json.Unmarshal(text, &facts)
		}
		if err != nil || len(facts.Hash) != len(t.Hash) {
			damaged = append(damaged, fmt.Errorf("token %q: %w: %w", t.Name, ErrDamaged, err))
			continue
		}
		t.Hash, t.Created = [sha256.Size]byte(facts.Hash), facts.Created
		tokens = append(tokens, t)
	}
	return tokens, errors.Join(damaged...)
}

// metaKeys are the keys of PutMeta that begin with prefix, in their order.
func (s *Store) metaKeys(prefix string) (keys []string, err error) {
	begin := []byte(metaUser + prefix)
	err = s.view(func(tx *bolt.Tx) error {
		keys = nil
		c := tx.Bucket(bucketMeta).Cursor()
		for k, _ := c.Seek(begin); bytes.HasPrefix(k, begin); k, _ = c.Next() {
			keys = append(keys, string(k[len(metaUser):]))
		}
		return nil
	})
	return keys, err
}

// Copy asks for the requests of a source: what a tunnel's laptop wants of it.
type Copy struct {
	Source string `json:"source"`
	Where  string `json:"where,omitempty"` // an expression; "": all
}

// copiesKey stands before the name of a tunnel, among the keys of PutMeta.
const copiesKey = "copies."

// PutCopies keeps what a tunnel's laptop wants, in the place of what it wanted before. No copies: it is forgotten.
func (s *Store) PutCopies(tunnel string, copies []Copy) error {
	if len(copies) == 0 {
		return s.PutMeta(copiesKey+tunnel, nil)
	}
	text, err := json.Marshal(copies)
	if err != nil {
		return err
	}
	return s.PutMeta(copiesKey+tunnel, text)
}

// Copies returns what PutCopies has put, by tunnel. What can't be read is left out, with an error that wraps ErrDamaged.
func (s *Store) Copies() (byTunnel map[string][]Copy, err error) {
	names, err := s.metaKeys(copiesKey)
	if err != nil {
		return nil, err
	}
	byTunnel = make(map[string][]Copy)
	var damaged []error
	for _, name := range names {
		text, err := s.Meta(name)
		var copies []Copy
		if err == nil {
			err = json.Unmarshal(text, &copies)
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			damaged = append(damaged, fmt.Errorf("what tunnel %q wants: %w: %w", strings.TrimPrefix(name, copiesKey), ErrDamaged, err))
			continue
		}
		byTunnel[strings.TrimPrefix(name, copiesKey)] = copies
	}
	return byTunnel, errors.Join(damaged...)
}
