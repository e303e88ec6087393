package downloadtoken

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/nonce"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// DefaultQuery is the query parameter that holds the token if no source is
// configured.
const DefaultQuery = "download_token"

// Provision prepares the handler. It does no network I/O and writes nothing.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	if h.now == nil {
		h.now = time.Now
	}
	if err := h.provisionSources(); err != nil {
		return err
	}
	keys, err := h.provisionKeys()
	if err != nil {
		return err
	}
	h.verifier = &token.Verifier{Keys: keys, Rules: h.rules()}
	if err := h.provisionScopes(); err != nil {
		return err
	}
	if err := h.provisionOneTime(ctx, keys); err != nil {
		return err
	}
	h.statuses = statusesOf(h.Status)
	return registerMetrics(ctx)
}

// provisionSources sets the default and checks the names.
func (h *Handler) provisionSources() error {
	if len(h.From) == 0 {
		h.From = []Source{{In: string(token.Query), Name: []string{DefaultQuery}}}
	}
	for _, from := range h.From {
		kind := token.Kind(from.In)
		if !slices.Contains([]token.Kind{token.Query, token.Header, token.Cookie}, kind) {
			return fmt.Errorf("from: unknown source '%s'; write query, header or cookie", from.In)
		}
		if len(from.Name) == 0 {
			return fmt.Errorf("from %s: the name is missing, such as: from %s download_token", from.In, from.In)
		}
		for _, name := range from.Name {
			source := token.Source{Kind: kind, Name: name}
			if kind == token.Header {
				source.Name = http.CanonicalHeaderKey(name) // found without allocation
			}
			switch {
			case name == "", strings.ContainsAny(name, "{}"):
				return fmt.Errorf("from %s: '%s' is not a name; placeholders cannot be used here", from.In, name)
			case kind != token.Query && !httpguts.ValidHeaderFieldName(name):
				return fmt.Errorf("from %s: '%s' is not a valid name", from.In, name)
			case slices.Contains(h.sources, source):
				return fmt.Errorf("from %s: %s is named twice", from.In, name)
			}
			h.sources = append(h.sources, source)
		}
	}
	h.queryNames = token.QueryNames(h.sources)
	return nil
}

// provisionKeys reads the keys. Their values replace their placeholders only in
// what is kept privately; the configuration can be read by others.
func (h *Handler) provisionKeys() (*token.Table, error) {
	if len(h.Key) == 0 {
		return nil, errors.New("key: at least one is required, such as: key HS256 {env.DOWNLOAD_SECRET}")
	}
	repl := caddy.NewReplacer()
	var keys []token.Key
	for i, configured := range h.Key {
		where := fmt.Sprintf("key %d", i+1)
		if configured.KeyID != "" {
			where += " (" + configured.KeyID + ")"
		}
		material, err := repl.ReplaceOrErr(configured.Key, true, true)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; write {env.NAME} or {file./absolute/path} and make sure that it is set "+
				`(a brace that belongs to a secret is written \{)`, where, withoutValue(err))
		}
		key, warnings, err := token.ParseKey(configured.Alg, material)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		for _, warning := range warnings {
			h.logger.Warn("weak key", zap.String("key", where), zap.String("warning", warning))
		}
		if key.CertificateExpired(h.now()) {
			h.logger.Warn("the certificate has expired; its key is used all the same", zap.String("key", where))
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

// rules are the checks on the claims.
func (h *Handler) rules() token.Rules {
	rules := token.Rules{
		Issuers:    h.Issuer,
		Audiences:  h.Audience,
		HeaderTyps: h.HeaderTyp,
		MaxTTL:     time.Duration(h.MaxTTL),
		Leeway:     time.Duration(h.Leeway),
		OneTime:    h.OneTime != nil,
	}
	for _, r := range h.Require {
		rules.Require = append(rules.Require, token.Requirement{Claim: r.Claim, Values: r.Values})
	}
	return rules
}

// provisionScopes prepares the scopes.
func (h *Handler) provisionScopes() error {
	if len(h.Scope) == 0 {
		return errors.New("scope: missing; say what a token opens, such as: scope template dataset:{id} /datasets/{id}/* " +
			"(or, if every token may open every file: scope any)")
	}
	for i, s := range h.Scope {
		rule, err := s.rule(h.logger)
		if err != nil {
			return fmt.Errorf("scope %d: %w", i+1, err)
		}
		h.scopes = append(h.scopes, rule)
	}
	if h.PathPrefix != "" {
		if strings.HasSuffix(h.PathPrefix, "/") {
			return fmt.Errorf("path_prefix: leave out the slash at the end of '%s'", h.PathPrefix)
		}
		if _, err := scope.Path(&url.URL{Path: h.PathPrefix}); err != nil {
			return fmt.Errorf("path_prefix: '%s' must be an absolute path without dots, backslashes or double slashes, such as /pub", h.PathPrefix)
		}
	}
	return nil
}

// provisionOneTime opens the store and makes sure that nobody else uses the
// same tokens in another way.
func (h *Handler) provisionOneTime(ctx caddy.Context, keys *token.Table) error {
	if h.OneTime == nil {
		if h.Store != "" {
			return errors.New("store: only one-time tokens are stored; add one_time, or leave store out")
		}
		return nil
	}
	o, err := h.OneTime.prepare(h.rules())
	if err != nil {
		return err
	}
	appModule, err := ctx.App("download_token")
	if err != nil {
		return err
	}
	app := appModule.(*App)
	name := h.Store
	if name == "" {
		name = DefaultStore
	}
	if o.store, err = app.store(name); err != nil {
		return err
	}
	for _, key := range keys.Keys() {
		if err := app.agree(name, nonce.Signer(key.Fingerprint()), o.policy(), o.uses); err != nil {
			return err
		}
	}
	if o.maxTTL > time.Hour {
		h.logger.Warn("max_ttl is long for one-time tokens: after a restart that is not clean, or with a full memory store, " +
			"tokens issued before are refused until they would have expired; prefer an hour or less")
	}
	h.oneTime = o
	return nil
}

// prepare sets the defaults and checks what belongs together.
func (o *OneTime) prepare(rules token.Rules) (*oneTime, error) {
	if len(o.Claim) == 0 {
		o.Claim = []string{"jti", "nonce"}
	}
	if o.Spend == "" {
		o.Spend = "response"
	}
	if o.Per == "" {
		o.Per = "token"
	}
	if o.Uses == 0 {
		o.Uses = 1
	}
	requiresIssuedAt := slices.ContainsFunc(rules.Require, func(r token.Requirement) bool { return r.Claim == "iat" })
	switch {
	case o.Spend != "response" && o.Spend != "request":
		return nil, fmt.Errorf("one_time: spend is response or request, not '%s'", o.Spend)
	case o.Per != "token" && o.Per != "path":
		return nil, fmt.Errorf("one_time: per is token or path, not '%s'", o.Per)
	case o.Uses < 1 || o.Uses > maxUses:
		return nil, fmt.Errorf("one_time: uses must be between 1 and %d, not %d", maxUses, o.Uses)
	case rules.MaxTTL == 0 && !requiresIssuedAt:
		return nil, errors.New("one_time: after a restart, a token without iat can be told from a used one only by its exp; " +
			"add max_ttl (such as: max_ttl 10m), or require iat")
	}
	return &oneTime{
		claims:    o.Claim,
		onRequest: o.Spend == "request",
		uses:      o.Uses,
		perPath:   o.Per == "path",
		leeway:    rules.Leeway,
		maxTTL:    rules.MaxTTL,
	}, nil
}

// maxUses bounds `uses`; a token for more is not a one-time token any more.
const maxUses = 1000

// Validate checks what needs no preparation.
func (h *Handler) Validate() error {
	for _, r := range h.Require {
		if r.Claim == "" {
			return errors.New("require: the name of the claim is missing, such as: require typ download")
		}
	}
	if h.MaxTTL < 0 || h.Leeway < 0 {
		return errors.New("max_ttl and leeway must not be negative")
	}
	if c := h.Challenge; c != nil {
		if !httpguts.ValidHeaderFieldName(c.Scheme) { // a scheme is a token, as a field name is
			return fmt.Errorf("challenge: '%s' is not an authentication scheme; write one word, such as Bearer or Token", c.Scheme)
		}
		if !httpguts.ValidHeaderFieldValue(c.Realm) {
			return errors.New("challenge: the realm has characters that a header cannot hold")
		}
	}
	for _, s := range h.Status {
		if s.Code < 400 || s.Code > 599 {
			return fmt.Errorf("status: %d does not refuse anything; write a code between 400 and 599", s.Code)
		}
		for _, reason := range s.Reason {
			if !slices.Contains(Reasons(), reason) {
				return fmt.Errorf("status: unknown reason '%s'; write one of %s", reason, strings.Join(Reasons(), ", "))
			}
		}
	}
	return nil
}
