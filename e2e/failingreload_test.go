package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestReloadThatFailsLateLeavesTheRunningApp has reloads fail when the app has
// started, or may have: Caddy starts apps in any order.
func TestReloadThatFailsLateLeavesTheRunningApp(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	elsewhere := strings.Replace(oneTime, "one_time", "one_time\n\t\tstore other", 1)
	const stores = "download_token {\n\t\tstore memory\n\t\tstore other memory\n\t}"

	for name, tt := range map[string]struct {
		rounds  int
		failing func(s *server) []byte
	}{
		"a second site on a taken port": {6, func(s *server) []byte {
			// an unused store as well, which goes away again
			return s.adaptWhole(s.caddyfile(oneTime) + fmt.Sprintf("\nhttp://%s {\n%s\n}\n", taken.Addr(), strings.ReplaceAll(elsewhere, secret, strings.Repeat("o", 40))))
		}},
		"what Caddy does when all apps have started": {1, func(s *server) []byte {
			config := string(s.adapt(oneTime))
			whole := strings.Replace(config, `"admin":{`, `"admin":{"config":{"load":{"module":"http","url":"http://`+freeAddress(t)+`/"}},`, 1)
			return []byte(strings.Replace(whole, `,"config":{"persist":false}`, "", 1))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := startApart(t, map[string]string{"a.txt": "a"}, stores, oneTime)
			for i := range tt.rounds {
				token := once(t)
				if err := s.post(tt.failing(s)); err == nil {
					t.Fatal("it was loaded")
				} else if i == 0 {
					t.Log(err)
				}
				if status, answer := s.revoke(`{"token":"` + token + `"}`); status != http.StatusOK {
					t.Fatalf("revoke: %d %s", status, answer)
				}
				wantProblem(t, s.get("/a.txt?download_token="+token).want(t, http.StatusUnauthorized), "invalid")
				if status, answer := s.revoke(`{"token":"` + token + `","store":"other"}`); status != http.StatusNotFound {
					t.Fatalf("a store of the configuration that failed: %d %s", status, answer)
				}
				s.get("/a.txt?download_token="+once(t)).want(t, http.StatusOK)
				if err := s.reload(elsewhere); err == nil || !strings.Contains(err.Error(), "the running configuration uses the same key with another store") {
					t.Fatalf("a key moved to another store: %v", err)
				}
			}
			if err := s.reload(oneTime); err != nil {
				t.Fatal(err)
			}
			s.get("/a.txt?download_token="+once(t)).want(t, http.StatusOK)
		})
	}
}
