package downloadtoken

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/problem"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler lets a request through to the next handler, usually file_server, only
// if it carries a JSON Web Token (RFC 7519) that is genuine, meant for the
// requested path and, with [OneTime], not used before.
//
// A request is judged in a fixed order, and the order is a security property:
// the token is found, screened, its header read, its key chosen, its signature
// verified; only then are its claims decoded and checked, then the method, the
// path against the token's scope, and the client's address. The nonce of a
// one-time token is reserved last, so that no refused request ever costs
// anybody a token, and it is spent when the first byte of the body is about to
// go out, so that a failed download does not cost one either.
//
// The token is taken out of the request before any other handler or error
// route sees it, unless `forward` is set. It is never logged, and neither are
// keys or claim values; log lines name a token by its fingerprint.
//
// A refused request gets the status of its reason (see [Reasons]). If the
// server has an error route for it, the error is returned to Caddy; otherwise
// the handler answers with application/problem+json (RFC 9457), or with a small
// page if the request accepts text/html.
//
// Placeholders set by this handler:
//
// Placeholder | Description
// ------------|------------
// `{http.download_token.reason}` | Why the request was refused, one of the reasons listed under `status`; empty if it was not
// `{http.download_token.sub}` | The `sub` claim
// `{http.download_token.nonce}` | The nonce of a one-time token
// `{http.download_token.scope}` | The `scope` claim
// `{http.download_token.issuer}` | The `iss` claim
// `{http.download_token.expires}` | The `exp` claim, RFC 3339, UTC
// `{http.download_token.fingerprint}` | 16 hex digits that name the token in logs; it cannot be turned back into a token
// `{http.auth.user.id}` | The `sub` claim, else `user`, unless an earlier handler has set it
//
// A token that was refused sets the reason and the fingerprint only.
type Handler struct {
	// Where the token is carried, in the order of precedence: the first source
	// that is present decides, whatever it holds. Default: the query parameter
	// `download_token`.
	From []Source `json:"from,omitempty"`

	verification.Config

	// A claim that holds an IP address or a CIDR range; the client's address, as
	// Caddy knows it (see `trusted_proxies`), must lie in it. A token without
	// the claim is refused. Clients change their address more often than one
	// expects, so use it with care. Default: not checked.
	IPClaim string `json:"ip_claim,omitempty"`

	// What a token opens. One that admits the path is enough; none is a
	// configuration error, `any` has to be said.
	ScopeRaw []json.RawMessage `json:"scope,omitempty" caddy:"namespace=http.handlers.download_token.scopes inline_key=type"`

	// Put in front of the request's path before it is compared with a scope:
	// what `handle_path` or `uri strip_prefix` took off. Default: none.
	PathPrefix string `json:"path_prefix,omitempty"`

	// If set, a token can be used once.
	OneTime *OneTime `json:"one_time,omitempty"`

	// The store that remembers which one-time tokens were used and which tokens
	// were revoked. Directives that name the same store share it. Default:
	// `default`.
	Store string `json:"store,omitempty"`

	// If set, the file is offered for saving: Content-Disposition: attachment.
	Attachment *Attachment `json:"attachment,omitempty"`

	// If set, people who open a link in a browser get a page with a button first, so
	// that previews use up no one-time links.
	Confirm *Confirm `json:"confirm,omitempty"`

	// What a refused client is asked for in WWW-Authenticate. Default: Bearer
	// without a realm; if `basic` is among the sources, Basic, and Bearer only if
	// that is a source too.
	Challenge *Challenge `json:"challenge,omitempty"`

	// Other status codes than the usual ones for refusals.
	Status []Status `json:"status,omitempty"`

	// Hand the token on to the next handlers instead of taking it out of the
	// request. Default: false. With it, whatever logs or stores URLs behind this
	// handler holds usable tokens.
	Forward bool `json:"forward,omitempty"`

	sources    []token.Source
	queryNames []string
	verifier   *token.Verifier
	rules      token.Rules
	keys       *verification.Keys
	scopes     []scopes.Scope
	app        *store.App
	store      store.Handle
	oneTime    *oneTime
	statuses   map[*denial]int
	pages      *pages
	now        func() time.Time
	logger     *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.download_token",
		New: func() caddy.Module { return new(Handler) },
	}
}

// ServeHTTP judges the request and serves it, or refuses it. It reads in the
// order in which the checks are made.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	w.Header().Set("Referrer-Policy", "no-referrer")
	if isPreflight(r) {
		h.strip(r)
		return passPreflight(w, r, next)
	}

	v, err := h.receive(w, r)
	if err == nil {
		err = h.judge(v)
	}
	if at, early := token.ValidFrom(err); early {
		err = h.untilValid(v, at, err)
	}
	if err != nil {
		return h.deny(v, err)
	}

	if err := h.store.Hold(r.Context()); err != nil {
		return h.deny(v, err)
	}
	defer h.store.LetGo()
	if err := h.again(v); err != nil {
		return h.deny(v, err)
	}
	if h.oneTime != nil {
		return h.once(v, next)
	}
	if err := h.store.Revoked(r.Context(), func() rules.Revocable { return h.revocable(v) }, v.now); err != nil {
		return h.deny(v, err)
	}
	if v.unpressed {
		return h.deny(v, errUnconfirmed)
	}
	h.publish(v)
	if h.asks(v) {
		return h.ask(v, next)
	}
	return h.deliver(v, next)
}

// receive finds the token, takes it out of the request, and reads what else the
// request has to say. Nothing of it is believed yet.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) (*visit, error) {
	text, source, err := token.Find(r, h.sources)
	v := &visit{r: r, w: w, text: text, now: h.now(), source: source, fingerprint: token.FingerprintOf(text)}
	v.rememberOriginal()
	h.strip(r)
	if err == nil && h.Confirm != nil && r.Method == http.MethodPost {
		if err = v.readForm(); err == nil && h.hasWaited(v) && h.app.Superseded() {
			err = errReloaded
		}
	}
	return v, err
}

// judge makes the checks that leave no trace.
func (h *Handler) judge(v *visit) error {
	var err error
	v.now = h.now()
	if v.token, err = h.verifier.Verify(v.r.Context(), v.text); err != nil {
		return err
	}
	if err = h.rules.Accept(v.token, v.now); err != nil {
		return err
	}
	if err = h.admitMethod(v); err != nil {
		return err
	}
	if v.path, err = scope.Path(v.r.URL); err != nil {
		return err
	}
	if v.opening = h.opening(v, h.PathPrefix+v.path); v.opening == scopes.Closed {
		return errScope
	}
	if !h.admitsClient(v) {
		return errClientIP
	}
	return nil
}

// visit is one request on its way through the handler: what has been learned
// about it so far.
type visit struct {
	r           *http.Request
	w           http.ResponseWriter
	text        string    // the token
	now         time.Time // when it was judged; before that, when it came
	source      token.Source
	fingerprint token.Fingerprint
	token       *token.Token
	nonce       string
	path        string // r.URL.Path as it was authorised
	opening     scopes.Opening
	original    original
	press       string         // the value that came with the button's POST
	confirmed   bool           // it was the button's POST
	unpressed   bool           // but nobody seems to have pressed the button
	grants      grantKeys      // that the token's use may open
	page        rules.GrantKey // what the page with the button is for
	fields      []zap.Field    // more of the line that says why it was refused
}

// admitsClient reports whether the token is not bound to an address, or the
// client has it.
func (h *Handler) admitsClient(v *visit) bool {
	if h.IPClaim == "" {
		return true
	}
	bound, ok := v.token.Claims.String(h.IPClaim)
	if !ok {
		return false
	}
	client, err := netip.ParseAddr(problem.ClientIP(v.r))
	if err != nil {
		return false
	}
	client = client.Unmap().WithZone("")
	if addr, err := netip.ParseAddr(bound); err == nil {
		return addr.Unmap() == client
	}
	prefix, err := netip.ParsePrefix(bound)
	return err == nil && prefix.Contains(client)
}

// publish sets the placeholders that describe an accepted token.
func (h *Handler) publish(v *visit) {
	repl := v.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	claims := &v.token.Claims
	user := claims.Subject
	if user == "" {
		user, _ = claims.String("user")
	}
	scopeClaim, _ := claims.String("scope")
	repl.Set("http.download_token.reason", "")
	repl.Set("http.download_token.sub", claims.Subject)
	repl.Set("http.download_token.nonce", v.nonce)
	repl.Set("http.download_token.scope", scopeClaim)
	repl.Set("http.download_token.issuer", claims.Issuer)
	repl.Set("http.download_token.expires", claims.ExpiresAt.UTC().Format(time.RFC3339))
	repl.Set("http.download_token.fingerprint", v.fingerprint.String())
	if id, _ := repl.GetString("http.auth.user.id"); id == "" && user != "" {
		repl.Set("http.auth.user.id", user)
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
