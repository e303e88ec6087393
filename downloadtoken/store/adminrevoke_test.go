package store

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// ledgerOf is a store that answers revocations with an error, or keeps the last.
type ledgerOf struct {
	Handle
	err  error
	last rules.Revocation
}

func (l *ledgerOf) Hold(context.Context) error { return nil }
func (l *ledgerOf) LetGo()                     {}
func (l *ledgerOf) Revoke(_ context.Context, r rules.Revocation, _ time.Time) error {
	l.last = r
	return l.err
}

// TestLogged: the log knows a revocation by what it has, and by no value of a claim.
func TestLogged(t *testing.T) {
	until := time.Unix(1800000000, 0)
	for want, r := range map[string]rules.Revocation{
		`{"by":"sub"}`: {Subject: "planted", Issuer: "planted"},
		`{"by":"fingerprint","fingerprint":"0123456789abcdef"}`: {Fingerprint: "0123456789abcdef"},
		`{"by":"kid","until":1800000000}`:                       {KeyID: "planted", Until: until},
		`{"by":"issued_before"}`:                                {IssuedBefore: until},
	} {
		line, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{EncodeTime: zapcore.EpochTimeEncoder, SkipLineEnding: true}).EncodeEntry(zapcore.Entry{}, logged(r))
		if err != nil || line.String() != want {
			t.Errorf("%s, want %s, %v", line, want, err)
		}
	}
}

func TestAdminRevoke(t *testing.T) {
	store, other := new(ledgerOf), new(ledgerOf)
	running, starting := &App{open: map[string]Handle{"default": store}}, &App{open: map[string]Handle{"new": other}}
	apps.start(running)
	apps.complete(running)
	apps.start(starting)
	defer apps.stop(running)
	defer apps.stop(starting)

	const fingerprint = "0123456789abcdef"
	const text = "eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJuIn0.c2ln"
	tests := map[string]struct {
		body   string
		err    error
		status int
		answer string // part of it
		want   rules.Revocation
		in     *ledgerOf
	}{
		"fingerprint":               {body: `{"fingerprint":"` + fingerprint + `"}`, want: rules.Revocation{Fingerprint: fingerprint}},
		"fingerprint in upper case": {body: `{"fingerprint":"0123456789ABCDEF"}`, want: rules.Revocation{Fingerprint: fingerprint}},
		"fingerprint too short":     {body: `{"fingerprint":"0123"}`, status: 400, answer: "16 hex digits"},
		"fingerprint too long":      {body: `{"fingerprint":"` + fingerprint + `00"}`, status: 400, answer: "16 hex digits"},
		"fingerprint of other text": {body: `{"fingerprint":"0123456789abcdeg"}`, status: 400, answer: "16 hex digits"},
		"token":                     {body: `{"token":"` + text + `"}`, want: rules.Revocation{Fingerprint: token.FingerprintOf(text).String()}},
		"token, other signature":    {body: `{"token":"` + text + `AA"}`, want: rules.Revocation{Fingerprint: token.FingerprintOf(text).String()}},
		"token in a link":           {body: `{"token":"http://localhost/a?download_token=` + text + `"}`, status: 400, answer: "without the link"},
		"token behind a space":      {body: `{"token":" ` + text + `"}`, status: 400, answer: "white space"},
		"token with a line feed":    {body: `{"token":"` + text + `\n"}`, status: 400, answer: "white space"},
		"token with a scheme":       {body: `{"token":"Bearer ` + text + `"}`, status: 400, answer: "not a JSON Web Token"},
		"no token":                  {body: `{"token":"a.b.c"}`, status: 400, answer: "not a JSON Web Token"},
		"fingerprint of no token":   {body: `{"fingerprint":"0000000000000000"}`, status: 400, answer: "name no token"},
		"fingerprint and token":     {body: `{"fingerprint":"` + fingerprint + `","token":"a.b.c"}`, status: 400, answer: "exactly one"},
		"fingerprint and sub":       {body: `{"fingerprint":"` + fingerprint + `","sub":"s"}`, status: 400, answer: "exactly one"},
		"full":                      {body: `{"nonce":"n"}`, err: rules.ErrRevocationsFull, status: 507, answer: "no room"},
		"storage fails":             {body: `{"nonce":"n"}`, err: rules.ErrUnavailable, status: 503},
		"a store of the next":       {body: `{"sub":"s","store":"new"}`, in: other, want: rules.Revocation{Subject: "s"}},
		"no such store":             {body: `{"sub":"s","store":"old"}`, status: 404},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store.err, store.last, other.last = tt.err, rules.Revocation{}, rules.Revocation{}
			w := httptest.NewRecorder()
			err := Admin{}.revoke(w, httptest.NewRequest(http.MethodPost, "/download_token/revoke", strings.NewReader(tt.body)))
			var refused caddy.APIError
			if errors.As(err, &refused) != (tt.status != 0) || refused.HTTPStatus != tt.status || tt.answer != "" && !strings.Contains(refused.Err.Error(), tt.answer) {
				t.Fatalf("%v", err)
			}
			in := tt.in
			if in == nil {
				in = store
			}
			if tt.status == 0 && in.last != tt.want {
				t.Errorf("revoked %+v, want %+v", in.last, tt.want)
			}
		})
	}
}

// TestRevokedAsLongAsAGrant: a revocation lasts until every grant that may outlive its
// token has ended, and no longer than asked for where none does.
func TestRevokedAsLongAsAGrant(t *testing.T) {
	store := new(ledgerOf)
	app := &App{open: map[string]Handle{"default": store}, outlived: make(map[string]time.Duration)}
	soon, late := time.Now().Add(time.Minute), time.Now().Add(24*time.Hour)
	for _, tt := range []struct {
		window      time.Duration
		asked, want time.Time // want: at least
	}{
		{0, soon, soon}, {time.Hour, soon, time.Now().Add(time.Hour)}, {time.Hour, late, late}, {time.Hour, time.Time{}, time.Time{}},
		{time.Minute, soon, time.Now().Add(time.Hour)}, // the longest of several directives counts
	} {
		app.Outlive("default", tt.window)
		if err := app.Revoke(t.Context(), "default", rules.Revocation{Subject: "s", Until: tt.asked}); err != nil {
			t.Fatal(err)
		}
		if got := store.last.Until; got.Before(tt.want) || got.After(tt.want.Add(time.Minute)) {
			t.Errorf("%+v: until %v", tt, got)
		}
	}
}
