package downloadtoken

import (
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/downloads"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
	"github.com/caddy-download-token/caddy-download-token/internal/ticket"
)

// visit is one request on its way through the handler. Each step adds what it has
// learned, in the order of the fields.
type visit struct {
	h *Handler
	w http.ResponseWriter
	r *http.Request

	// receive: what the request brings. Nothing of it is believed yet.
	text   string // the token
	source token.Source
	press  string     // the value that came with the button's POST
	uri    *signedURI // nil without a profile
	passes bool       // there is no token, and there need not be one

	// judge: what has been verified, and when.
	judged      time.Time // before the first judgement, when the request came
	token       *token.Token
	within      string // the folder of which it opens what its scope opens; "": all
	fingerprint token.Fingerprint
	past        bool   // it has expired, and may only join an open grant
	confirmed   bool   // it was the button's POST
	unpressed   bool   // but as far as the browser tells, no person has pressed it
	path        string // r.URL.Path as it was authorised
	opening     scopes.Opening
	oneTime     *oneTime       // nil: the token may be used as often as one likes
	writes      bool           // the request may change something
	errand      *errand        // what it is about; nil for GET and HEAD
	pageOnly    bool           // see ticket.Ticket
	ticket      *ticket.Ticket // for the handlers behind; nil if nothing can be written

	// admit: what the store says.
	held  bool // the store cannot close
	nonce string
	page  rules.GrantKey // what the page with the button is for
	asks  bool           // to be answered with that page
	keys  grantKeys      // of the grants that the token's use may open
	use   store.Use      // of a one-time token; nil if there is nothing to spend
	grant store.Grant    // that was joined, or opened by this request
	spent bool

	download *downloads.Download // that the grant continues
	began    time.Time           // when the token was spent
	whole    bool                // the answer was sent to its end

	listing bool // the answer is known to be one

	own    placeholders // unless an earlier directive has made them
	answer response.Delivery
	fields []zap.Field // more of the line that says why it was refused
}

// leave gives back what the request has not used, and tells what it has delivered. A
// reservation that was committed is none any more.
func (v *visit) leave() {
	if v.errand != nil {
		defer v.errand.end(v.r.Header)
	}
	v.noteCode()
	v.account()
	v.settle()
	if v.use != nil {
		v.use.Release()
	}
	if v.held {
		v.h.store.LetGo()
	}
}
