package downloadtoken

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
)

// Methods says which requests pass, and where the files are that they are about. What a
// request would do to them is asked of the scopes; the next handlers do it.
type Methods struct {
	// The methods of requests that pass. `webdav` stands for GET, HEAD, OPTIONS, PUT,
	// DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK and UNLOCK (RFC 4918); there are
	// POST and PATCH besides. Default: GET, HEAD.
	Method []string `json:"method,omitempty"`

	// The folder of the files that the next handlers write: whether there is something
	// at a path decides what a request needs. If it is empty, or no folder, a request
	// needs all that it could need. Default: `{http.vars.root}`, as for `file_server`.
	Root string `json:"root,omitempty"`

	// The file system in which that folder is, as for `file_server`. Default:
	// `{http.vars.fs}`.
	FileSystem string `json:"fs,omitempty"`

	// What the next handlers take off the path of a request to get that of a file, such
	// as the prefix of a WebDAV handler. Default: nothing.
	StripPrefix string `json:"strip_prefix,omitempty"`

	admitted []string // in the order of known
	systems  caddy.FileSystems
}

const (
	methodCopy      = "COPY"
	methodLock      = "LOCK"
	methodMkcol     = "MKCOL"
	methodMove      = "MOVE"
	methodPropfind  = "PROPFIND"
	methodProppatch = "PROPPATCH"
	methodUnlock    = "UNLOCK"
)

// webdav stands for the methods of RFC 4918, and those that its clients use besides.
const webdav = "webdav"

// known are the methods of which it is known what they do, in the order of Allow.
var known = []string{
	http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	methodMkcol, methodCopy, methodMove, methodPropfind, methodProppatch, methodLock, methodUnlock,
}

// onlyReads reports whether a request with this method changes nothing.
func onlyReads(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, methodPropfind:
		return true
	}
	return false
}

// admitted are the methods that pass.
func (h *Handler) admitted() []string {
	if h.Methods == nil {
		return known[:2]
	}
	return h.Methods.admitted
}

// methods is the value of Allow.
func (h *Handler) methods() string {
	allow := h.admitted()
	if h.Confirm != nil {
		allow = append(slices.Clone(allow), http.MethodPost)
	}
	return strings.Join(allow, ", ")
}

// writable reports whether a request may change anything.
func (h *Handler) writable() bool {
	return slices.ContainsFunc(h.admitted(), func(method string) bool { return !onlyReads(method) })
}

// provisionMethods checks the methods against the rest of the configuration.
func (h *Handler) provisionMethods(systems caddy.FileSystems) error {
	if h.Methods != nil {
		if err := h.Methods.prepare(systems); err != nil {
			return fmt.Errorf("methods: %w", err)
		}
	}
	for i, raw := range h.ScopeRaw {
		if !h.writable() && writes(h.scopes[i]) && saysAllow(raw) {
			return fmt.Errorf("scope %d: allow: nothing is written by GET and HEAD; say which other methods pass, such as: methods GET HEAD PUT", i+1)
		}
	}
	switch {
	case h.writable() && h.profile != nil:
		return errors.New("methods: tokens of RFC 9246 open URIs for reading only; remove methods, or all of them but GET, HEAD and OPTIONS")
	case h.writable() && !slices.ContainsFunc(h.scopes, writes):
		return errors.New("methods: no scope lets a token write anything; write into the block of one what it is good for, such as: allow read create")
	case h.Confirm != nil && slices.Contains(h.admitted(), http.MethodPost):
		return errors.New("methods: with confirm, a POST is the press of its button; leave out POST, or confirm")
	}
	return nil
}

// writes reports whether anything can be written by a scope.
func writes(s scopes.Scope) bool {
	w, ok := s.(scopes.Writer)
	return ok && w.Writes()
}

// saysAllow reports whether the configuration of a scope says what may be written; by
// path_permissions the token does.
func saysAllow(raw json.RawMessage) bool {
	var said struct{ Allow, Prefixes json.RawMessage }
	return json.Unmarshal(raw, &said) == nil && (said.Allow != nil || said.Prefixes != nil)
}

// prepare checks the settings.
func (m *Methods) prepare(systems caddy.FileSystems) error {
	m.systems = systems
	if len(m.Method) == 0 {
		m.Method = known[:2]
	}
	for _, method := range m.Method {
		if method != webdav && !slices.Contains(known, method) {
			return fmt.Errorf("it is not known what '%s' does; write webdav, or some of %s", method, strings.Join(known, ", "))
		}
	}
	for _, method := range known {
		ofWebDAV := method != http.MethodPost && method != http.MethodPatch
		if slices.Contains(m.Method, method) || ofWebDAV && slices.Contains(m.Method, webdav) {
			m.admitted = append(m.admitted, method)
		}
	}
	if m.Root == "" {
		m.Root = "{http.vars.root}"
	}
	if m.FileSystem == "" {
		m.FileSystem = "{http.vars.fs}"
	}
	return checkPrefix("strip_prefix", m.StripPrefix)
}

// checkPrefix checks a path that others begin with. It may be empty.
func checkPrefix(name, prefix string) error {
	if prefix == "" {
		return nil
	}
	if strings.HasSuffix(prefix, "/") {
		return fmt.Errorf("%s: leave out the slash at the end of '%s'", name, prefix)
	}
	if _, err := scope.Path(&url.URL{Path: prefix}); err != nil {
		return fmt.Errorf("%s: '%s' must be an absolute path without dots, backslashes or double slashes, such as /pub", name, prefix)
	}
	return nil
}
