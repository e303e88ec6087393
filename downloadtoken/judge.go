package downloadtoken

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// judge makes the checks that leave no trace.
func (v *visit) judge() (err error) {
	h := v.h
	v.judged = h.now()
	if err = v.verify(); err != nil {
		return err
	}
	v.fingerprint = v.token.Fingerprint
	v.oneTime = h.oneTimeFor(v.token)
	if v.past, err = h.accept(v.token, v.judged); err != nil {
		return err
	}
	if err = v.readProfile(); err != nil {
		return err
	}
	if err = v.admitMethod(); err != nil {
		return err
	}
	if v.path, err = scope.Path(v.r.URL); err != nil {
		return err
	}
	if err = v.checkTarget(); err != nil {
		return err
	}
	if err = v.authorise(); err != nil {
		return err
	}
	if !v.admitsClient() || v.bound() {
		return errClientIP
	}
	return nil
}

// admitMethod lets the methods through that are configured, and makes the GET that it
// stands for of the button's POST.
func (v *visit) admitMethod() error {
	if v.r.Method == http.MethodPost && v.h.Confirm != nil {
		v.confirmed, v.unpressed = true, !confirm.Pressed(v.r)
		v.r.Method = http.MethodGet
		response.DropBody(v.r)
	}
	if !slices.Contains(v.h.admitted(), v.r.Method) {
		return errMethod
	}
	if v.writes = !onlyReads(v.r.Method); v.writes && v.source.IsAmbient() && new(http.CrossOriginProtection).Check(v.r) != nil {
		return errCrossOrigin
	}
	return nil
}

// authorise asks the scopes about what the request would do.
func (v *visit) authorise() error {
	if v.r.Method != http.MethodGet && v.r.Method != http.MethodHead {
		return v.authoriseErrand()
	}
	v.opening = v.opens(reading(v.r.Method, v.path), v.h.PathPrefix+v.path)
	v.pageOnly = v.opening == scopes.Closed && v.mayUpload()
	if v.opening == scopes.Closed && !v.pageOnly {
		return errScope
	}
	return nil
}

// reading is what GET or HEAD does to a path.
func reading(method, path string) scope.Operation {
	switch {
	case strings.HasSuffix(path, "/"):
		return scope.List
	case method == http.MethodHead:
		return scope.Details
	}
	return scope.Download
}

// opens asks the scopes in turn; the most generous answer counts.
func (v *visit) opens(op scope.Operation, path string) scopes.Opening {
	if !strings.HasPrefix(path, v.within) {
		return scopes.Closed
	}
	if v.uri != nil {
		return v.contains(path)
	}
	q := scopes.Query{Token: v.token, Path: path, Operation: op, From: v.source, Request: v.r}
	best := scopes.Closed
	for _, s := range v.h.scopes {
		if best = max(best, s.Opens(q)); best == scopes.Open {
			break
		}
	}
	return best
}

// admitsClient reports whether the token is not bound to an address, or the
// client has it.
func (v *visit) admitsClient() bool {
	if v.h.IPClaim == "" {
		return true
	}
	bound, ok := v.token.Claims.String(v.h.IPClaim)
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
