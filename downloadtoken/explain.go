package downloadtoken

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// Explain tells what ServeHTTP would decide about r now, and leaves no trace:
// no store is asked, no key is fetched, nothing is logged or counted. It is for
// diagnosis, such as `caddy download-token inspect`; the handler must have been
// provisioned.
//
// An empty reason means that r would be passed on, with a one-time token (oneTime) if the
// store could vouch for it and it was not revoked. Otherwise reason is one of
// [Reasons], and err says more about it than a client may hear; it holds neither
// a token nor the value of a claim. What ServeHTTP takes out of a request is taken
// out of r.
func (h *Handler) Explain(r *http.Request) (reason string, oneTime bool, err error) {
	ended, end := context.WithCancel(r.Context())
	end() // a set of keys that is not there is neither waited for nor fetched
	text, source, err := token.Find(r, h.sources)
	uri := h.signedURI(r)
	h.strip(r)
	if response.IsPreflight(r) {
		return "", false, nil
	}
	v := &visit{h: h, r: r.WithContext(ended), text: text, source: source, uri: uri}
	defer func() {
		if v.errand != nil {
			v.errand.end(r.Header)
		}
	}()
	if err == nil {
		err = v.judge()
	}
	if err == nil && v.oneTime != nil {
		_, err = v.oneTime.present(v, h.PathPrefix+v.path)
	}
	if v.past { // with its grant open, it would go on
		err = token.ErrExpired
	}
	if err != nil {
		return denialOf(err).reason, v.oneTime != nil, err
	}
	return "", v.oneTime != nil, nil
}

// Name returns claims by which a token would open what r asks for or, where no scope can
// say so, by which a file could be sent there; see [scopes.Namer]. method is that of the
// request which does the one or the other. Like Explain it leaves no trace. It fails if no
// link can open the path, or no scope does.
func (h *Handler) Name(r *http.Request) (claims map[string]any, method string, err error) {
	path, err := scope.Path(r.URL)
	if err != nil {
		return nil, "", err
	}
	sends := scope.CreateFile
	if strings.HasSuffix(path, "/") {
		sends = scope.Upload
	}
	for _, do := range []struct {
		op     scope.Operation
		method string
	}{{scope.Download, http.MethodGet}, {sends, http.MethodPut}, {sends, http.MethodPost}} {
		if !slices.Contains(h.admitted(), do.method) || do.op == scope.Upload && do.method == http.MethodPut {
			continue
		}
		for _, s := range h.scopes {
			if namer, can := s.(scopes.Namer); can && (!do.op.Writes() || writes(s)) {
				if claims, ok := namer.Name(h.PathPrefix+path, do.op); ok {
					return claims, do.method, nil
				}
			}
		}
	}
	return nil, "", errors.New("no scope line can name this path in a claim")
}
