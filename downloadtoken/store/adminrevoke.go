package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// revokeRequest is the body of a revocation.
type revokeRequest struct {
	Store        string    `json:"store"`
	Nonce        string    `json:"nonce"`
	Token        string    `json:"token"`
	Fingerprint  string    `json:"fingerprint"`
	Subject      string    `json:"sub"`
	KeyID        string    `json:"kid"`
	IssuedBefore time.Time `json:"issued_before"`
	Issuer       string    `json:"issuer"`
	Until        time.Time `json:"until"`
	For          string    `json:"for"`
}

func (Admin) revoke(w http.ResponseWriter, r *http.Request) error {
	return change(w, r, "tokens revoked", "revoked", func(app *App, ctx context.Context, store string, v rules.Revocation) error {
		return app.Revoke(ctx, store, v)
	})
}

func (Admin) reinstate(w http.ResponseWriter, r *http.Request) error {
	return change(w, r, "tokens reinstated", "reinstated", func(app *App, ctx context.Context, store string, v rules.Revocation) error {
		return app.reinstate(ctx, store, v)
	})
}

// change makes or takes back the revocation that the request names, and logs it.
func change(w http.ResponseWriter, r *http.Request, message, done string, do func(*App, context.Context, string, rules.Revocation) error) error {
	if r.Method != http.MethodPost {
		return adminError(http.StatusMethodNotAllowed, errors.New("method not allowed; use POST"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		return adminError(http.StatusRequestEntityTooLarge, err)
	}
	var request revokeRequest
	if err := json.Unmarshal(body, &request, json.RejectUnknownMembers(true)); err != nil {
		// the error may quote the body, which may have a token
		return adminError(http.StatusBadRequest, errors.New("the body is not JSON with store, nonce, token, fingerprint, sub, kid, issued_before, "+
			"issuer, until and for; times are in RFC 3339, such as 2026-01-31T12:00:00Z"))
	}
	revocation, err := request.revocation(time.Now())
	if err != nil {
		return adminError(http.StatusBadRequest, err)
	}
	if request.Store == "" {
		request.Store = DefaultName
	}
	if err := inStore(request.Store, func(app *App) error { return do(app, r.Context(), request.Store, revocation) }); err != nil {
		return err
	}
	caddy.Log().Named("download_token").Info(message, append(logged(revocation), zap.String("store", request.Store))...)
	return answerJSON(w, map[string]bool{done: true})
}

// logged is what the log says of a revocation: no value of a claim.
func logged(r rules.Revocation) []zap.Field {
	fields := []zap.Field{zap.String("by", r.Kind())}
	if r.Fingerprint != "" {
		fields = append(fields, zap.String("fingerprint", r.Fingerprint))
	}
	if !r.Until.IsZero() {
		fields = append(fields, zap.Time("until", r.Until))
	}
	return fields
}

// revocation turns the request into what stores understand.
func (q revokeRequest) revocation(now time.Time) (rules.Revocation, error) {
	r := rules.Revocation{
		Nonce: q.Nonce, Subject: q.Subject, KeyID: q.KeyID,
		IssuedBefore: q.IssuedBefore, Issuer: q.Issuer, Until: q.Until,
	}
	switch {
	case q.Token != "" && q.Fingerprint != "":
		return r, errNameOne
	case q.Token != "":
		if !token.IsCompact(q.Token) { // with a link or a space around it, another token would be revoked
			return r, errors.New("token: not a JSON Web Token; give the token itself, without the link or white space around it")
		}
		r.Fingerprint = token.FingerprintOf(q.Token).String()
	case q.Fingerprint != "":
		f, err := parseFingerprint(q.Fingerprint)
		if err != nil {
			return r, err
		}
		r.Fingerprint = f.String()
	}
	if q.For != "" {
		length, err := caddy.ParseDuration(q.For)
		if err != nil || length <= 0 {
			return r, errors.New("for: not a duration; write it like this: 24h")
		}
		if !q.Until.IsZero() {
			return r, errors.New("give either until or for")
		}
		r.Until = now.Add(length)
	}
	if !r.Until.IsZero() && !r.Until.After(now) {
		return r, errors.New("until: lies in the past, so nothing would be revoked")
	}
	if r.Check() != nil {
		return r, errNameOne
	}
	return r, nil
}

var errNameOne = errors.New("name exactly one of nonce, token, fingerprint, sub, kid and issued_before")

// inStore changes the store of that name. For a moment in a reload two configurations
// have one, which is the same unless its type has changed.
func inStore(name string, do func(*App) error) error {
	all := apps.all()
	if len(all) == 0 {
		return errNotInUse()
	}
	found := false
	for _, app := range all {
		if _, ok := app.open[name]; !ok {
			continue
		}
		err := do(app)
		switch {
		case errors.Is(err, rules.ErrRevocationsFull):
			return adminError(http.StatusInsufficientStorage, fmt.Errorf("store %s: there is no room for this revocation, and nothing was revoked: "+
				"%d are in force at most, and the last places are for sub, kid and issued_before; use one of those, or wait until others are over", name, rules.MaxRevocations))
		case errors.Is(err, rules.ErrNotRevoked) && found: // it was the same store
		case errors.Is(err, rules.ErrNotRevoked):
			return adminError(http.StatusNotFound, fmt.Errorf("store %s: no such revocation is in force; GET /download_token/revocations lists them", name))
		case err != nil:
			return adminError(http.StatusServiceUnavailable, err)
		}
		found = true
	}
	if !found {
		return adminError(http.StatusNotFound, fmt.Errorf("no download_token directive uses a store named %q", name))
	}
	return nil
}
