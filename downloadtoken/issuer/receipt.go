package issuer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
)

// A receipt names a token in the URL by which it can be revoked: the last segment
// of what Location holds. It does not contain the token. Without the token it can be
// used by the same user only, who is named in its seal and not in its text. The
// receipt of a token without a user can be used by any client that has it.
type receipt struct {
	fingerprint token.Fingerprint
	expires     time.Time
}

// A receipt is written as the fingerprint, the seconds of exp, and 128 bits of an
// HMAC over both and the user.
const (
	receiptFields = len(token.Fingerprint{}) + 8
	receiptSeal   = 16
)

// sealer writes and reads receipts, with a key derived from the one that signs:
// all servers with the same key read each other's, and nothing is kept.
type sealer struct{ key []byte }

func newSealer(s *sign.Signer) *sealer { return &sealer{s.Derive("receipt v1")} }

// seal writes the receipt for a user, "" if there is none.
func (s *sealer) seal(r receipt, user string) string {
	fields := binary.BigEndian.AppendUint64(r.fingerprint[:], uint64(r.expires.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(fields, s.mac(fields, user)...))
}

// open reads a receipt, ok only if it was sealed for the user.
func (s *sealer) open(text, user string) (r receipt, ok bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(receiptFields+receiptSeal) {
		return receipt{}, false
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(decoded) != receiptFields+receiptSeal { // line feeds are skipped
		return receipt{}, false
	}
	fields, seal := decoded[:receiptFields:receiptFields], decoded[receiptFields:]
	if !hmac.Equal(seal, s.mac(fields, user)) {
		return receipt{}, false
	}
	n := copy(r.fingerprint[:], fields)
	r.expires = time.Unix(int64(binary.BigEndian.Uint64(fields[n:])), 0)
	return r, true
}

func (s *sealer) mac(fields []byte, user string) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(fields) // of fixed length, so that the user cannot run into it
	h.Write([]byte(user))
	return h.Sum(nil)[:receiptSeal]
}
