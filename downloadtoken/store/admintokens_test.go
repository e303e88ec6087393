package store

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// answering is a store that answers about a token what it is told to.
type answering struct {
	ledgerOf
	open *Open
}

func (a *answering) Look(context.Context, Query, func() time.Time) (*Open, error) {
	return a.open, a.err
}

func TestAdminTokens(t *testing.T) {
	const name = "of-a-test"
	store := new(answering)
	app := &App{open: map[string]Handle{name: store}}
	apps.start(app)
	defer apps.stop(app)
	now := time.Now()
	for want, tt := range map[string]struct {
		showing rules.Presentation
		spent   bool
		err     error
		open    *Open
	}{
		"unused":    {showing: rules.Presentation{Uses: 1}},
		"uses_left": {showing: rules.Presentation{Uses: 3}},
		"expired":   {showing: rules.Presentation{Uses: 3, Expires: now.Add(-2 * time.Second), Leeway: time.Second}},
		"spent":     {spent: true, err: rules.ErrReplayed},
		"used_up":   {spent: true, err: rules.ErrBudget},
		"open":      {spent: true, open: &Open{Left: 5, Ends: now}},
		"revoked":   {err: rules.ErrRevoked},
		"reserved":  {err: rules.ErrInUse},
		"unproven":  {err: rules.ErrUnproven},
		// per path: spent for another path than this one
		"uses_left ": {showing: rules.Presentation{Uses: 1}, spent: true},
	} {
		f := token.FingerprintOf("eyJhIjox." + want + ".c2ln")
		want = strings.TrimSpace(want)
		store.err, store.open = tt.err, tt.open
		if tt.showing.Expires.IsZero() {
			tt.showing.Expires = now.Add(time.Minute)
		}
		seen.note(name, &Query{Presentation: tt.showing, Fingerprint: f}, now)
		if tt.spent {
			seen.noteSpent(f, now)
		}
		w := httptest.NewRecorder()
		if err := (Admin{}).tokens(w, httptest.NewRequest(http.MethodGet, "/download_token/tokens/"+f.String(), nil)); err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		var told tokenInfo
		if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil || told.State != want || told.SpentAt.IsZero() == tt.spent || (told.Grant != nil) != (want == "open") {
			t.Errorf("%s: %s, %v", want, w.Body, err)
		}
	}
}
