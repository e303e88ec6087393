package downloadtoken

import (
	"net/http"
	"net/netip"
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
	if v.opening = v.opens(h.PathPrefix + v.path); v.opening == scopes.Closed {
		return errScope
	}
	if !v.admitsClient() || v.bound() {
		return errClientIP
	}
	return nil
}

// admitMethod lets GET and HEAD through, and makes the GET that it stands for of the
// button's POST.
func (v *visit) admitMethod() error {
	switch v.r.Method {
	case http.MethodGet, http.MethodHead:
		return nil
	case http.MethodPost:
		if v.h.Confirm != nil {
			v.confirmed, v.unpressed = true, !confirm.Pressed(v.r)
			v.r.Method = http.MethodGet
			response.DropBody(v.r)
			return nil
		}
	}
	return errMethod
}

// methods is what Allow names.
func (h *Handler) methods() string {
	if h.Confirm != nil {
		return "GET, HEAD, POST"
	}
	return "GET, HEAD"
}

// opens asks the scopes in turn; the most generous answer counts.
func (v *visit) opens(path string) scopes.Opening {
	if !strings.HasPrefix(path, v.within) {
		return scopes.Closed
	}
	if v.signed != nil {
		return v.contains(path)
	}
	q := scopes.Query{Token: v.token, Path: path, From: v.source, Request: v.r}
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
