// Package scopes is the boundary of what a token opens: each kind of scope is a
// guest module in the namespace http.handlers.download_token.scopes, named by the
// word that follows `scope` in a Caddyfile and by `type` in JSON.
//
// A module implements [Scope] and, to be used in a Caddyfile,
// [github.com/caddyserver/caddy/v2/caddyconfig/caddyfile.Unmarshaler]: it is given
// its name, the rest of the line and the block. Its errors are introduced by
// `scope <n>: <kind>:`, so they need not say that again.
//
// What can be decided without Caddy is in package scope.
package scopes

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Namespace is where the kinds of scopes are.
const Namespace = "http.handlers.download_token.scopes"

// Scope says what a token opens. It is asked by many requests at the same time.
type Scope interface {
	// Opens decides about one path. It must not change what it is asked about,
	// wait for anything, or log a value of the token.
	Opens(Query) Opening
}

// Namer is a [Scope] that can also say what a token needs, for `caddy download-token
// mint --config`. It is optional.
type Namer interface {
	Scope

	// Name returns claims by which a token permits an operation on a path, and as little
	// else as there is a way to say; their values are marshalled as JSON. There may be
	// none. ok: it can be permitted. The path is as in [Query]; the operation is Download,
	// also of a folder, CreateFile or Upload.
	Name(path string, op scope.Operation) (claims map[string]any, ok bool)
}

// Based is a [Scope] that can also say where everything is that a token opens, for
// `carry cookie`. It is optional; of a scope that is not one, nothing is known.
type Based interface {
	Scope

	// Base returns the longest path, without a slash at its end, such that whatever the
	// token opens by this scope is that path or below it; "" is the whole site. It is
	// asked about paths that the scope opens.
	Base(Query) string
}

// Writer is a [Scope] by which a token may also open a path for writing, for `methods`.
// It is optional; by a scope that is not one, nothing is written.
type Writer interface {
	Scope

	// Writes reports whether any token may write by this scope, as it is configured. If
	// not, Permits is not asked.
	Writes() bool

	// Permits decides about one operation that writes, on one path. For the rest it is as
	// Opens.
	Permits(Query) bool
}

// Query is what a scope is asked.
type Query struct {
	Token     *token.Token    // genuine, and acceptable now
	Path      string          // what scope.Path made of the request, with path_prefix in front
	Operation scope.Operation // what is to be done with it; one that reads where [Scope.Opens] is asked
	From      token.Source    // where the token was
	Request   *http.Request   // without the token
}

// Opening is what a token may do with a path; of several scopes the most generous
// one counts.
type Opening int

const (
	Closed      Opening = iota
	ListingOnly         // see the folder's listing, not its index file
	Open
)

// Kind finds the module of a kind of scope. The error lists those that there are.
func Kind(name string) (caddy.ModuleInfo, error) {
	info, err := caddy.GetModule(Namespace + "." + name)
	if err != nil {
		var names []string
		for _, info := range caddy.GetModules(Namespace) {
			names = append(names, info.ID.Name())
		}
		return info, fmt.Errorf("unknown kind '%s'; write one of %s", name, strings.Join(names, ", "))
	}
	return info, nil
}
