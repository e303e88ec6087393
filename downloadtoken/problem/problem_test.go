package problem

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestWrite(t *testing.T) {
	w := httptest.NewRecorder()
	if err := Write(w, http.StatusForbidden, "scope", "Not this one."); err != nil {
		t.Fatal(err)
	}
	const want = `{"type":"about:blank","title":"Forbidden","status":403,"detail":"Not this one.","reason":"scope"}` + "\n"
	if w.Code != http.StatusForbidden || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/problem+json", "X-Content-Type-Options": "nosniff", "Content-Length": "98",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestWriteJSONOfNothing: what cannot be written is an error, and nothing goes out.
func TestWriteJSONOfNothing(t *testing.T) {
	w := httptest.NewRecorder()
	if err := WriteJSON(w, http.StatusOK, "application/json", math.NaN()); err == nil || w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("%v, %q, %v", err, w.Body, w.Header())
	}
}

func TestClientIP(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if got := ClientIP(r); got != "" {
		t.Errorf("%q without Caddy", got)
	}
	r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.1"}))
	if got := ClientIP(r); got != "192.0.2.1" {
		t.Errorf("%q", got)
	}
}
