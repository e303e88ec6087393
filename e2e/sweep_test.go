package e2e

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

// TestSweepOfTheDebugLog goes through every place that can carry a token and every
// way in which a request can end, over HTTP/1.1, 2 and 3, with the filter of the
// README at level DEBUG. No line of ours has anything of a token. Caddy's have one
// only where the README says so: in a field of the header that the filter does not
// know, and in the path.
func TestSweepOfTheDebugLog(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/proxy/switch":
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			conn.Close()
		case "/proxy/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "short")
			panic(http.ErrAbortHandler)
		case "/proxy/drop":
			panic(http.ErrAbortHandler)
		}
	}))
	defer upstream.Close()
	address := strings.TrimPrefix(upstream.URL, "http://")
	guard := `download_token {
		from query download_token
		from header Authorization
		from header X-Token
		from basic oauth2
		from cookie session
		key HS256 "` + secret + `"
		scope template planted-scope:{name} /{name}
		scope template planted-all /*
		max_ttl 10m
		one_time {
			resume 1m 1
		}
		OPTIONS
	}
	`
	site := ownTLS(t) + `
	handle /auth/* {
		forward_auth ` + address + ` {
			uri /check
		}
		` + guard + `file_server
	}
	handle {
		` + guard + `handle /bad/* {
			rewrite * /a.txt
			file_server
		}
		handle /proxy/* {
			reverse_proxy ` + address + `
		}
		handle /dead/* {
			reverse_proxy ` + freeAddress(t) + `
		}
		handle /fault/* {
			fault off
			file_server
		}
		handle /template/* {
			templates {
				mime text/plain
			}
			respond "{{ .Req.URL }} {{ nosuch }}"
		}
		handle /nothing/* {
			vars x y
		}
		file_server browse
	}
	`
	paths := []string{"/a.txt", "/dir", "/dir/", "/gone", "/bad/x", "/proxy/x", "/proxy/switch", "/proxy/cut", "/proxy/drop",
		"/dead/x", "/fault/a.txt", "/template/x", "/nothing/x", "/auth/x", "/a//b"}
	for name, tt := range map[string]struct{ options, routes string }{
		"as it is": {}, "confirm": {options: "confirm"}, "status": {options: "status 410"},
		"error routes": {routes: `handle_errors {
			respond "{err.status_code} {uri} {http.request.orig_uri} {http.request.header.Authorization} {http.request.header.X-Token}"
		}`},
	} {
		t.Run(name, func(t *testing.T) {
			address, root := freeAddress(t), t.TempDir()
			s := startApart(t, nil, "auto_https disable_redirects",
				beside("respond 404", "https://"+address, "log\nroot "+root+"\n"+strings.ReplaceAll(site, "OPTIONS", tt.options)+tt.routes))
			s.root = root
			for _, file := range []string{"a.txt", "dir/index.html", "fault/a.txt"} {
				s.put(file, strings.Repeat("a", 5000))
			}
			insecure := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the server makes its own
			one := &http.Transport{TLSClientConfig: insecure.Clone(), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
			two := &http.Transport{TLSClientConfig: insecure.Clone(), ForceAttemptHTTP2: true}
			three := &http3.Transport{TLSClientConfig: insecure.Clone()}
			defer one.CloseIdleConnections()
			defer two.CloseIdleConnections()
			defer three.Close()
			s.eventually(func() bool { // until the certificate is there
				resp, err := one.RoundTrip(httptest.NewRequest(http.MethodGet, "https://"+address, nil))
				if err == nil {
					resp.Body.Close()
				}
				return err == nil
			})

			// What Caddy's lines must not have, and may: payloads, and the ends of signatures.
			filtered, shown := make(map[string]bool), make(map[string]bool)
			planted := func(ends map[string]bool, extra claims) string {
				all := claims{"jti": "planted-nonce-" + rand.Text(), "sub": "planted-subject", "scope": "planted-all"}
				for name, value := range extra {
					all[name] = value
				}
				token := mint(t, all)
				parts := strings.Split(token, ".")
				ends[parts[1]], ends[parts[2][len(parts[2])-20:]] = true, true
				return token
			}
			kept := func() string { return planted(filtered, nil) }
			basic := func(token string) string {
				encoded := base64.StdEncoding.EncodeToString([]byte("oauth2:" + token))
				word := regexp.MustCompile(`[0-9A-Za-z]{40,}`).FindString(encoded)
				filtered[word[len(word)-20:]] = true
				return "Basic " + encoded
			}
			words := regexp.MustCompile(`[0-9A-Za-z_-]{20,}`)
			find := func(text string, ends map[string]bool) string {
				for _, word := range words.FindAllString(text, -1) {
					if ends[word] || ends[word[len(word)-20:]] {
						return word
					}
				}
				return ""
			}
			for version, transport := range map[string]http.RoundTripper{"HTTP/1.1": one, "HTTP/2.0": two, "HTTP/3.0": three} {
				ask := func(method, target string, header ...string) {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					req, err := http.NewRequestWithContext(ctx, method, "https://"+address, nil)
					if err != nil {
						t.Fatal(err)
					}
					req.URL.Opaque = target
					for i := 0; i < len(header); i += 2 {
						req.Header.Add(header[i], header[i+1])
					}
					resp, err := transport.RoundTrip(req)
					if err != nil {
						return // broken off
					}
					defer resp.Body.Close()
					body, _ := io.ReadAll(resp.Body)
					if resp.Proto != version {
						t.Fatalf("%s instead of %s", resp.Proto, version)
					}
					if word := find(string(body), filtered); word != "" {
						t.Fatalf("%s %s: a token in the answer %q", method, target, body)
					}
				}
				for _, path := range paths {
					for _, accept := range []string{"*/*", "text/html"} {
						with := []string{"Accept", accept}
						query := path + "?download_token="
						ask(http.MethodGet, query+kept(), with...)
						ask(http.MethodHead, query+kept(), with...)
						ask(http.MethodPost, query+kept(), with...)
						ask(http.MethodGet, query+planted(filtered, claims{"exp": 5}), with...)
						ask(http.MethodGet, query+planted(filtered, claims{"scope": "planted-scope:other"}), with...)
						ask(http.MethodGet, query+kept()+"&download_token="+kept(), with...)
						ask(http.MethodGet, query+kept()+"%0A", with...)
						ask(http.MethodGet, path+"?%64ownload%5Ftoken="+strings.ReplaceAll(kept(), ".", "%2E"), with...)
						ask(http.MethodGet, path, append(with, "Authorization", "Bearer "+kept())...)
						ask(http.MethodGet, path, append(with, "Authorization", basic(kept()))...)
						ask(http.MethodGet, path, append(with, "Cookie", "a=b; session="+kept())...)
						ask(http.MethodGet, path, append(with, "X-Token", planted(shown, nil))...)
						ask(http.MethodGet, query+kept(), append(with, "Sec-Purpose", "prefetch")...)
						ask(http.MethodGet, query+kept(), append(with, "Early-Data", "1")...)
						if version == "HTTP/1.1" {
							ask(http.MethodGet, query+kept(), append(with, "Connection", "Upgrade", "Upgrade", "websocket")...)
						}
					}
				}
				for _, before := range []string{"/a.txt%3Fdownload_token=", "/a.txt%253Fdownload_token%253D", "/dl/", "/bad/", "/proxy/", "/dead/", "/nothing/"} {
					hidden := planted(shown, nil)
					ask(http.MethodGet, before+hidden)
					ask(http.MethodGet, before+hidden+"?download_token="+kept())
					ask(http.MethodGet, before+hidden[:len(hidden)-7]+"/x?download_token="+kept())
				}
				again := kept()
				for range 4 { // the budget ends
					ask(http.MethodGet, "/a.txt?download_token="+again)
				}
			}

			reasons, leaks := make(map[string]bool), 0
			for text := range strings.Lines(s.logs()) {
				var line struct{ Logger, Reason, Msg string }
				if err := json.Unmarshal([]byte(text), &line); err != nil {
					t.Fatal(err)
				}
				found := find(text, filtered)
				if strings.Contains(line.Logger, "download_token") {
					reasons[line.Reason+line.Msg[:min(len(line.Msg), 20)]] = true
					if found += find(text, shown); strings.Contains(text, secret) || strings.Contains(text, "planted") {
						found = "a claim or the key"
					}
				} else if find(text, shown) != "" {
					leaks++
				}
				if found != "" {
					t.Fatalf("%s in %s", found, text)
				}
			}
			if leaks == 0 {
				t.Error("Caddy's lines have no token where the README says so: this test shows nothing")
			}
			if len(reasons) < 12 {
				t.Errorf("only %d kinds of lines of our own: %v", len(reasons), reasons)
			}
		})
	}
}
