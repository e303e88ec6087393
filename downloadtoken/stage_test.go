package downloadtoken

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

const stageSecret = "secret-of-the-stage-0123456789-abcdefghij"

// staged is a directive that is ready for requests without a Caddy: its key is
// stageSecret, its scope and its store are doubles that let everything pass.
func staged(t testing.TB, h *Handler) (*Handler, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	h.logger = zap.New(core)
	if h.now == nil {
		h.now = time.Now
	}
	key, _, err := token.ParseKey("HS256", stageSecret)
	if err != nil {
		t.Fatal(err)
	}
	table, err := token.NewTable(key)
	if err != nil {
		t.Fatal(err)
	}
	h.verifier = timed{plain: &token.Verifier{Keys: table}}
	h.rules = token.Rules{OneTime: h.OneTime != nil}
	h.app = new(store.App)
	if h.scopes == nil {
		h.scopes = []scopes.Scope{opening(scopes.Open)}
	}
	if h.store == nil {
		h.store = new(patient)
	}
	if h.OneTime != nil {
		h.MaxTTL = caddy.Duration(time.Hour)
		if h.oneTime, err = h.OneTime.prepare(&h.Config); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.provisionSources(); err != nil {
		t.Fatal(err)
	}
	if err := h.provisionChildren(table.Keys()); err != nil {
		t.Fatal(err)
	}
	if err := h.provisionMethods(new(caddy.Context).FileSystems()); err != nil {
		t.Fatal(err)
	}
	if err := h.provisionAnswers(); err != nil {
		t.Fatal(err)
	}
	return h, logs
}

// opening is a scope with one answer.
type opening scopes.Opening

func (o opening) Opens(scopes.Query) scopes.Opening { return scopes.Opening(o) }

// patient is a store that answers what it is told to.
type patient struct {
	store.Store // what is not overridden panics

	use     *used // that Admit grants; nil: one without an end
	err     error // of Admit, Look and Revoked
	joins   bool  // of Look
	asked   []string
	queries []store.Query
	holds   int
}

func (p *patient) Hold(context.Context) error { p.holds++; return nil }
func (p *patient) LetGo()                     { p.holds-- }

func (p *patient) Revoked(context.Context, func() rules.Revocable, time.Time) error {
	p.asked = append(p.asked, "revoked")
	return p.err
}

func (p *patient) Look(_ context.Context, q store.Query, _ func() time.Time) (*store.Open, error) {
	p.asked, p.queries = append(p.asked, "look"), append(p.queries, q)
	if p.joins {
		return new(store.Open), p.err
	}
	return nil, p.err
}

func (p *patient) Admit(_ context.Context, q store.Query, _ func() time.Time) (store.Use, error) {
	p.asked, p.queries = append(p.asked, "admit"), append(p.queries, q)
	if p.err != nil {
		return nil, p.err
	}
	if p.use == nil {
		p.use = new(used)
	}
	return p.use, nil
}

// used is one use of a token.
type used struct {
	grant     *shared        // that was joined
	opens     *shared        // by a Commit with terms
	err       error          // of Commit
	committed []*rules.Terms // one for each Commit
	released  int
}

func (u *used) Grant() store.Grant {
	if u.grant == nil {
		return nil
	}
	return u.grant
}

func (u *used) Commit(_ context.Context, t *rules.Terms) (store.Grant, error) {
	u.committed = append(u.committed, t)
	if u.err != nil || t == nil || u.opens == nil {
		return nil, u.err
	}
	u.opens.terms = *t
	return u.opens, nil
}

func (u *used) Release() { u.released++ }

// shared is a grant.
type shared struct {
	terms   rules.Terms
	left    int64
	err     error // of Draw
	drawn   int64
	told    bool // that it is exhausted
	returns int64
}

func (s *shared) Terms() rules.Terms { return s.terms }
func (s *shared) Left() int64        { return s.left }
func (s *shared) Return(n int64)     { s.left += n; s.returns += n }

func (s *shared) Draw(_ context.Context, n int64) (int64, error) {
	n = min(n, s.left)
	s.left -= n
	s.drawn += n
	return n, s.err
}

func (s *shared) Exhausted() bool {
	first := !s.told
	s.told = true
	return first
}

// signed is a token. A claim that is nil is left out.
func signed(t testing.TB, claims map[string]any) string {
	t.Helper()
	all := jwt.MapClaims{"exp": time.Now().Add(time.Minute).Unix(), "jti": "j"}
	for name, value := range claims {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString([]byte(stageSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// visiting is a request to the directive as Caddy hands it over.
func visiting(h *Handler, w http.ResponseWriter, r *http.Request) *visit {
	return &visit{h: h, oneTime: h.oneTime, w: w, r: caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))}
}

// get is a GET.
func get(target string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// placeholder is what a request's placeholder stands for.
func (v *visit) placeholder(name string) string {
	value, _ := replacerOf(v).GetString(name)
	return value
}
