package command

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// admin is an admin API that gives one answer for each path. It returns its address.
func admin(t *testing.T, answers map[string]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[strings.TrimPrefix(r.URL.Path, "/download_token/")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"error":"what to do instead"}`
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestStatusOfStores: what belongs to a revocation stands beneath it.
func TestStatusOfStores(t *testing.T) {
	address := admin(t, map[string]string{
		"stores":      `{"b":{"type":"bolt"},"a":{"type":"memory","entries":2}}`,
		"revocations": `{"a":[{"sub":"a\u001b[0m"},{"kid":"k","until":"2026-01-31T13:00:00Z"}],"b":[]}`,
	})
	want := `Store a
  entries  2
  type     memory
  Revoked
    sub  a\x1b[0m
  Revoked
    kid    k
    until  2026-01-31T13:00:00Z
Store b
  type  bolt
`
	if got := mustExecute(t, "", "status", "--address", address); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestAdminErrors say what to do.
func TestAdminErrors(t *testing.T) {
	address := admin(t, map[string]string{"revoke": "no JSON"})
	for want, args := range map[string][]string{
		"write the address of the admin API with --address": {"status", "--address", "127.0.0.1:1"},
		"what to do instead":                {"status", "--address", address},
		"use the command of the Caddy that": {"revoke", "--sub", "ada", "--address", address},
	} {
		if out, _, err := execute("", args...); err == nil || out != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s, %v", args, out, err)
		}
	}
}
