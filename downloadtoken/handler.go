package downloadtoken

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
	"github.com/caddy-download-token/caddy-download-token/internal/trust"
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
// `{http.download_token.sub}` | The `sub` claim; with a profile, decrypted
// `{http.download_token.nonce}` | The nonce of a one-time token
// `{http.download_token.scope}` | The `scope` claim
// `{http.download_token.issuer}` | The `iss` claim
// `{http.download_token.expires}` | The `exp` claim, RFC 3339, UTC
// `{http.download_token.claim.*}` | Any other claim by its name, if it is a string, a number or a boolean
// `{http.download_token.fingerprint}` | 16 hex digits that name the token in logs; it cannot be turned back into a token. Empty if there was none, see `optional`
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

	// If set, tokens are those of a standard, which says what they open. Default: not
	// set, `scope` says so.
	Profile *Profile `json:"profile,omitempty"`

	// What a token opens. One that admits the path is enough; none is a
	// configuration error, `any` has to be said.
	ScopeRaw []json.RawMessage `json:"scope,omitempty" caddy:"namespace=http.handlers.download_token.scopes inline_key=type"`

	// Put in front of the request's path before it is compared with a scope:
	// what `handle_path` or `uri strip_prefix` took off. Default: none.
	PathPrefix string `json:"path_prefix,omitempty"`

	// Which methods requests may have. With one that writes, what a request would do to
	// the files is asked of the scopes; without this, GET and HEAD pass.
	Methods *Methods `json:"methods,omitempty"`

	// If set, a token can be used once.
	OneTime *OneTime `json:"one_time,omitempty"`

	// The store that remembers which one-time tokens were used and which tokens
	// were revoked. Directives that name the same store share it. Default:
	// `default`.
	Store string `json:"store,omitempty"`

	// If set, what a page, a playlist or a listing refers to opens as well. With
	// [OneTime] only where that counts each path.
	Carry *Carry `json:"carry,omitempty"`

	// If set, the file is offered for saving: Content-Disposition: attachment.
	Attachment *Attachment `json:"attachment,omitempty"`

	// If set, people who open a link in a browser get a page with a button first, so
	// that previews use up no one-time links.
	Confirm *Confirm `json:"confirm,omitempty"`

	// The name of the site and a contact, for the pages that people see. Their language
	// is the one of the built-in ones that Accept-Language prefers.
	Page *Page `json:"page,omitempty"`

	// What a refused client is asked for in WWW-Authenticate. Default: Bearer
	// without a realm; if `basic` is among the sources, Basic, and Bearer only if
	// that is a source too.
	Challenge *Challenge `json:"challenge,omitempty"`

	// Other status codes than the usual ones for refusals.
	Status []Status `json:"status,omitempty"`

	// How many verified tokens are remembered, so that the signature of one that comes
	// again, as with each range of a file, is not verified again; -1: none. What depends
	// on the time, the request or the store is judged each time, and a token is
	// forgotten with its key. Default: 10,000, which take 20 MiB at most; none with
	// [OneTime] without [Resume], whose tokens do not come again.
	Cache int `json:"cache,omitempty"`

	// Let requests that carry no token at all pass, unjudged, to the next handlers: for
	// public and private files under one tree. A token that is there and is refused does
	// not pass. Everything that the next handlers serve to whom does not matter to this
	// one is public then; what is not has to ask for `{http.download_token.fingerprint}`,
	// which is empty without a token. Default: false.
	Optional bool `json:"optional,omitempty"`

	// Hand the token on to the next handlers instead of taking it out of the
	// request. Default: false. With it, whatever logs or stores URLs behind this
	// handler holds usable tokens.
	Forward bool `json:"forward,omitempty"`

	sources  []token.Source
	verifier timed
	forget   func() // lets go of the verified tokens that are remembered; nil if none are
	rules    token.Rules
	anchors  *trust.Anchors
	scopes   []scopes.Scope
	app      *store.App
	store    store.Handle
	oneTime  *oneTime
	profile  *profile // nil: none
	carrier  *carrier // nil: nothing is carried
	answers  response.Policy
	refusals map[*denial]*refusal
	pages    *confirm.Pages
	now      func() time.Time
	logger   *zap.Logger
	ctx      caddy.Context
	events   *caddyevents.App // nil: none
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
	if response.IsPreflight(r) {
		response.Confine(r)
		h.strip(r)
		return response.Preflight(w, r, next)
	}
	v := &visit{h: h, w: w, r: r}
	defer v.leave() // in a defer: a panic must not leave a nonce reserved
	err := v.receive()
	if v.passes {
		return v.pass(next)
	}
	if err == nil {
		err = v.judge()
	}
	if at, early := token.ValidFrom(err); early {
		err = v.untilValid(at, err)
	}
	if err == nil {
		err = v.admit()
	}
	if err != nil {
		return v.deny(err)
	}
	v.publish()
	if v.asks {
		return v.ask(next)
	}
	return v.serve(next)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
