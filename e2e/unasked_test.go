package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
)

func TestPrefetchAndEarlyDataSpendNothing(t *testing.T) {
	for name, config := range map[string]string{"once": oneTime, "resumable": resumable("1h")} {
		t.Run(name, func(t *testing.T) {
			s := start(t, map[string]string{"a.txt": "content of a"}, config)
			etag := s.get("/a.txt?download_token=" + once(t)).Header.Get("Etag")
			query := "?download_token=" + once(t)
			for range 100 {
				s.get("/a.txt"+query, "If-None-Match", etag).want(t, http.StatusNotModified)
				for _, header := range [][]string{
					{"Sec-Purpose", "prefetch"}, {"Sec-Purpose", "prefetch;prerender"}, {"Purpose", "prefetch"}, {"X-Moz", "prefetch"},
				} {
					a := s.get("/a.txt"+query, header...).want(t, http.StatusServiceUnavailable)
					if a.Header.Get("Cache-Control") != "no-store" {
						t.Fatal("can be cached")
					}
				}
				s.do(http.MethodHead, "/a.txt"+query).want(t, http.StatusOK)
				s.do(http.MethodOptions, "/a.txt"+query, "Origin", "https://a.example", "Access-Control-Request-Method", "GET").want(t, http.StatusNoContent)
				s.get("/a.txt"+query, "Early-Data", "1").want(t, http.StatusTooEarly)
			}
			s.get("/a.txt"+query).wantBody(t, "content of a")
		})
	}
	t.Run("time-limited links are not asked about", func(t *testing.T) {
		s := start(t, map[string]string{"a.txt": "a"}, limited)
		s.get("/a.txt?download_token="+mint(t, nil), "Sec-Purpose", "prefetch").want(t, http.StatusOK)
	})
}

func TestOneTimeOverHTTP2(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, "respond nothing")
	address := strings.Replace(freeAddress(t), "127.0.0.1", "localhost", 1)
	config := s.caddyfile("respond nothing") + "\nhttps://" + address + " {\n\t" + ownTLS(t) + "\n\troot " + s.root + "\n\t" + resumable("1h") + "\n}\n"
	config = strings.Replace(config, "{\n", "{\n\tauto_https disable_redirects\n", 1)
	if err := s.post(s.adaptWhole(config)); err != nil {
		t.Fatal(err)
	}
	h2 := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // of the test's own CA
	defer h2.CloseIdleConnections()
	token := once(t)
	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusUnauthorized} {
		req, err := http.NewRequest(http.MethodGet, "https://"+address+"/a.txt?download_token="+token, nil)
		if err != nil {
			t.Fatal(err)
		}
		var resp *http.Response
		s.eventually(func() bool { // the certificate is made in the background
			resp, err = h2.Do(req)
			return err == nil
		})
		resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != want {
			t.Errorf("request %d: HTTP/%d status %d, want %d", i, resp.ProtoMajor, resp.StatusCode, want)
		}
	}
}

func TestUsesClaim(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, strings.Replace(oneTime, "one_time", "one_time {\n\t\t\tuses claim max_uses 3\n\t\t}", 1))
	for _, tt := range []struct {
		value any
		want  int
	}{{nil, 1}, {1, 1}, {2, 2}, {3, 3}, {50, 3}, {0, 0}, {-1, 0}, {1.5, 0}, {"2", 0}, {true, 0}} {
		c := claims{"jti": rand.Text()}
		if tt.value != nil {
			c["max_uses"] = tt.value
		}
		token, opened := mint(t, c), 0
		for range 5 {
			if s.get("/a.txt?download_token="+token).StatusCode == http.StatusOK {
				opened++
			}
		}
		if opened != tt.want {
			t.Errorf("max_uses %v: opened %d times, want %d", tt.value, opened, tt.want)
		}
	}
}
