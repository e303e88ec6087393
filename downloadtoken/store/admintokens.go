package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// tokenInfo is what is known of a one-time token.
type tokenInfo struct {
	Store     string     `json:"store"`
	State     string     `json:"state"`
	FirstSeen time.Time  `json:"first_seen"`
	LastSeen  time.Time  `json:"last_seen"`
	SpentAt   time.Time  `json:"spent_at,omitzero"`
	Expires   time.Time  `json:"expires"`
	Issued    time.Time  `json:"issued,omitzero"`
	Grant     *grantInfo `json:"grant,omitzero"`
}

// grantInfo is the open grant of a token.
type grantInfo struct {
	Left int64     `json:"bytes_left"`
	Ends time.Time `json:"ends"`
}

// tokens answers what became of a token, as the store has it now.
func (Admin) tokens(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return adminError(http.StatusMethodNotAllowed, errors.New("method not allowed; use GET"))
	}
	f, err := parseFingerprint(path.Base(r.URL.Path))
	if err != nil {
		return adminError(http.StatusBadRequest, err)
	}
	s, ok := seen.find(f)
	if !ok {
		return adminError(http.StatusNotFound, errors.New("no one-time token of this fingerprint was shown here lately: not since the start, or "+
			"not since some thousand others; nor is anything known of tokens that were refused before the store was asked"))
	}
	info, err := s.ask(r.Context())
	if err != nil {
		return err
	}
	return answerJSON(w, info)
}

// states are what the store answers about a token that is shown again.
var states = []struct {
	err  error
	name string
}{
	{rules.ErrRevoked, "revoked"}, {rules.ErrReplayed, "spent"}, {rules.ErrBudget, "used_up"},
	{rules.ErrInUse, "reserved"}, {rules.ErrUnproven, "unproven"},
}

// ask looks at the token in its store.
func (s *sighting) ask(ctx context.Context) (*tokenInfo, error) {
	info := &tokenInfo{
		Store: s.store, FirstSeen: s.first.UTC(), LastSeen: s.last.UTC(), Expires: s.showing.Expires, Issued: s.showing.Issued,
	}
	if !s.spent.IsZero() {
		info.SpentAt = s.spent.UTC()
	}
	for _, app := range apps.all() {
		store, ok := app.open[s.store]
		if !ok {
			continue
		}
		if err := store.Hold(ctx); err != nil {
			return nil, adminError(http.StatusServiceUnavailable, err)
		}
		open, err := store.Look(ctx, Query{Presentation: s.showing, Grants: s.grants, Revocable: func() rules.Revocable {
			return rules.Revocable{Fingerprint: s.fingerprint.String()}
		}}, time.Now)
		store.LetGo()
		switch {
		case open != nil:
			info.State, info.Grant = "open", &grantInfo{open.Left, open.Ends.UTC()}
		case err == nil && time.Now().After(s.showing.Expires.Add(s.showing.Leeway)):
			info.State = "expired"
		case err == nil && (s.showing.Uses > 1 || !s.spent.IsZero()):
			info.State = "uses_left"
		case err == nil:
			info.State = "unused"
		}
		for _, state := range states {
			if errors.Is(err, state.err) {
				info.State = state.name
			}
		}
		if info.State == "" {
			return nil, adminError(http.StatusServiceUnavailable, fmt.Errorf("store %s: %w", s.store, err))
		}
		return info, nil
	}
	return nil, adminError(http.StatusNotFound, fmt.Errorf("the running configuration has no store %s any more", s.store))
}

// parseFingerprint reads a fingerprint as log lines have it.
func parseFingerprint(text string) (f token.Fingerprint, err error) {
	decoded, err := hex.DecodeString(text)
	switch {
	case err != nil || len(decoded) != len(f):
		return f, errors.New("fingerprint: not 16 hex digits; give it as the log lines have it, or give the token")
	case token.Fingerprint(decoded) == f:
		return f, errors.New("fingerprint: zeros name no token; that log line is about something that does not begin as one")
	}
	return token.Fingerprint(decoded), nil
}
