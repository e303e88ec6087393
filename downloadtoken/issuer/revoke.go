package issuer

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Revoker keeps revocations in a named store, durably when it returns. The app
// download_token is one.
type Revoker interface {
	Revoke(ctx context.Context, store string, r nonce.Revocation) error
}

// keptAfter is how long after its exp a token stays revoked, for servers that
// verify with a leeway or have another clock.
const keptAfter = time.Hour

// tokenSources are where DELETE may carry the token.
var tokenSources = []token.Source{
	{Kind: token.Query, Name: "download_token"},
	{Kind: token.Query, Name: "token"},
}

// revoke takes a token back: the one in the query, whoever asks, or the one that
// the path has a receipt for, if it is this user's. A token in the query decides,
// whatever it is.
func (i *Issuer) revoke(v *visit) error {
	text, _, err := token.Find(v.r, tokenSources)
	v.holdsToken = !errors.Is(err, token.ErrMissing)
	var named receipt
	var known bool
	switch {
	case err == nil:
		named, known = i.own.recognise(text, v.now)
	case v.holdsToken:
		return i.deny(v, refusedNaming, err)
	case v.user == "" && !i.Anonymous:
		return i.deny(v, refusedAnonymous, nil)
	default:
		named, known = i.ownReceipt(v)
	}
	if !known {
		return i.deny(v, refusedUnknown, nil)
	}
	until := named.expires.Add(keptAfter)
	if v.now.Before(until) {
		// A client that goes away must not leave it half done.
		err := i.revoker.Revoke(context.WithoutCancel(v.r.Context()), i.Store,
			nonce.Revocation{Fingerprint: named.fingerprint.String(), Until: until.UTC()})
		if err != nil {
			return i.deny(v, refusedStore, err)
		}
		i.logger.Info("token revoked",
			zap.String("fingerprint", named.fingerprint.String()),
			zap.String("client_ip", clientIP(v.r)))
	}
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}

// ownReceipt reads the receipt at the end of the path: this user's, or one that
// was given to nobody.
func (i *Issuer) ownReceipt(v *visit) (r receipt, ok bool) {
	segment := path.Base(v.r.URL.Path)
	if r, ok = i.sealer.open(segment, v.user); ok {
		return r, true
	}
	return i.sealer.open(segment, "")
}

// verifier recognises tokens that our own key has signed.
type verifier struct{ token.Verifier }

func newVerifier(s *signer) (*verifier, error) {
	keys, err := token.NewTable(s.public)
	return &verifier{token.Verifier{Keys: keys}}, err
}

// recognise reports what to revoke for a token, ok only if our key has signed it.
// What else it says does not matter: whoever holds it may take it back.
func (o *verifier) recognise(text string, now time.Time) (r receipt, ok bool) {
	_, err := o.Verify(text, now)
	for _, afterSignature := range []error{token.ErrExpired, token.ErrNotYetValid, token.ErrAudience} {
		if errors.Is(err, afterSignature) {
			err = nil
		}
	}
	if err != nil {
		return receipt{}, false
	}
	expires, ok := expiry(text)
	return receipt{token.FingerprintOf(text), expires}, ok
}

// expiry reads exp from a token that has been verified.
func expiry(text string) (time.Time, bool) {
	_, rest, _ := strings.Cut(text, ".")
	payload, _, _ := strings.Cut(rest, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(payload)
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(decoded, &claims) != nil {
		return time.Time{}, false
	}
	return time.Unix(int64(claims.Exp)+1, 0), true // a fraction counts as a second
}
