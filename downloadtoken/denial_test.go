package downloadtoken

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/cdni"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
)

// TestPeopleAreToldWhatToDo: a person who is refused, or gets an error of the site, is
// told what happened and what to do.
func TestPeopleAreToldWhatToDo(t *testing.T) {
	all := []told{toldNoFile, toldSiteError}
	for _, d := range denials {
		all = append(all, d.told)
	}
	for _, told := range all {
		if confirm.Detail(string(told)) == "" {
			t.Errorf("there is no text for %s", told)
		}
	}
}

// refused is what a client gets that is refused.
type refused struct {
	err        error
	reason     string
	status     int
	told       string // to the client
	code       string // of RFC 6750
	retryAfter string
	heading    string // of the page
}

// refusedFor is the whole table once more, as it is promised, in the order of the checks.
var refusedFor = []refused{
	{token.ErrMissing, "missing", 401, "missing", "", "", "This link is not complete"},
	{token.ErrAmbiguous, "ambiguous", 400, "malformed", "invalid_request", "", "This link is damaged"},
	{token.ErrTooLarge, "too_large", 400, "malformed", "invalid_request", "", "This link is damaged"},
	{token.ErrMalformed, "malformed", 401, "malformed", "invalid_token", "", "This link is damaged"},
	{token.ErrCritical, "critical", 401, "malformed", "invalid_token", "", "This link is damaged"},
	{cdni.ErrCritical, "critical", 401, "malformed", "invalid_token", "", "This link is damaged"},
	{token.ErrUnknownKey, "unknown_key", 401, "invalid", "invalid_token", "", "This link does not work"},
	{token.ErrAlgorithm, "algorithm", 401, "invalid", "invalid_token", "", "This link does not work"},
	{token.ErrSignature, "signature", 401, "invalid", "invalid_token", "", "This link does not work"},
	{token.ErrClaim, "claim", 401, "invalid", "invalid_token", "", "This link does not work"},
	{token.ErrExpired, "expired", 401, "expired", "invalid_token", "", "Too late"},
	{errSoon, "not_yet_valid", 401, "not_yet_valid", "invalid_token", "1", "One moment"},
	{token.ErrNotYetValid, "not_yet_valid", 401, "invalid", "invalid_token", "", "This link does not work"},
	{token.ErrIssuer, "issuer", 401, "invalid", "invalid_token", "", "This link does not work"},
	{token.ErrAudience, "audience", 401, "invalid", "invalid_token", "", "This link does not work"},
	{token.ErrHeaderTyp, "header_typ", 401, "invalid", "invalid_token", "", "This link does not work"},
	{token.ErrTooLongLived, "too_long_lived", 401, "invalid", "invalid_token", "", "This link does not work"},
	{cdni.ErrVersion, "version", 401, "invalid", "invalid_token", "", "This link does not work"},
	{cdni.ErrSubject, "subject", 401, "invalid", "invalid_token", "", "This link does not work"},
	{cdni.ErrRenewal, "renewal", 401, "invalid", "invalid_token", "", "This link does not work"},
	{errMethod, "method", 405, "method", "", "", "This cannot be done here"},
	{errCrossOrigin, "cross_origin", 403, "forbidden", "", "", "Not this file"},
	{confirm.ErrUnconfirmed, "unconfirmed", 403, "unconfirmed", "", "", "Not started yet"},
	{scope.ErrPath, "bad_path", 400, "malformed", "invalid_request", "", "This link is damaged"},
	{errRequest, "bad_request", 400, "malformed", "invalid_request", "", "This link is damaged"},
	{errScope, "scope", 403, "forbidden", "insufficient_scope", "", "Not this file"},
	{cdni.ErrContainer, "scope", 403, "forbidden", "insufficient_scope", "", "Not this file"},
	{errClientIP, "client_ip", 403, "forbidden", "insufficient_scope", "", "Not this file"},
	{cdni.ErrClientIP, "client_ip", 403, "forbidden", "insufficient_scope", "", "Not this file"},
	{rules.ErrRevoked, "revoked", 401, "invalid", "invalid_token", "", "This link does not work"},
	{errPrefetch, "prefetch", 503, "prefetch", "", "", "Not started yet"},
	{errEarly, "early_data", 425, "early_data", "", "", "One moment"},
	{rules.ErrReplayed, "replayed", 401, "used", "invalid_token", "", "Already used"},
	{rules.ErrUnproven, "unproven", 401, "unproven", "invalid_token", "", "This link cannot be checked"},
	{rules.ErrBudget, "budget", 401, "used_up", "invalid_token", "", "Already used"},
	{rules.ErrInUse, "in_use", 503, "in_use", "", "1", "One moment"},
	{errReloaded, "reloaded", 503, "reloaded", "", "1", "One moment"},
	{rules.ErrUnavailable, "store_unavailable", 503, "unavailable", "", "5", "One moment"},
}

// mayTryAgain are the words after which the same link may work.
var mayTryAgain = []string{"not_yet_valid", "unconfirmed", "prefetch", "early_data", "in_use", "reloaded", "unavailable"}

// TestDenials refuses for every reason, with every kind of challenge, and with other
// status codes. Programs get problem details, people a page, error routes the error.
func TestDenials(t *testing.T) {
	text := signed(t, nil)
	fingerprint := token.FingerprintOf(text).String()
	if len(refusedFor) != len(denials) {
		t.Fatalf("%d rows are tested, of %d", len(refusedFor), len(denials))
	}
	bearer := func(more string) func(refused) []string {
		return func(f refused) []string {
			params := strings.Trim(more+`, error="`+f.code+`"`, ", ")
			if f.code == "" {
				params = more
			}
			return []string{strings.TrimSpace("Bearer " + params)}
		}
	}
	bare := func(lines ...string) func(refused) []string { return func(refused) []string { return lines } }
	basicAnd := func(f refused) []string { return append([]string{`Basic realm="Downloads"`}, bearer("")(f)...) }
	inBasic := Source{In: "basic"}
	inHeader := Source{In: "header", Name: []string{"Authorization"}}
	for name, tt := range map[string]struct {
		h         Handler
		challenge func(refused) []string // of a 401
		coded     bool                   // Bearer: 400 and 403 have one with a code, too
		status    func(refused) int      // default: that of the table
	}{
		"default":               {Handler{}, bearer(""), true, nil},
		"a header":              {Handler{From: []Source{inHeader}}, bearer(""), true, nil},
		"a password":            {Handler{From: []Source{inBasic}}, bare(`Basic realm="Downloads"`), false, nil},
		"a password, a header":  {Handler{From: []Source{inBasic, inHeader}}, basicAnd, true, nil},
		"a password, a cookie":  {Handler{From: []Source{inBasic, {In: "cookie", Name: []string{"c"}}}}, bare(`Basic realm="Downloads"`), false, nil},
		"a realm":               {Handler{Challenge: &Challenge{Scheme: "Bearer", Realm: `Project "files" \o/`}}, bearer(`realm="Project \"files\" \\o/"`), true, nil},
		"a scheme":              {Handler{Challenge: &Challenge{Scheme: "Token"}}, bare("Token"), false, nil},
		"a scheme and a realm":  {Handler{Challenge: &Challenge{Scheme: "Token", Realm: "r"}}, bare(`Token realm="r"`), false, nil},
		"a scheme, a password":  {Handler{From: []Source{inBasic}, Challenge: &Challenge{Scheme: "Bearer"}}, bearer(""), true, nil},
		"Basic needs a realm":   {Handler{Challenge: &Challenge{Scheme: "BASIC"}}, bare(`Basic realm="Downloads"`), false, nil},
		"Basic with a realm":    {Handler{Challenge: &Challenge{Scheme: "Basic", Realm: "r"}}, bare(`Basic realm="r"`), false, nil},
		"status 404":            {Handler{Status: []Status{{Code: 404}}}, bearer(""), true, func(f refused) int { return hidden(f, 404) }},
		"status 404, with more": {Handler{Status: []Status{{Code: 410, Reason: []string{"replayed", "expired"}}, {Code: 404}, {Code: 451}}}, bearer(""), true, statusWithMore},
		"status 401":            {Handler{Status: []Status{{Code: 401, Reason: []string{"in_use", "bad_path", "store_unavailable"}}}}, bearer(""), true, statusUnauthorized},
		"status 405":            {Handler{Status: []Status{{Code: 405, Reason: []string{"scope"}}}}, bearer(""), true, statusMethod},
		"status 403":            {Handler{Status: []Status{{Code: 403}}}, bearer(""), true, func(f refused) int { return hidden(f, 403) }},
		"confirm":               {Handler{Confirm: new(Confirm)}, bearer(""), true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h, logs := staged(t, &tt.h)
			for _, f := range refusedFor {
				if tt.status != nil {
					f.status = tt.status(f)
				}
				want := http.Header{"Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}}
				if f.status == 401 || tt.coded && f.code != "" && (f.status == 400 || f.status == 403) {
					want["Www-Authenticate"] = slices.DeleteFunc(slices.Clone(tt.challenge(f)), func(line string) bool { return f.status != 401 && !strings.Contains(line, "error=") })
				}
				if f.retryAfter != "" {
					want.Set("Retry-After", f.retryAfter)
				}
				if f.status == 405 {
					want.Set("Allow", "GET, HEAD")
					if h.Confirm != nil {
						want.Set("Allow", "GET, HEAD, POST")
					}
				}
				switch name {
				case "a header", "a password", "a password, a header", "a scheme, a password":
					want["Vary"] = []string{"Authorization"}
				case "a password, a cookie":
					want["Vary"] = []string{"Authorization", "Cookie"}
				}
				for _, accept := range []string{"*/*", "text/html"} {
					logs.TakeAll()
					w := httptest.NewRecorder()
					v := visiting(h, w, get("/a", "Accept", accept))
					if accept == "*/*" { // programs are told in English
						v.r.Header.Set("Accept-Language", "de")
					}
					v.text = text
					if err := v.deny(fmt.Errorf("%w: more of it", f.err)); err != nil {
						t.Fatal(err)
					}
					if w.Code != f.status {
						t.Errorf("%s: status %d, want %d", f.reason, w.Code, f.status)
					}
					if accept == "text/html" {
						if !strings.Contains(w.Body.String(), "<h1>"+f.heading+"</h1>") {
							t.Errorf("%s: %s", f.reason, w.Body)
						}
						if again := slices.Contains(mayTryAgain, f.told); strings.Contains(w.Body.String(), `<a href="">Try again</a>`) != again {
							t.Errorf("%s: try again? %s", f.reason, w.Body)
						}
						if !strings.Contains(w.Body.String(), `<code dir="ltr">`+fingerprint+"</code>") {
							t.Errorf("%s: no reference in %s", f.reason, w.Body)
						}
						vary := w.Header()["Vary"]
						if w.Header().Get("Content-Language") != "en" || !slices.Equal(vary, append(slices.Clone(want["Vary"]), "Accept-Language")) {
							t.Errorf("%s: %v", f.reason, w.Header())
						}
						w.Header()["Vary"] = vary[:len(vary)-1]
						for _, field := range []string{"Content-Type", "Content-Language", "Content-Length", "Content-Security-Policy", "X-Robots-Tag"} {
							w.Header().Del(field)
						}
						if len(vary) == 1 {
							w.Header().Del("Vary")
						}
					} else {
						var details struct {
							Type, Title, Detail, Reason string
							Status                      int
						}
						if err := json.Unmarshal(w.Body.Bytes(), &details); err != nil || details.Reason != f.told || details.Status != f.status || details.Detail != confirm.Detail(f.told) || details.Title != http.StatusText(f.status) || details.Type != "about:blank" {
							t.Errorf("%s: %v, %+v", f.reason, err, details)
						}
						if w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
							t.Errorf("%s: %v", f.reason, w.Header())
						}
						w.Header().Del("Content-Type")
						w.Header().Del("Content-Length")
					}
					for field := range want {
						if got := w.Header()[field]; !slices.Equal(got, want[field]) {
							t.Errorf("%s: %s %q, want %q", f.reason, field, got, want[field])
						}
					}
					for field, values := range w.Header() {
						if want[field] == nil {
							t.Errorf("%s: %s %q", f.reason, field, values)
						}
					}
					for name, want := range map[string]string{
						"http.download_token.reason": f.reason, "http.download_token.fingerprint": fingerprint,
						"http.download_token.sub": "", "http.download_token.nonce": "", "http.download_token.expires": "", "http.auth.user.id": "",
					} {
						if got := v.placeholder(name); got != want {
							t.Errorf("%s: {%s} is %q, want %q", f.reason, name, got, want)
						}
					}
					line := logs.All()
					if len(line) != 1 || line[0].Level != zap.InfoLevel {
						t.Fatalf("%s: %v", f.reason, line)
					}
					fields := line[0].ContextMap()
					if fields["reason"] != f.reason || fields["detail"] != "more of it" || fields["status"] != int64(f.status) || fields["fingerprint"] != fingerprint || fields["path"] != "/a" {
						t.Errorf("%s: logged %v", f.reason, fields)
					}
				}
			}
		})
	}
}

// hidden is the status where `status` has no reasons: it is for 401 and 403.
func hidden(f refused, status int) int {
	if f.status == 401 || f.status == 403 {
		return status
	}
	return f.status
}

// statusWithMore: reasons win over none, the first line over a second.
func statusWithMore(f refused) int {
	if f.reason == "replayed" || f.reason == "expired" {
		return 410
	}
	return hidden(f, 404)
}

func statusUnauthorized(f refused) int {
	if f.reason == "in_use" || f.reason == "bad_path" || f.reason == "store_unavailable" {
		return 401
	}
	return f.status
}

func statusMethod(f refused) int {
	if f.reason == "scope" {
		return 405
	}
	return f.status
}

// TestDenialOfWhatIsNotKnown: whatever went wrong, the request is refused.
func TestDenialOfWhatIsNotKnown(t *testing.T) {
	h, logs := staged(t, new(Handler))
	w := httptest.NewRecorder()
	text := signed(t, nil)
	if err := visiting(h, w, get("/a")).deny(errors.New("planted " + text)); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"unavailable"`) || strings.Contains(w.Body.String(), "planted") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if line := fmt.Sprint(logs.All()[0].ContextMap()); strings.Contains(line, text) || !strings.Contains(line, "store_unavailable") {
		t.Errorf("logged %s", line)
	}
}

// TestDenialsOfClientsThatHaveGone: that a client did not wait is nobody's failure; what
// it asked for may still be one.
func TestDenialsOfClientsThatHaveGone(t *testing.T) {
	for _, f := range refusedFor {
		departed := f.reason == "store_unavailable" || f.reason == "in_use" || f.err == errSoon || f.reason == "unknown_key"
		for cause, gone := range map[error]bool{context.Canceled: true, context.DeadlineExceeded: false} {
			h, logs := staged(t, new(Handler))
			w := httptest.NewRecorder()
			r := get("/a")
			if gone {
				ctx, cancel := context.WithCancel(r.Context())
				cancel()
				r = r.WithContext(ctx)
			}
			if err := visiting(h, w, r).deny(f.err); err != nil || w.Code != f.status {
				t.Errorf("%s, %v: %v, %d", f.reason, cause, err, w.Code) // it may have closed only its sending side
			}
			want := zap.InfoLevel
			if departed && gone {
				want = zap.DebugLevel
			}
			if line := logs.All()[0]; line.Level != want {
				t.Errorf("%s, %v: logged as %s", f.reason, cause, line.Level)
			}
		}
	}
}

// TestDenialsForErrorRoutes: a site that has a route for the error answers itself, except
// to CONNECT, for which a reverse_proxy there would open the tunnel.
func TestDenialsForErrorRoutes(t *testing.T) {
	answers := caddyhttp.RouteList{{Handlers: []caddyhttp.MiddlewareHandler{new(caddyhttp.StaticResponse)}}}
	for name, tt := range map[string]struct {
		method string
		routes caddyhttp.RouteList
		theirs bool
	}{
		"a route":    {http.MethodGet, answers, true},
		"no route":   {http.MethodGet, nil, false},
		"CONNECT":    {http.MethodConnect, answers, false},
		"for people": {http.MethodPut, answers, true},
	} {
		h, _ := staged(t, new(Handler))
		w := httptest.NewRecorder()
		v := visiting(h, w, get("/a", "Accept", "text/html"))
		v.r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server).Errors = &caddyhttp.HTTPErrorConfig{Routes: tt.routes}
		v.r.Method = tt.method
		err := v.deny(errMethod)
		var failure caddyhttp.HandlerError
		if errors.As(err, &failure) != tt.theirs || tt.theirs && (failure.StatusCode != 405 || failure.Err.Error() != "download_token: method") || (w.Body.Len() > 0) == tt.theirs {
			t.Errorf("%s: %v, %q", name, err, w.Body)
		}
		if w.Header().Get("Allow") != "GET, HEAD" || w.Header().Get("Cache-Control") != "no-store" || v.placeholder("http.download_token.reason") != "method" {
			t.Errorf("%s: %v", name, w.Header())
		}
	}
}

// TestReasons names each once.
func TestReasons(t *testing.T) {
	var want []string
	for _, f := range refusedFor {
		if !slices.Contains(want, f.reason) {
			want = append(want, f.reason)
		}
	}
	if got := Reasons(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestWhenTheLinkEnded: a person is told when a link ended that has expired, if its
// signature is good, and of no other.
func TestWhenTheLinkEnded(t *testing.T) {
	const when = "This link was valid until 9 February 2021, 23:59 UTC."
	expired := map[string]any{"exp": time.Date(2021, time.February, 9, 23, 59, 59, 0, time.UTC).Unix()}
	genuine := signed(t, expired)
	forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(expired)).SignedString([]byte("another-secret-0123456789-0123456789-abcd"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text, reason string
		says         bool
	}{
		"genuine": {genuine, "expired", true},
		"forged":  {forged, "signature", false},
		"damaged": {genuine[:len(genuine)-2], "malformed", false},
		"cut":     {genuine[:strings.LastIndex(genuine, ".")], "malformed", false},
		"valid":   {signed(t, nil), "scope", false},
		"none":    {"", "malformed", false},
		"typed":   {"my-password", "malformed", false},
	} {
		h, _ := staged(t, &Handler{scopes: []scopes.Scope{opening(scopes.Closed)}})
		w := httptest.NewRecorder()
		v := visiting(h, w, get("/a?download_token="+tt.text, "Accept", "text/html"))
		if err := h.ServeHTTP(w, v.r, nil); err != nil {
			t.Fatal(err)
		}
		if reason := v.placeholder("http.download_token.reason"); reason != tt.reason {
			t.Errorf("%s: refused as %s", name, reason)
		}
		if body := w.Body.String(); strings.Contains(body, when) != tt.says || strings.Contains(body, "until") != tt.says {
			t.Errorf("%s: %s", name, body)
		} else if strings.Contains(body, "<code") != strings.Contains(tt.text, ".") {
			t.Errorf("%s: a reference to what is no token, or none: %s", name, body)
		}
	}
}
