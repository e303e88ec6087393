package downloadtoken

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestDeliveredLine: what the line says of answers whose size nobody has announced, and
// that it names a person but shows no token.
func TestDeliveredLine(t *testing.T) {
	for name, tt := range map[string]struct {
		claims   map[string]any
		gone     bool
		err      error // of the next handlers, after six bytes
		complete bool
		sub      string
	}{
		"sent":             {claims: map[string]any{"sub": "somebody"}, complete: true, sub: "somebody"},
		"user for sub":     {claims: map[string]any{"user": "somebody"}, complete: true, sub: "somebody"},
		"nobody":           {complete: true},
		"broken off":       {err: errors.New("reset")},
		"the client left":  {gone: true},
		"a token for sub":  {claims: map[string]any{"sub": "x " + signed(t, nil)}, complete: true, sub: "x jwt:"},
		"left and failing": {gone: true, err: errors.New("reset")},
	} {
		t.Run(name, func(t *testing.T) {
			h, logs := staged(t, &Handler{OneTime: new(OneTime)})
			h.app.OnDelivered(h.tellDelivered)
			w := httptest.NewRecorder()
			r := get("/a?download_token=" + signed(t, tt.claims))
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			v := visiting(h, w, r.WithContext(ctx))
			_ = h.ServeHTTP(w, v.r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
				_, err := io.WriteString(w, "answer")
				if tt.gone {
					cancel()
				}
				return errors.Join(err, tt.err)
			}))
			lines := logs.FilterMessage("delivered").All()
			if len(lines) != 1 {
				t.Fatalf("%d lines", len(lines))
			}
			line := lines[0].ContextMap()
			sub, _ := line["sub"].(string)
			if line["complete"] != tt.complete || line["bytes_sent"] != int64(6) || line["bytes_distinct"] != int64(6) ||
				!strings.HasPrefix(sub, tt.sub) || strings.Contains(sub, "eyJ") || tt.sub == "" && sub != "" {
				t.Errorf("%v", line)
			}
		})
	}
}
