package downloadtoken

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
	"github.com/caddy-download-token/caddy-download-token/internal/tokencache"
	"github.com/caddy-download-token/caddy-download-token/internal/trust"
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
	if err := h.provisionProfile(); err != nil {
		return err
	}
	if err := h.provisionSources(); err != nil {
		return err
	}
	verifier, anchors, err := trust.Open(ctx, &h.Config, h.logger, h.now())
	if err != nil {
		return err
	}
	h.anchors = anchors
	if err := h.provisionChildren(anchors.Static.Keys()); err != nil {
		return err
	}
	if err := h.provisionRenewal(anchors.Static.Keys()); err != nil {
		return err
	}
	if err := h.provisionCache(verifier); err != nil {
		return err
	}
	h.rules = trust.Rules(&h.Config)
	h.rules.OneTime = h.OneTime != nil
	if err := h.provisionScopes(ctx); err != nil {
		return err
	}
	if err := h.provisionMethods(ctx.FileSystems()); err != nil {
		return err
	}
	if err := h.provisionStore(ctx, anchors); err != nil {
		return err
	}
	if err := h.provisionAnswers(); err != nil {
		return err
	}
	if h.OneTime != nil && !h.pages.Presses {
		h.logger.Warn("the template of confirm has no hidden field press, so a double click can lose a one-time link; " +
			`write into its form: <input type="hidden" name="press" value="{{.Press}}">`)
	}
	if err := h.provisionEvents(ctx); err != nil {
		return err
	}
	return h.provisionMetrics(ctx)
}

// provisionCache puts the memory of verified tokens in front of the verifier, where
// tokens come more than once.
func (h *Handler) provisionCache(plain *token.Verifier) error {
	entries := h.Cache
	switch {
	case entries < -1 || entries > maxCache:
		return fmt.Errorf("cache: write off, or how many verified tokens are remembered, 1 to %d", maxCache)
	case entries == 0 && (h.OneTime == nil || h.OneTime.Resume != nil || h.profile != nil):
		entries = tokencache.DefaultEntries
	}
	if entries <= 0 {
		h.verifier = timed{plain: plain}
		return nil
	}
	cache, err := tokencache.New(plain, entries)
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	h.verifier, h.forget = timed{plain, cache}, caches.add(cache)
	return nil
}

// maxCache bounds `cache`: so many entries may take 2 GiB.
const maxCache = 1_000_000

// Cleanup lets go of the sets of keys, and of what was verified with them.
func (h *Handler) Cleanup() error {
	if h.forget != nil {
		h.forget()
	}
	return h.anchors.Close()
}

// provisionAnswers prepares what clients get.
func (h *Handler) provisionAnswers() (err error) {
	if err := h.provisionRefusals(); err != nil {
		return err
	}
	h.answers = response.Policy{
		OneTime:    h.oneTime != nil,
		Whole:      h.oneTime != nil && h.oneTime.resume == nil,
		Negotiated: h.Confirm != nil,
	}
	for _, source := range h.sources {
		if name := source.Field(); name != "" { // the URL has none: answers to two URLs are apart anyhow
			h.answers.Carriers = append(h.answers.Carriers, name)
		}
	}
	if h.Attachment != nil {
		h.answers.Disposition = h.Attachment.disposition
	}
	if h.profile != nil {
		h.profile.answers = h.answers
		h.profile.answers.OneTime, h.profile.answers.Whole = false, false
	}
	template := ""
	if h.Confirm != nil {
		template = h.Confirm.Template
	}
	site, err := h.Page.site()
	if err != nil {
		return err
	}
	h.pages, err = confirm.Load(template, site)
	return err
}

// site is what pages say of the site.
func (p *Page) site() (site confirm.Site, err error) {
	if p == nil {
		return site, nil
	}
	repl := caddy.NewReplacer()
	if site.Name, err = repl.ReplaceOrErr(p.Title, true, true); err != nil {
		return site, fmt.Errorf("page: title: %w; write the name of the site, or {env.NAME} with it", err)
	}
	if site.Contact, err = repl.ReplaceOrErr(p.Contact, true, true); err != nil {
		return site, fmt.Errorf("page: contact: %w; write a text, an address for mail, or a URL, or {env.NAME} with one of them", err)
	}
	return site, nil
}

// disposition is the value of Content-Disposition for the request (RFC 6266).
func (a *Attachment) disposition(r *http.Request) string {
	name := ""
	if a.Filename != "" {
		repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		name = repl.ReplaceAll(a.Filename, "")
	} else if !strings.HasSuffix(r.URL.Path, "/") {
		name = path.Base(r.URL.Path)
	}
	return response.Attachment(name)
}

// provisionSources sets the default and checks the names.
func (h *Handler) provisionSources() error {
	if len(h.From) == 0 {
		h.From = []Source{{In: string(token.Query), Name: []string{DefaultQuery}}}
	}
	for _, from := range h.From {
		kind := token.Kind(from.In)
		if !slices.Contains([]token.Kind{token.Query, token.Path, token.Header, token.Cookie, token.Basic}, kind) {
			return fmt.Errorf("from: unknown source '%s'; write query, path, header, cookie or basic", from.In)
		}
		if kind == token.Path && h.Forward {
			return errors.New("from path: does not go with forward, because with the token in its path a request is for no file; remove forward")
		}
		if len(from.Name) == 0 && kind != token.Basic {
			return fmt.Errorf("from %s: the name is missing, such as: from %s download_token", from.In, from.In)
		}
		for _, name := range from.Name {
			switch {
			case name == "", strings.ContainsAny(name, "{}"):
				return fmt.Errorf("from %s: '%s' is not a name; placeholders cannot be used here", from.In, name)
			case kind == token.Basic:
				if strings.Contains(name, ":") || strings.ContainsFunc(name, unicode.IsControl) {
					return fmt.Errorf("from basic: '%s' is not a user name; it cannot hold a colon or control bytes (RFC 7617 section 2)", name)
				}
			case kind != token.Query && !httpguts.ValidHeaderFieldName(name):
				return fmt.Errorf("from %s: '%s' is not a valid name; write letters, digits and hyphens, such as: from %[1]s X-Token", from.In, name)
			}
		}
		for _, source := range from.Sources() {
			switch {
			case slices.Contains(h.sources, source) && source.Name != "":
				return fmt.Errorf("from %s: %s is named twice; write it once", from.In, source.Name)
			case kind == token.Basic && slices.ContainsFunc(h.sources, func(other token.Source) bool {
				return other.Kind == kind && (other.Name == "" || source.Name == "")
			}):
				return errors.New("from basic: without user names it takes every user; write it once")
			}
			h.sources = append(h.sources, source)
		}
	}
	return h.provisionCarry()
}

// provisionScopes prepares the scopes.
func (h *Handler) provisionScopes(ctx caddy.Context) error {
	if len(h.ScopeRaw) == 0 && h.profile == nil {
		return errors.New("scope: missing; say what a token opens, such as: scope template dataset:{id} /datasets/{id}/* " +
			"(or, if every token may open every file: scope any)")
	}
	for i, raw := range h.ScopeRaw {
		s, err := loadScope(ctx, raw)
		if err != nil {
			return fmt.Errorf("scope %d: %w", i+1, err)
		}
		h.scopes = append(h.scopes, s)
	}
	return checkPrefix("path_prefix", h.PathPrefix)
}

// provisionStore opens the store and makes sure that no other directive uses the
// same one-time tokens in another way.
func (h *Handler) provisionStore(ctx caddy.Context, anchors *trust.Anchors) error {
	appModule, err := ctx.App("download_token")
	if err != nil {
		return err
	}
	app := appModule.(*store.App)
	h.app = app
	app.OnStartOnce("error routes", func() { warnOfErrorRoutes(ctx, h.logger) })
	app.OnStartOnce("uploads", func() { warnOfUploads(ctx, h.logger) })
	app.OnStartOnce("plain logs", func() { warnOfPlainLogs(ctx, h.logger) })
	name := h.storeName()
	if h.store, err = app.Open(name); err != nil {
		return err
	}
	if h.OneTime == nil {
		return nil
	}
	o, err := h.OneTime.prepare(&h.Config)
	if err != nil {
		return err
	}
	h.profile.chains(o)
	use := store.Policy{Keys: o.policy, Uses: o.uses, UsesClaim: o.usesClaim, MaxTTL: o.maxTTL}
	if trust.Requires(&h.Config, "iat") {
		use.MaxTTL = 0
	}
	for _, key := range anchors.Static.Keys() {
		if err := app.Agree(name, rules.Signer(key.Fingerprint()), use); err != nil {
			return err
		}
	}
	for _, source := range anchors.Sources() { // whose keys are not known yet
		if err := app.Agree(name, sha256.Sum256([]byte(source)), use); err != nil {
			return err
		}
	}
	switch {
	case o.resume == nil:
	case o.resume.PastExp:
		app.Outlive(name, time.Duration(o.resume.Window))
	case h.MaxTTL > 0 && o.resume.Window > h.MaxTTL:
		h.logger.Warn(fmt.Sprintf("resume %v is longer than max_ttl %v: a download can be continued until the exp of its token, "+
			"so for %[2]v at most; make max_ttl longer, or resume shorter", time.Duration(o.resume.Window), time.Duration(h.MaxTTL)))
	}
	if time.Duration(h.MaxTTL) > time.Hour {
		h.logger.Warn("max_ttl is long for one-time tokens: after a restart that is not clean, or with a full memory store, " +
			"tokens issued before are refused until they would have expired; prefer an hour or less, or the store bolt")
	}
	if o.resume == nil && !h.writable() {
		h.logger.Info("one_time without resume sends each file whole, in one request; whatever reads a file in parts, " +
			"such as GDAL, h5py, yt-dlp, axel and media players that seek, needs it: write resume and a window, such as resume 10m, into a block of one_time")
	}
	h.oneTime = o
	return nil
}

// storeName is the name of the store.
func (h *Handler) storeName() string { return cmp.Or(h.Store, store.DefaultName) }

// Validate checks what needs no preparation.
func (h *Handler) Validate() error {
	if c := h.Challenge; c != nil {
		if !httpguts.ValidHeaderFieldName(c.Scheme) { // a scheme is a token, as a field name is
			return fmt.Errorf("challenge: '%s' is not an authentication scheme; write one word, such as Bearer or Token", c.Scheme)
		}
		if !httpguts.ValidHeaderFieldValue(c.Realm) {
			return errors.New("challenge: the realm has characters that a header cannot hold; write it without line breaks and control characters")
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
