package problem

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestWrite(t *testing.T) {
	for _, c := range []struct {
		status         int
		reason, detail string
		want           string // "" for an error
	}{
		{http.StatusForbidden, "scope", "Not this one.",
			`{"type":"about:blank","title":"Forbidden","status":403,"detail":"Not this one.","reason":"scope"}`},
		{http.StatusTooEarly, "early_data", `Say "again" <later>, ü`,
			`{"type":"about:blank","title":"Too Early","status":425,"detail":"Say \"again\" <later>, ü","reason":"early_data"}`},
		{499, "gone", "", `{"type":"about:blank","title":"","status":499,"detail":"","reason":"gone"}`},
		{http.StatusForbidden, "scope", "\xff", ""},
	} {
		w := httptest.NewRecorder()
		err := Write(w, c.status, c.reason, c.detail)
		document, documentErr := NewDocument(c.status, c.reason, c.detail)
		if c.want == "" {
			if err == nil || documentErr == nil || w.Body.Len() > 0 {
				t.Errorf("%q is written: %s", c.detail, w.Body)
			}
			continue
		}
		if documentErr != nil {
			t.Fatal(documentErr)
		}
		for range 2 { // a document can be sent again
			again := httptest.NewRecorder()
			document.Write(again)
			if again.Code != w.Code || again.Body.String() != w.Body.String() || !reflect.DeepEqual(again.Header(), w.Header()) {
				t.Errorf("the document is %d %v %s", again.Code, again.Header(), again.Body)
			}
		}
		if err != nil || w.Code != c.status || w.Body.String() != c.want+"\n" {
			t.Errorf("%d %s, %v", w.Code, w.Body, err)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/problem+json", "X-Content-Type-Options": "nosniff", "Content-Length": strconv.Itoa(len(c.want) + 1),
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
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
