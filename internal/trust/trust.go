// Package trust makes what verifies tokens, keys and rules, of the settings in
// package verification.
package trust

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
)

// Open checks the settings, reads the keys, and returns what verifies by them. It
// does no network I/O: sets of keys are fetched when the app download_token starts.
// Errors name the setting, and what to write instead. The anchors must be closed
// when the configuration is unloaded.
func Open(ctx caddy.Context, c *verification.Config, logger *zap.Logger, now time.Time) (*token.Verifier, *Anchors, error) {
	if err := check(c); err != nil {
		return nil, nil, err
	}
	static, err := readKeys(c.Key, logger, now)
	if err != nil {
		return nil, nil, err
	}
	anchors := &Anchors{Static: static}
	for i, configured := range c.JWKS {
		set, err := acquire(configured, logger)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("jwks %d: %w", i+1, err), anchors.Close())
		}
		anchors.sets = append(anchors.sets, set)
	}
	if err := anchors.startWith(ctx); err != nil {
		return nil, nil, errors.Join(err, anchors.Close())
	}
	return &token.Verifier{Keys: anchors.source()}, anchors, nil
}

// Requires reports whether a token must have the claim.
func Requires(c *verification.Config, claim string) bool {
	return slices.ContainsFunc(c.Require, func(r verification.Requirement) bool { return r.Claim == claim })
}

func check(c *verification.Config) error {
	for _, r := range c.Require {
		if r.Claim == "" {
			return errors.New("require: the name of the claim is missing, such as: require typ download")
		}
	}
	switch {
	case c.MaxTTL < 0:
		return errors.New("max_ttl: must not be negative; write a duration such as 10m, or leave it out")
	case c.Leeway < 0:
		return errors.New("leeway: must not be negative; write a duration such as 5s, or leave it out")
	case len(c.Key) == 0 && len(c.JWKS) == 0:
		return errors.New("key: at least one is required, such as: key HS256 {env.DOWNLOAD_SECRET} (or jwks)")
	}
	return nil
}

// readKeys reads the keys. Their values replace their placeholders only in
// what is kept privately; the configuration can be read by others.
func readKeys(all []verification.TrustedKey, logger *zap.Logger, now time.Time) (*token.Table, error) {
	var keys []token.Key
	for i, configured := range all {
		where := fmt.Sprintf("key %d", i+1)
		if configured.KeyID != "" {
			where += " (" + configured.KeyID + ")"
		}
		material, err := Material(configured.Key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		key, warnings, err := token.ParseKey(configured.Alg, material)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		for _, warning := range warnings {
			logger.Warn("weak key", zap.String("key", where), zap.String("warning", warning))
		}
		if key.CertificateExpired(now) {
			logger.Warn("the certificate has expired; its key is used all the same", zap.String("key", where))
		}
		key.ID, key.Issuer = configured.KeyID, configured.Issuer
		keys = append(keys, key)
	}
	table, err := token.NewTable(keys...)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return table, nil
}

// Rules are the checks on the claims.
func Rules(c *verification.Config) token.Rules {
	rules := token.Rules{
		Issuers:    c.Issuer,
		Audiences:  c.Audience,
		HeaderTyps: c.HeaderTyp,
		MaxTTL:     time.Duration(c.MaxTTL),
		Leeway:     time.Duration(c.Leeway),
	}
	for _, r := range c.Require {
		rules.Require = append(rules.Require, token.Requirement{Claim: r.Claim, Values: r.Values})
	}
	return rules
}
