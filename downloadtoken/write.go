package downloadtoken

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/internal/pathlock"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
	"github.com/caddy-download-token/caddy-download-token/internal/ticket"
)

// locks are those of all directives, of the configurations before as well.
var locks pathlock.Locks

// authoriseErrand asks the scopes about everything that the request would do to the
// files. From the question what is there to the end of the answer no other request
// changes it, so that it is asked once, however often the token is judged again.
func (v *visit) authoriseErrand() (err error) {
	switch {
	case v.errand == nil:
		if v.errand, err = v.newErrand(); err != nil {
			return err
		}
	case v.errand.plan.demands != nil:
		return nil
	}
	f := v.files()
	if err = v.demand(v.errand.least(), f); err != nil {
		return err
	}
	if err = v.lock(f); err != nil {
		return err
	}
	p, err := v.errand.planFor(f)
	if err != nil {
		return err
	}
	if err = v.demand(p.demands, f); err != nil {
		return err
	}
	v.errand.plan, v.opening = p, scopes.Open
	return nil
}

// demand sees that the token permits all that is demanded.
func (v *visit) demand(all []demand, f *files) error {
	for _, d := range all {
		if !v.permitsOne(d) {
			return fmt.Errorf("%w: it would have to permit to %s%s", errScope, scope.Words(d.anyOf), f.doubt(d.path))
		}
	}
	return nil
}

// newErrand reads what the request is about.
func (v *visit) newErrand() (*errand, error) {
	header := v.r.Header
	e := &errand{method: v.r.Method, path: v.path, depth: header.Get("Depth"), part: header.Get("Content-Range") != ""}
	if len(header.Values("Depth")) > 1 {
		return nil, fmt.Errorf("%w: Depth is there twice", errRequest)
	}
	if e.method == methodCopy || e.method == methodMove {
		// None is defined, and one that is slow would keep writers away from a source
		// that may only be read.
		response.DropBody(v.r)
		var err error
		if e.destination, err = destination(v.r, v.answer.Asked.Path); err != nil {
			return nil, err
		}
	}
	if len(e.path) > maxPath || len(e.destination) > maxPath {
		return nil, fmt.Errorf("%w: a path is longer than that of any file", errRequest)
	}
	return e, nil
}

// lock locks the paths of the errand. Where it is not known what is there, a token must
// permit all that there could be, so that there is nothing to be raced for. Who may see all
// that there could be keeps no writer away from it, however slowly the answer is read.
func (v *visit) lock(f *files) error {
	if v.errand.unlock != nil {
		return nil
	}
	name, ok := f.lockName(v.errand.path)
	if !ok || v.errand.method == http.MethodOptions {
		return nil
	}
	names, acquire := []string{name}, locks.Exclusive
	if v.errand.destination != "" {
		if name, ok = f.lockName(v.errand.destination); ok {
			names = append(names, name)
		}
	}
	switch {
	case v.errand.method == methodPropfind:
		p, err := v.errand.planFor(new(files)) // of what is not known
		at := clean(v.errand.path)
		denied := slices.DeleteFunc(p.demands, v.permitsOne)
		if len(denied) == 0 {
			return err
		}
		if !slices.ContainsFunc(denied, func(d demand) bool { return clean(d.path) != at }) {
			acquire = locks.Shared
		}
	case v.errand.method == methodUnlock, v.errand.method == http.MethodPost && strings.HasSuffix(v.errand.path, "/"):
		acquire = locks.Shared
	}
	v.errand.unlock, ok = acquire(v.r.Context(), patience, names...)
	if !ok {
		return fmt.Errorf("%w: other requests are changing it", rules.ErrInUse)
	}
	return nil
}

// permitsOne reports whether the token may do what is demanded.
func (v *visit) permitsOne(d demand) bool {
	return slices.ContainsFunc(d.anyOf, func(op scope.Operation) bool { return v.permits(op, d.path) })
}

// permits reports whether the token may do op to a path, spelled as r.URL.Path.
func (v *visit) permits(op scope.Operation, path string) bool {
	path = clean(v.h.PathPrefix + path)
	if op == scope.List || op == scope.Describe || op == scope.Upload {
		path = strings.TrimSuffix(path, "/") + "/"
	}
	if !op.Writes() {
		return v.opens(op, path) != scopes.Closed
	}
	if v.within != "" { // it was made for a player
		return false
	}
	q := scopes.Query{Token: v.token, Path: path, Operation: op, From: v.source, Request: v.r}
	return slices.ContainsFunc(v.h.scopes, func(s scopes.Scope) bool { return writes(s) && s.(scopes.Writer).Permits(q) })
}

// mayUpload reports whether something could be uploaded where the request is for, by the
// form of a page.
func (v *visit) mayUpload() bool {
	if !slices.Contains(v.h.admitted(), http.MethodPost) {
		return false
	}
	if strings.HasSuffix(v.path, "/") {
		return v.permits(scope.Upload, v.path)
	}
	return v.permits(scope.CreateFile, v.path)
}

// leavesNoTrace reports whether the request uses nothing up.
func (v *visit) leavesNoTrace() bool {
	switch v.r.Method {
	case http.MethodHead, http.MethodOptions, methodPropfind:
		return true
	}
	return v.pageOnly
}

// issue tells the handlers behind what they may do, and makes the request say it.
func (v *visit) issue() {
	if !v.h.writable() {
		return
	}
	v.ticket = &ticket.Ticket{Claims: &v.token.Claims, Permits: v.permits, PageOnly: v.pageOnly}
	// In place: an error route gets the request that Caddy has.
	*v.r = *ticket.With(v.r, v.ticket)
	if v.errand == nil {
		return
	}
	v.errand.apply(v.r.Header)
	if v.writes && v.use != nil && v.r.ContentLength != 0 {
		v.errand.sent = &sent{ReadCloser: v.r.Body, left: v.r.ContentLength}
		v.r.Body = v.errand.sent
	}
}

// sent is the body of a request, of which it is noted whether all of it has come.
type sent struct {
	io.ReadCloser
	left  int64 // negative if that is not known
	whole atomic.Bool
}

// Read notes the end.
func (s *sent) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.left -= int64(n)
	if s.left == 0 || errors.Is(err, io.EOF) {
		s.whole.Store(true)
	}
	return n, err
}

// settle spends the token of a write that was done, or that may have been: when a client
// goes away after all of its request has come, reverse_proxy breaks off, with 499, and what
// is behind it may still do it. If that fails, the reservation stays, so that nothing is
// written twice.
func (v *visit) settle() {
	if v.use == nil || v.spent || !v.writes {
		return
	}
	status := v.answer.Status()
	done := status >= 200 && status < 300
	if refused := status >= 300 && status < 499; !refused && v.ticket != nil && errors.Is(v.r.Context().Err(), context.Canceled) {
		body := v.errand.sent
		done = done || body == nil || body.whole.Load()
	}
	if done && v.commit(nil) != nil {
		v.use = nil
	}
}
