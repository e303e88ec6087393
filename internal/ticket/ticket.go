// Package ticket is what download_token tells the handlers of this module that come
// after it about the request that it has let through.
package ticket

import (
	"context"
	"net/http"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Ticket is for one request.
type Ticket struct {
	// Claims of the token, which is genuine and acceptable now.
	Claims *token.Claims

	// Permits decides whether the token may also do op on a path, spelled as r.URL.Path
	// was when download_token was asked.
	Permits func(op scope.Operation, path string) bool

	// PageOnly: nothing that is stored may be read; all that may be answered is the page
	// by which something can be uploaded. The answer is then held back unless Page is set.
	PageOnly bool

	// Page is set by the handler that answers with that page, before its first byte:
	// nothing is spent on it.
	Page bool
}

type key struct{}

// With returns r with the ticket.
func With(r *http.Request, t *Ticket) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), key{}, t))
}

// Of returns the ticket of r, nil if download_token has not let it through.
func Of(r *http.Request) *Ticket {
	t, _ := r.Context().Value(key{}).(*Ticket)
	return t
}
