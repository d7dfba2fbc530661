package tape

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"slices"
	"strings"
)

// digestsOf are the digests of a body in the spellings in which header fields have them: Content-Digest and Repr-Digest
// (RFC 9530), Digest (RFC 3230), Content-MD5 (RFC 1864), the fields of clouds, and many an ETag.
func digestsOf(body []byte) (all []string) {
	md, sha, sha2, sha3, sha5 := md5.Sum(body), sha1.Sum(body), sha256.Sum256(body), sha512.Sum384(body), sha512.Sum512(body)
	crc := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body))
	crcC := binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	for _, sum := range [][]byte{sha5[:], sha3[:], sha2[:], sha[:], md[:], crcC, crc} {
		text := hex.EncodeToString(sum)
		all = append(all, text, strings.ToUpper(text), base64.StdEncoding.EncodeToString(sum),
			base64.RawStdEncoding.EncodeToString(sum), base64.RawURLEncoding.EncodeToString(sum))
	}
	return all
}

// redigest makes digests of a body in texts those of another body. With the digest of a body whose secrets are masked, short
// secrets could be guessed. The zero redigest changes nothing.
type redigest struct {
	was, is []byte
	before  []string // digests of was; nil: nobody asked for them
}

// replace replaces them. Few messages have any.
func (d *redigest) replace(text string) string {
	if d.before == nil {
		if bytes.Equal(d.was, d.is) {
			return text
		}
		d.before = digestsOf(d.was)
	}
	if !slices.ContainsFunc(d.before, func(digest string) bool { return strings.Contains(text, digest) }) {
		return text
	}
	after := digestsOf(d.is)
	var pairs []string
	for i := range d.before {
		pairs = append(pairs, d.before[i], after[i])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
