// Package verification is the part of the configuration that says which tokens
// are believed, by which keys and by which rules. The handlers that verify
// tokens share it, so that one Caddyfile snippet fits them all.
package verification

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Verifier checks the configuration, reads the keys, and returns what verifies
// by them. It does no network I/O: sets of keys are fetched when the app
// download_token starts. Errors name the setting, and what to write instead. The
// keys must be closed when the configuration is unloaded.
func (c *Config) Verifier(ctx caddy.Context, logger *zap.Logger, now time.Time) (*token.Verifier, *Keys, error) {
	if err := c.validate(); err != nil {
		return nil, nil, err
	}
	static, err := c.readKeys(logger, now)
	if err != nil {
		return nil, nil, err
	}
	keys := &Keys{Static: static}
	for i, configured := range c.JWKS {
		set, err := acquire(configured, logger)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("jwks %d: %w", i+1, err), keys.Close())
		}
		keys.sets = append(keys.sets, set)
	}
	if err := keys.startWith(ctx); err != nil {
		return nil, nil, errors.Join(err, keys.Close())
	}
	return &token.Verifier{Keys: keys.source()}, keys, nil
}

// Requires reports whether a token must have the claim.
func (c *Config) Requires(claim string) bool {
	return slices.ContainsFunc(c.Require, func(r Requirement) bool { return r.Claim == claim })
}

func (c *Config) validate() error {
	for _, r := range c.Require {
		if r.Claim == "" {
			return errors.New("require: the name of the claim is missing, such as: require typ download")
		}
	}
	if c.MaxTTL < 0 {
		return errors.New("max_ttl: must not be negative; write a duration such as 10m, or leave it out")
	}
	if c.Leeway < 0 {
		return errors.New("leeway: must not be negative; write a duration such as 5s, or leave it out")
	}
	return nil
}

// readKeys reads the keys. Their values replace their placeholders only in
// what is kept privately; the configuration can be read by others.
func (c *Config) readKeys(logger *zap.Logger, now time.Time) (*token.Table, error) {
	if len(c.Key) == 0 && len(c.JWKS) == 0 {
		return nil, errors.New("key: at least one is required, such as: key HS256 {env.DOWNLOAD_SECRET} (or jwks)")
	}
	var keys []token.Key
	for i, configured := range c.Key {
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

// Material returns what a configured key stands for: its placeholders are
// replaced, once. One that is unknown or empty is an error, which says what to
// write instead and never holds a key.
func Material(configured string) (string, error) {
	material, err := caddy.NewReplacer().ReplaceOrErr(configured, true, true)
	if err != nil {
		if unreadable := unreadableFile(configured); unreadable != nil {
			return "", unreadable
		}
		return "", fmt.Errorf("%w; write {env.NAME} or {file./absolute/path} and make sure that it is set "+
			`(a brace that belongs to a secret is written \{)`, withoutValue(err))
	}
	return material, nil
}

// unreadableFile says why a file that configured names cannot be used, which Caddy
// only logs: for the replacer, it is as good as empty.
func unreadableFile(configured string) error {
	for {
		_, rest, found := strings.Cut(configured, "{file.")
		name, rest, closed := strings.Cut(rest, "}")
		if !found || !closed || strings.Contains(name, "{") {
			return nil
		}
		configured = rest
		err := readable(name)
		switch {
		case errors.Is(err, fs.ErrPermission):
			return fmt.Errorf("the file %s cannot be read: %w; let the user that Caddy runs as read it, such as with: "+
				"chown root:caddy and chmod 640", name, err)
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("the file %s cannot be read: %w; write the absolute path of a file that is there", name, err)
		case err != nil:
			return fmt.Errorf("the file %s cannot be read: %w", name, err)
		}
	}
}

// readable reports why there is not one byte to be read.
func readable(name string) error {
	file, err := os.Open(name)
	if err == nil {
		defer file.Close()
		_, err = io.ReadFull(file, make([]byte, 1))
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err // without the name once more
	}
	if errors.Is(err, io.EOF) {
		return errors.New("it is empty")
	}
	return err
}

// withoutValue keeps an error of the replacer from quoting a secret in which a
// brace looked like a placeholder.
func withoutValue(err error) error {
	text := err.Error()
	if i := strings.IndexByte(text, '{'); i >= 0 && !knownPlaceholder(text[i:]) {
		return errors.New("unknown placeholder")
	}
	return err
}

// knownPlaceholder reports whether text begins with a placeholder of the kind
// that is meant to stand in a key.
func knownPlaceholder(text string) bool {
	return strings.HasPrefix(text, "{env.") || strings.HasPrefix(text, "{file.") || strings.HasPrefix(text, "{system.")
}

// Rules are the checks on the claims.
func (c *Config) Rules() token.Rules {
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
