package issuer

import (
	"context"
	"errors"
	"net/http"
	"path"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
)

// revoker keeps revocations in a named store, durably when it returns. The app
// download_token is one.
type revoker interface {
	Revoke(ctx context.Context, store string, r rules.Revocation) error
	// Outlived is how long after its exp a token may still open something.
	Outlived(store string) time.Duration
}

// keptAfter is how long after its exp a token stays revoked, for servers that
// verify with a leeway or have another clock.
const keptAfter = time.Hour

// tokenSources are where DELETE may carry the token.
var tokenSources = []token.Source{
	{Kind: token.Query, Name: "download_token"},
	{Kind: token.Query, Name: "token"},
}

// revoke takes a token back: the one in the query, for any client, or the one that
// the path has a receipt for, if it is this user's. A token in the query decides,
// whatever it is.
func (i *Issuer) revoke(x *exchange) error {
	text, _, err := token.Find(x.r, tokenSources)
	x.holdsToken = !errors.Is(err, token.ErrMissing)
	var named receipt
	var known bool
	switch {
	case err == nil:
		named, known = recognise(i.own, text)
	case x.holdsToken:
		return i.deny(x, refusedNaming, err)
	case x.user == "" && !i.Anonymous:
		return i.deny(x, refusedAnonymous, nil)
	default:
		named, known = i.ownReceipt(x)
	}
	if !known {
		return i.deny(x, refusedUnknown, nil)
	}
	until := named.expires.Add(keptAfter + i.revoker.Outlived(i.Store))
	if x.now.Before(until) {
		// A client that goes away must not leave it half done.
		err := i.revoker.Revoke(context.WithoutCancel(x.r.Context()), i.Store,
			rules.Revocation{Fingerprint: named.fingerprint.String(), Until: until.UTC()})
		if err != nil {
			return i.deny(x, refusedStore, err)
		}
		i.logger.Info("token revoked",
			zap.String("fingerprint", named.fingerprint.String()),
			zap.String("client_ip", problem.ClientIP(x.r)))
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// ownReceipt reads the receipt at the end of the path: this user's, or one that
// was made without a user.
func (i *Issuer) ownReceipt(x *exchange) (r receipt, ok bool) {
	segment := path.Base(x.r.URL.Path)
	if r, ok = i.sealer.open(segment, x.user); ok {
		return r, true
	}
	return i.sealer.open(segment, "")
}

// recognise reports what to revoke for a token, ok only if our key has signed it.
// What else it says does not matter: its holder may take it back.
func recognise(own *token.Verifier, text string) (r receipt, ok bool) {
	t, err := own.Verify(context.Background(), text)
	if err != nil {
		return receipt{}, false
	}
	return receipt{t.Fingerprint, t.Claims.ExpiresAt.Add(time.Second).Truncate(time.Second)}, true // a fraction counts as a second
}
