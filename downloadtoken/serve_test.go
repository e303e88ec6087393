package downloadtoken

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
)

// outcomes counts what became of requests so far.
func outcomes(t *testing.T) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(requests); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]float64)
	for _, metric := range families[0].GetMetric() {
		counts[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
	}
	return counts
}

// TestOutcomes: what becomes of an accepted token is counted once, is told in the log
// once, and is shown to people where the site itself shows nothing.
func TestOutcomes(t *testing.T) {
	text := func(w http.ResponseWriter, s string) error { _, err := io.WriteString(w, s); return err }
	const noFile, siteError = "There is no such file", "This did not work"
	for name, tt := range map[string]struct {
		once   bool
		use    *used
		method string // default: GET
		gone   bool   // the client, meanwhile
		next   func(w http.ResponseWriter, r *http.Request) error

		outcome string // "": none
		line    string // of the log; "": none but that it was spent
		page    string // for people; "": the site's answer
		status  int    // 0: an error for Caddy
		panics  bool
	}{
		"a file":           {next: func(w http.ResponseWriter, _ *http.Request) error { return text(w, "a") }, outcome: "served", status: 200},
		"a file, once":     {once: true, next: func(w http.ResponseWriter, _ *http.Request) error { return text(w, "a") }, outcome: "spent", status: 200},
		"a redirect":       {next: func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(302); return nil }, outcome: "served", status: 302},
		"an answer of 404": {next: func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(404); return nil }, outcome: "not_found", line: "not served", status: 404},
		"an error of 404":  {next: func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(404, errors.New("none")) }, outcome: "not_found", line: "not served", page: noFile, status: 404},
		"an error of 410":  {next: func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(410, errors.New("gone")) }, outcome: "not_found", line: "not served", page: noFile, status: 410},
		"an error of 403":  {next: func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(403, errors.New("no")) }, outcome: "site_error", line: "not served", page: siteError, status: 403},
		"an error of 502": {once: true, next: func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(200)
			return caddyhttp.Error(502, errors.New("dial sub-of-the-token.example"))
		}, outcome: "site_error", line: "not served, the site failed", page: siteError, status: 502},
		"an error without status": {next: func(http.ResponseWriter, *http.Request) error { return errors.New("any") }, outcome: "site_error", line: "not served, the site failed", page: siteError, status: 500},
		"an error for a redirect": {next: func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(302, errors.New("elsewhere")) }, outcome: "site_error", line: "not served"},
		"an error to HEAD":        {method: http.MethodHead, next: func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(404, errors.New("none")) }, outcome: "not_found", line: "not served"},
		"broken off": {next: func(w http.ResponseWriter, _ *http.Request) error {
			return errors.Join(text(w, "a"), errors.New("reset"))
		}, outcome: "failed", status: 200},
		"another file": {next: func(w http.ResponseWriter, r *http.Request) error { r.URL.Path = "/b"; return text(w, "b") }, outcome: "failed", line: "download_token: a later handler changed the path", page: siteError, status: 500},
		"no body": {once: true, next: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(200)
			return nil
		}, outcome: "failed", line: "download_token: the next handler announced a body", page: siteError, status: 500},
		"no answer":              {next: func(http.ResponseWriter, *http.Request) error { return nil }, outcome: "failed", line: "no handler behind download_token has answered", status: 200},
		"replayed":               {once: true, use: &used{err: rules.ErrReplayed}, next: func(w http.ResponseWriter, _ *http.Request) error { return text(w, "a") }, outcome: "replayed", line: "request refused", page: "Already used", status: 401},
		"no budget":              {once: true, use: &used{grant: &shared{terms: rules.Terms{Size: 1, ETag: `"e"`, Copies: 2, Ends: time.Now().Add(time.Hour)}}}, next: file, outcome: "budget", line: "request refused", page: "Already used", status: 401},
		"a budget that ends":     {once: true, use: &used{grant: &shared{terms: rules.Terms{Size: 1, ETag: `"e"`, Copies: 2, Ends: time.Now().Add(time.Hour)}, left: 1}}, next: more, outcome: "budget", line: "download broken off", panics: true},
		"a client that has gone": {gone: true, next: func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(499, context.Canceled) }},
		"gone during the answer": {gone: true, next: func(w http.ResponseWriter, _ *http.Request) error {
			return errors.Join(text(w, "a"), errors.New("reset"))
		}, outcome: "served", status: 200},
		"gone, and an error page": {gone: true, next: func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(500); return text(w, "oops") }, status: 500},
	} {
		t.Run(name, func(t *testing.T) {
			h := &Handler{store: &patient{use: tt.use}}
			if tt.once {
				h.OneTime = new(OneTime)
			}
			h, logs := staged(t, h)
			w := httptest.NewRecorder()
			r := get("/a?download_token="+signed(t, map[string]any{"sub": "sub-of-the-token"}), "Accept", navigation)
			if tt.method != "" {
				r.Method = tt.method
			}
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			v := visiting(h, w, r.WithContext(ctx))
			before := outcomes(t)
			var err error
			panicked := func() (p any) {
				defer func() { p = recover() }()
				err = h.ServeHTTP(w, v.r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					if tt.gone {
						cancel()
					}
					return tt.next(w, r)
				}))
				return nil
			}()
			if (panicked == http.ErrAbortHandler) != tt.panics || !tt.panics && panicked != nil {
				t.Fatalf("panic %v", panicked)
			}
			for outcome, n := range outcomes(t) {
				if counted := n - before[outcome]; counted != 0 && outcome != tt.outcome || counted != 1 && outcome == tt.outcome {
					t.Errorf("%s is counted %v times", outcome, counted)
				}
			}
			var lines []string
			for _, line := range logs.All() {
				if line.Message != "token spent" {
					lines = append(lines, line.Message)
				}
				for field, value := range line.ContextMap() {
					if text, ok := value.(string); ok && strings.Contains(text, "sub-of-the-token") {
						t.Errorf("%s tells a claim: %s", field, text)
					}
				}
			}
			if got := strings.Join(lines, ", "); tt.line == "" && got != "" || !strings.HasPrefix(got, tt.line) {
				t.Errorf("logged %q, want %q", got, tt.line)
			}
			switch {
			case tt.status == 0 && !tt.panics && err == nil:
				t.Errorf("answered with %d", w.Code)
			case tt.page != "" && (w.Code != tt.status || err != nil || !strings.Contains(w.Body.String(), "<h1>"+tt.page+"</h1>")):
				t.Errorf("%v, %d: %s", err, w.Code, w.Body)
			case tt.page == "" && tt.status != 0 && (w.Code != tt.status || strings.Contains(w.Body.String(), "<h1>")):
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

// TestErrorsWithoutClaims: an error of the site may quote what a placeholder gave it.
func TestErrorsWithoutClaims(t *testing.T) {
	v := accepted(t, map[string]any{"sub": "ada", "tenant": "acme", "host": "acme.example", "n": 12345, "ok": "no", "object": map[string]any{"a": "deep"}, "typ": "download"})
	v.nonce = "n-0S6_WzA2Mj"
	v.publish()
	for text, want := range map[string]string{
		"dial acme.example: for ada":    "dial {http.download_token.claim.host}: for {http.download_token.sub}",
		"acme, acme.example and 12345":  "{http.download_token.claim.tenant}, {http.download_token.claim.host} and {http.download_token.claim.n}",
		"n-0S6_WzA2Mj, no and deep":     "{http.download_token.nonce}, no and deep",
		"what a download has: nothing.": "what a {http.download_token.claim.typ} has: nothing.",
	} {
		if got := v.withoutClaims(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// file is a next handler with one byte.
func file(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Etag", `"e"`)
	w.Header().Set("Content-Length", "1")
	_, err := io.WriteString(w, "a")
	return err
}

// more is file that sends more than it says.
func more(w http.ResponseWriter, r *http.Request) error {
	if err := file(w, r); err != nil {
		return err
	}
	_, err := io.WriteString(w, "b")
	return err
}

// TestProgramsGetErrors of the site as they are, and so do error routes.
func TestProgramsGetErrors(t *testing.T) {
	answers := caddyhttp.RouteList{{Handlers: []caddyhttp.MiddlewareHandler{new(caddyhttp.StaticResponse)}}}
	for name, tt := range map[string]struct {
		accept string
		routes caddyhttp.RouteList
	}{"a program": {"*/*", nil}, "an error route": {navigation, answers}} {
		h, _ := staged(t, new(Handler))
		w := httptest.NewRecorder()
		v := visiting(h, w, get("/a?download_token="+signed(t, nil), "Accept", tt.accept))
		v.r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server).Errors = &caddyhttp.HTTPErrorConfig{Routes: tt.routes}
		failure := caddyhttp.Error(404, errors.New("none"))
		err := h.ServeHTTP(w, v.r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return failure }))
		if !errors.Is(err, failure) || w.Body.Len() > 0 {
			t.Errorf("%s: %v, %q", name, err, w.Body)
		}
	}
}

// TestThePage says what the link is good for, and what would be served.
func TestThePage(t *testing.T) {
	const once, some = "This link can be used only once.", "This link works a limited number of times."
	for name, tt := range map[string]struct {
		oneTime *OneTime
		next    func(w http.ResponseWriter, r *http.Request) error
		shown   []string
		hidden  []string
	}{
		"for a time":  {nil, file, []string{"<bdi>a.txt</bdi>", ">1 byte<"}, []string{once, some, `name="press"`}},
		"once":        {new(OneTime), file, []string{once, `name="press"`}, []string{some}},
		"three times": {&OneTime{Uses: 3}, file, []string{some, `name="press"`}, []string{once}},
		"another name": {nil, func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Disposition", "attachment; filename=b.txt")
			return file(w, r)
		}, []string{"<bdi>b.txt</bdi>"}, []string{"a.txt"}},
		"no size": {nil, func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(200); return nil }, []string{"<bdi>a.txt</bdi>"}, []string{"byte"}},
		"knows no HEAD": {nil, func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", "9")
			w.WriteHeader(405)
			return nil
		}, []string{"<bdi>a.txt</bdi>"}, []string{"byte"}},
	} {
		h, _ := staged(t, &Handler{Confirm: new(Confirm), OneTime: tt.oneTime, From: []Source{{In: "query", Name: []string{"download_token"}}, {In: "cookie", Name: []string{"c"}}}})
		w := httptest.NewRecorder()
		before := outcomes(t)["asked"]
		err := h.ServeHTTP(w, visiting(h, w, get("/dir/a.txt?download_token="+signed(t, nil), "Accept", navigation)).r, caddyhttp.HandlerFunc(tt.next))
		body := w.Body.String()
		if err != nil || w.Code != 200 || !strings.Contains(body, "<h1>Ready to download</h1>") || outcomes(t)["asked"] != before+1 || w.Header().Get("Vary") != "Cookie" {
			t.Errorf("%s: %v, %d, %v", name, err, w.Code, w.Header())
		}
		for _, text := range tt.shown {
			if !strings.Contains(body, text) {
				t.Errorf("%s: no %s in %s", name, text, body)
			}
		}
		for _, text := range tt.hidden {
			if strings.Contains(body, text) {
				t.Errorf("%s: %s in %s", name, text, body)
			}
		}
	}
}

// TestAPanicLeavesNothingReserved, neither a token nor the store.
func TestAPanicLeavesNothingReserved(t *testing.T) {
	p := new(patient)
	h, _ := staged(t, &Handler{OneTime: new(OneTime), store: p})
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler {
				t.Errorf("panic %v", v)
			}
		}()
		_ = h.ServeHTTP(w, visiting(h, w, get("/a?download_token="+signed(t, nil))).r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
			panic(http.ErrAbortHandler)
		}))
	}()
	if p.holds != 0 || p.use.released != 1 || len(p.use.committed) != 0 {
		t.Errorf("held %d times, %+v", p.holds, p.use)
	}
}

// TestASecondPress: the value of a page finds the grant that its first press has opened.
func TestASecondPress(t *testing.T) {
	p := new(patient)
	h, _ := staged(t, &Handler{OneTime: &OneTime{Resume: &Resume{Window: caddy.Duration(time.Hour)}}, Confirm: new(Confirm), store: p})
	text := signed(t, nil)
	press := func(path, client, value string) []rules.GrantKey {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, path+"?download_token="+text, strings.NewReader("press="+value))
		w := httptest.NewRecorder()
		v := visiting(h, w, r)
		caddyhttp.SetVar(v.r.Context(), caddyhttp.ClientIPVarKey, client)
		if err := h.ServeHTTP(w, v.r, caddyhttp.HandlerFunc(file)); err != nil || w.Code != 200 {
			t.Fatal(err, w.Code, w.Body)
		}
		return p.queries[len(p.queries)-1].Grants
	}
	w := httptest.NewRecorder()
	v := visiting(h, w, get("/a?download_token="+text, "Accept", navigation))
	caddyhttp.SetVar(v.r.Context(), caddyhttp.ClientIPVarKey, "192.0.2.1")
	if err := h.ServeHTTP(w, v.r, caddyhttp.HandlerFunc(file)); err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(w.Body.String(), `name="press" value="`)
	value, _, _ := strings.Cut(after, `"`)
	if !confirm.IsPress(value, rules.NewGrantKey(p.queries[0].Key, "/a", "192.0.2.1", ""), time.Now()) {
		t.Fatalf("%q is not for what the page is for", value)
	}
	first := press("/a", "192.0.2.1", value)
	if len(first) != 2 || first[1] == first[0] || first[1] != press("/a", "192.0.2.1", value)[1] {
		t.Errorf("%x", first)
	}
	for what, keys := range map[string][]rules.GrantKey{
		"no value": press("/a", "192.0.2.1", ""), "another value": press("/a", "192.0.2.1", "x"+value), "another path": press("/b", "192.0.2.1", value), "another client": press("/a", "192.0.2.2", value),
	} {
		if len(keys) != 1 {
			t.Errorf("%s: %d grants may be joined", what, len(keys))
		}
	}
}
