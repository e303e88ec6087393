package downloadtoken

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

func outliving(past bool) *OneTime {
	return &OneTime{Resume: &Resume{Window: caddy.Duration(time.Hour), PastExp: past}}
}

// fileOnly is a next handler with a file of ten bytes.
var fileOnly = answering(func(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Etag", `"e"`)
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader("0123456789"))
	return nil
})

type answering func(w http.ResponseWriter, r *http.Request) error

func (f answering) ServeHTTP(w http.ResponseWriter, r *http.Request) error { return f(w, r) }

// TestPastExp: what a token that has expired may still do is to join its open grant, and
// that is all. Whatever else comes of it, the answer is the same as without past_exp, to
// the byte, unless it says to come again.
func TestPastExp(t *testing.T) {
	const ago = -5 * time.Second
	now := time.Now()
	open := func() *used {
		return &used{grant: &shared{terms: rules.Terms{ETag: `"e"`, Size: 10, Ends: now.Add(time.Hour)}, left: 10}}
	}
	for name, tt := range map[string]struct {
		claims map[string]any
		method string // default: GET
		path   string // default: /a
		header string // a name, whose value is 1 unless it is a known one
		scope  scopes.Opening
		spend  string
		joins  bool  // a grant is open when the store is asked to look
		use    *used // that Admit gives
		err    error // of the store

		asked string
		want  error // ErrExpired: also that the answer is that of today
	}{
		"open":                             {joins: true, use: open(), asked: "look, admit"},
		"open, HEAD":                       {joins: true, method: http.MethodHead, asked: "look, look"},
		"open, a part":                     {joins: true, use: open(), header: "Range", asked: "look, admit"},
		"open, instead of the page":        {joins: true, use: open(), header: "Accept", asked: "look, look, admit"},
		"open, the button":                 {joins: true, use: open(), method: http.MethodPost, asked: "look, admit"},
		"open, prefetched":                 {joins: true, header: "Sec-Purpose", asked: "look", want: errPrefetch},
		"open, early":                      {joins: true, header: "Early-Data", asked: "look", want: errEarly},
		"open, on request":                 {joins: true, use: open(), spend: "request", asked: "look, admit"},
		"none":                             {asked: "look", want: token.ErrExpired},
		"none, HEAD":                       {method: http.MethodHead, asked: "look", want: token.ErrExpired},
		"none, parts":                      {header: "Range", asked: "look", want: token.ErrExpired},
		"none, for a page":                 {header: "Accept", asked: "look", want: token.ErrExpired},
		"none, the button":                 {method: http.MethodPost, asked: "look", want: token.ErrExpired},
		"none, prefetched":                 {header: "Sec-Purpose", asked: "look", want: token.ErrExpired},
		"none, early":                      {header: "Early-Data", asked: "look", want: token.ErrExpired},
		"used":                             {err: rules.ErrReplayed, asked: "look", want: token.ErrExpired},
		"used up":                          {err: rules.ErrBudget, asked: "look", want: token.ErrExpired},
		"forgotten":                        {err: rules.ErrUnproven, asked: "look", want: token.ErrExpired},
		"revoked":                          {err: rules.ErrRevoked, asked: "look", want: token.ErrExpired},
		"another is about to use it":       {err: rules.ErrInUse, asked: "look", want: token.ErrExpired},
		"the store cannot tell":            {err: rules.ErrUnavailable, asked: "look", want: rules.ErrUnavailable},
		"its grant ends meanwhile":         {joins: true, asked: "look, admit", want: token.ErrExpired},
		"it ends meanwhile, on request":    {joins: true, spend: "request", asked: "look, admit", want: token.ErrExpired},
		"its window ends meanwhile":        {joins: true, use: &used{grant: &shared{terms: rules.Terms{Size: 10, Ends: now.Add(-time.Second)}}}, asked: "look, admit", want: token.ErrExpired},
		"a method":                         {joins: true, method: http.MethodPut, want: token.ErrExpired},
		"a path":                           {joins: true, path: "/a//b", want: token.ErrExpired},
		"a scope":                          {joins: true, scope: scopes.Closed, want: token.ErrExpired},
		"an address":                       {joins: true, claims: map[string]any{"ip": "198.51.100.1"}, want: token.ErrExpired},
		"no nonce":                         {joins: true, claims: map[string]any{"jti": nil}, want: token.ErrExpired},
		"an audience":                      {joins: true, claims: map[string]any{"aud": "elsewhere"}, want: token.ErrExpired},
		"valid after its end":              {joins: true, claims: map[string]any{"nbf": now.Add(time.Second).Unix()}, want: token.ErrExpired},
		"too long a life":                  {joins: true, claims: map[string]any{"iat": now.Add(-2 * time.Hour).Unix()}, want: token.ErrExpired},
		"issued after its end":             {joins: true, claims: map[string]any{"iat": now.Unix()}, want: token.ErrExpired},
		"expired but for leeway: is valid": {claims: map[string]any{"exp": now.Add(-500*time.Millisecond).UnixMilli() / 1000}, asked: "admit"},
	} {
		t.Run(name, func(t *testing.T) {
			claims := map[string]any{"exp": now.Add(ago).Unix(), "ip": "192.0.2.1"}
			for claim, value := range tt.claims {
				claims[claim] = value
			}
			target := "/a"
			if tt.path != "" {
				target = tt.path
			}
			target += "?download_token=" + signed(t, claims)
			request := func() *http.Request {
				r := get(target, "Accept-Encoding", "gzip")
				if tt.method == http.MethodPost {
					r = httptest.NewRequest(http.MethodPost, target, strings.NewReader(url.Values{"press": {"x"}}.Encode()))
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				if tt.method != "" {
					r.Method = tt.method
				}
				switch tt.header {
				case "":
				case "Accept":
					r.Header.Set("Accept", navigation)
				case "Range":
					r.Header.Set("Range", "bytes=2-4")
				case "Sec-Purpose":
					r.Header.Set("Sec-Purpose", "prefetch")
				default:
					r.Header.Set(tt.header, "1")
				}
				return r
			}
			directive := func(past bool) (*Handler, *patient) {
				p := &patient{use: tt.use, err: tt.err, joins: tt.joins}
				o := outliving(past)
				o.Spend = tt.spend
				h := &Handler{store: p, OneTime: o, Confirm: new(Confirm), IPClaim: "ip", now: func() time.Time { return now }}
				if tt.scope != 0 || name == "a scope" {
					h.scopes = []scopes.Scope{opening(tt.scope)}
				}
				h, _ = staged(t, h)
				h.rules.Leeway = 2 * time.Second
				h.rules.MaxTTL = time.Hour
				return h, p
			}
			h, p := directive(true)
			v := visiting(h, httptest.NewRecorder(), request())
			err := v.receive()
			if err == nil {
				err = v.judge()
			}
			if err == nil {
				err = v.admit()
			}
			if err != nil {
				err = v.refusal(err)
			}
			v.leave()
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if asked := strings.Join(p.asked, ", "); asked != tt.asked {
				t.Errorf("the store was asked %q, want %q", asked, tt.asked)
			}
			if p.use != nil && (len(p.use.committed) > 0 || p.use.released != 1) || p.holds != 0 {
				t.Errorf("left behind: %+v, %d", p.use, p.holds)
			}
			if len(p.asked) > 0 && p.asked[0] == "look" && (p.queries[0].Patience != 0 || p.queries[0].Fingerprint != token.Fingerprint{}) {
				t.Error("it was looked for with a trace, or waited for")
			}
			if tt.want != token.ErrExpired {
				return
			}
			var answers [2]*httptest.ResponseRecorder
			var left [2]*http.Request
			for i, past := range []bool{false, true} {
				h, _ := directive(past)
				answers[i] = httptest.NewRecorder()
				v := visiting(h, answers[i], request())
				left[i] = v.r
				if err := h.ServeHTTP(answers[i], v.r, fileOnly); err != nil {
					t.Fatal(err)
				}
			}
			if answers[0].Code != http.StatusUnauthorized || answers[1].Code != answers[0].Code ||
				!reflect.DeepEqual(answers[0].Header(), answers[1].Header()) || answers[0].Body.String() != answers[1].Body.String() {
				t.Errorf("answered %+v, and without past_exp %+v", answers[1], answers[0])
			}
			changed := left[0].Header.Get("Accept-Encoding") != left[1].Header.Get("Accept-Encoding")
			if left[0].Method != left[1].Method || changed && !strings.Contains(tt.asked, "admit") {
				t.Errorf("error routes see %v, and without past_exp %v", left[1], left[0])
			}
		})
	}
}

// TestExpiresMeanwhile: exp may come while a request waits. What it has joined goes on, what
// it has reserved is given back.
func TestExpiresMeanwhile(t *testing.T) {
	for name, tt := range map[string]struct {
		past  bool
		joins bool
		want  error
	}{
		"reserved":                   {past: true, want: token.ErrExpired},
		"joined":                     {past: true, joins: true},
		"reserved, without past_exp": {want: token.ErrExpired},
		"joined, without past_exp":   {joins: true, want: token.ErrExpired},
	} {
		now := time.Now()
		u := new(used)
		if tt.joins {
			u.grant = &shared{terms: rules.Terms{Size: 10, Ends: now.Add(time.Hour)}, left: 10}
		}
		p := &slow{patient{use: u}, func() { now = now.Add(2 * time.Minute) }}
		h, _ := staged(t, &Handler{store: p, OneTime: outliving(tt.past), now: func() time.Time { return now }})
		v := visiting(h, httptest.NewRecorder(), get("/a?download_token="+signed(t, nil)))
		err := v.receive()
		if err == nil {
			err = v.judge()
		}
		if err == nil {
			err = v.admit()
		}
		v.leave()
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || len(u.committed) != 0 || u.released != 1 {
			t.Errorf("%s: %v, %+v", name, err, u)
		}
	}
}

// slow is a store that takes its time.
type slow struct {
	patient
	wait func()
}

func (s *slow) Admit(ctx context.Context, q store.Query, clock func() time.Time) (store.Use, error) {
	s.wait()
	return s.patient.Admit(ctx, q, clock)
}

// TestServedPastExp: the answer says nothing of a life that is over.
func TestServedPastExp(t *testing.T) {
	p := &patient{joins: true, use: &used{grant: &shared{terms: rules.Terms{ETag: `"e"`, Size: 10, Ends: time.Now().Add(time.Hour)}, left: 10}}}
	h, _ := staged(t, &Handler{store: p, OneTime: outliving(true)})
	w := httptest.NewRecorder()
	v := visiting(h, w, get("/a?download_token="+signed(t, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), "Range", "bytes=2-4"))
	if err := h.ServeHTTP(w, v.r, fileOnly); err != nil {
		t.Fatal(err)
	}
	if cc := w.Header().Get("Cache-Control"); w.Code != http.StatusPartialContent || w.Body.String() != "234" || cc != "private, no-store" {
		t.Errorf("%d %q, %s", w.Code, w.Body, cc)
	}
}

// TestExplainPastExp: without a store, a token that has expired is expired.
func TestExplainPastExp(t *testing.T) {
	h, _ := staged(t, &Handler{OneTime: outliving(true)})
	expired := map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}
	for target, want := range map[string]string{"/a": "expired", "/a//b": "expired"} {
		r := visiting(h, httptest.NewRecorder(), get(target+"?download_token="+signed(t, expired))).r
		if reason, _, err := h.Explain(r); reason != want || !errors.Is(err, token.ErrExpired) {
			t.Errorf("%s: %s, %v", target, reason, err)
		}
	}
}
