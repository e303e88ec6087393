package issuer

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/metrics"
)

const (
	defaultUser  = "{http.auth.user.id}"
	defaultStore = "default"
)

// Provision prepares the handler. It does no network I/O and writes nothing.
func (i *Issuer) Provision(ctx caddy.Context) error {
	i.logger = ctx.Logger()
	if i.now == nil {
		i.now = time.Now
	}
	if i.User == "" {
		i.User = defaultUser
	}
	if i.Store == "" {
		i.Store = defaultStore
	}
	if i.Status == 0 {
		i.Status = 201
	}
	if i.Status < 200 || i.Status > 299 || i.Status == 204 || i.Status == 205 {
		return fmt.Errorf("status: %d does not go with a token in the body; write a code such as 200 or 201", i.Status)
	}
	if err := i.provisionMinter(); err != nil {
		return err
	}
	for _, value := range i.RequireUUID {
		if !strings.Contains(value, "{") {
			return fmt.Errorf("require_uuid: '%s' is always the same; write a placeholder, such as {re.dataset.1}", value)
		}
	}
	if i.Link != "" {
		var err error
		if i.link, err = newLink(i.Link); err != nil {
			return fmt.Errorf("link: %w", err)
		}
	}
	if err := metrics.Register(ctx, issued); err != nil {
		return err
	}
	return i.provisionRevoker(ctx)
}

// provisionMinter reads the key and the claims.
func (i *Issuer) provisionMinter() error {
	if i.Key == nil {
		return errors.New("key: the key that signs is missing, such as: key HS256 {env.DOWNLOAD_SECRET}")
	}
	signer, warnings, err := newSigner(i.Key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	for _, warning := range warnings {
		i.logger.Warn("weak key", zap.String("warning", warning))
	}
	ttl := time.Duration(i.TTL)
	switch {
	case ttl == 0:
		return errors.New("ttl: missing; say how long a token lives, such as: ttl 10m")
	case ttl < time.Second, ttl%time.Second != 0, ttl > maxTTL:
		return errors.New("ttl: must be whole seconds, at least one and at most 10 years; write a duration such as 10m")
	}
	claims, err := prepareClaims(i.Claim, i.OneTime)
	if err != nil {
		return err
	}
	if reserved[i.OneTime] {
		return fmt.Errorf("one_time: %s cannot hold the nonce; write another claim, such as jti or nonce", i.OneTime)
	}
	i.minter = &minter{signer: signer, claims: claims, nonce: i.OneTime, ttl: ttl}
	i.sealer = newSealer(signer)
	keys, err := token.NewTable(signer.Key())
	i.own = &token.Verifier{Keys: keys}
	return err
}

// maxTTL keeps exp in the range that verifiers accept.
const maxTTL = 10 * 365 * 24 * time.Hour

// reserved are registered claims that have another meaning than a nonce.
var reserved = map[string]bool{"iss": true, "sub": true, "aud": true, "exp": true, "nbf": true, "iat": true}

// provisionRevoker finds out who keeps revocations.
func (i *Issuer) provisionRevoker(ctx caddy.Context) error {
	app, err := ctx.App("download_token")
	if err != nil {
		return err
	}
	i.revoker = app.(*store.App)
	return nil
}
