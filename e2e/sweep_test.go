package e2e

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/quic-go/quic-go/http3"
)

// TestSweepOfTheDebugLog goes through every place that can carry a token and every
// way in which a request can end, over HTTP/1.1, 2 and 3, with the log of the README at
// level DEBUG. No line has anything of a token, whereas those of a log in JSON beside it
// do, or the test would show nothing.
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
		issuer planted-issuer
		header_typ JWT
		ip_claim ip
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
			plainLog := filepath.Join(root, "plain.json")
			s := startApart(t, nil, "auto_https disable_redirects\n\tlog plain {\n\t\tlevel DEBUG\n\t\toutput file "+plainLog+"\n\t\tformat json\n\t}",
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

			// What no line may have: payloads, and the ends of signatures. Answers may repeat those of shown.
			ends, shown := make(map[string]bool), make(map[string]bool)
			planted := func(token string) string {
				parts := strings.Split(token, ".")
				ends[parts[1]], ends[parts[2][len(parts[2])-20:]] = true, true
				return token
			}
			claimsWith := func(extra claims) claims {
				all := claims{"jti": "planted-nonce-" + rand.Text(), "sub": "planted-subject", "scope": "planted-all", "iss": "planted-issuer", "ip": "127.0.0.0/8"}
				for name, value := range extra {
					all[name] = value
				}
				return all
			}
			with := func(extra claims) string { return planted(mint(t, claimsWith(extra))) }
			withHeader := func(name string, value any) string {
				token := jwt.NewWithClaims(jwt.SigningMethodHS256, claimsWith(claims{"exp": time.Now().Unix() + 60}))
				token.Header[name] = value
				text, err := token.SignedString([]byte(secret))
				if err != nil {
					t.Fatal(err)
				}
				return planted(text)
			}
			kept := func() string { return with(nil) }
			repeated := func() string {
				token := kept()
				parts := strings.Split(token, ".")
				shown[parts[1]], shown[parts[2][len(parts[2])-20:]] = true, true
				return token
			}
			basic := func(token string) string {
				encoded := base64.StdEncoding.EncodeToString([]byte("oauth2:" + token))
				word := regexp.MustCompile(`[0-9A-Za-z]{40,}`).FindString(encoded)
				ends[word[len(word)-20:]] = true
				return "Basic " + encoded
			}
			words := regexp.MustCompile(`[0-9A-Za-z_-]{20,}`)
			find := func(text string) string {
				for _, word := range words.FindAllString(text, -1) {
					if ends[word] || ends[word[len(word)-20:]] {
						return word
					}
				}
				return ""
			}
			if status, said := s.revoke(`{"sub":"planted-revoked","for":"1h"}`); status != http.StatusOK {
				t.Fatalf("revoking: %d %s", status, said)
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
					if word := find(string(body)); word != "" && !shown[word] && !shown[word[len(word)-20:]] {
						t.Fatalf("%s %s: a token in the answer %q", method, target, body)
					}
				}
				for _, path := range paths {
					for _, accept := range []string{"*/*", "text/html"} {
						as := []string{"Accept", accept}
						query := path + "?download_token="
						ask(http.MethodGet, query+kept(), as...)
						ask(http.MethodHead, query+kept(), as...)
						ask(http.MethodPost, query+kept(), as...)
						ask(http.MethodGet, query+with(claims{"exp": 5}), as...)
						ask(http.MethodGet, query+with(claims{"scope": "planted-scope:other"}), as...)
						ask(http.MethodGet, query+kept()+"&download_token="+kept(), as...)
						ask(http.MethodGet, query+kept()+"%0A", as...)
						ask(http.MethodGet, path+"?%64ownload%5Ftoken="+strings.ReplaceAll(kept(), ".", "%2E"), as...)
						ask(http.MethodGet, path, append(as, "Authorization", "Bearer "+kept())...)
						ask(http.MethodGet, path, append(as, "Authorization", basic(kept()))...)
						ask(http.MethodGet, path, append(as, "Cookie", "a=b; session="+kept())...)
						ask(http.MethodGet, path, append(as, "X-Token", repeated())...)
						ask(http.MethodGet, query+kept(), append(as, "Sec-Purpose", "prefetch")...)
						ask(http.MethodGet, query+kept(), append(as, "Early-Data", "1")...)
						if version == "HTTP/1.1" {
							ask(http.MethodGet, query+kept(), append(as, "Connection", "Upgrade", "Upgrade", "websocket")...)
						}
					}
				}
				for _, before := range []string{"/a.txt%3Fdownload_token=", "/a.txt%253Fdownload_token%253D", "/dl/", "/bad/", "/proxy/", "/dead/", "/nothing/"} {
					hidden := repeated()
					ask(http.MethodGet, before+hidden)
					ask(http.MethodGet, before+hidden+"?download_token="+kept())
					ask(http.MethodGet, before+hidden[:len(hidden)-7]+"/x?download_token="+kept())
				}
				now := time.Now().Unix()
				for _, token := range []string{
					"damaged." + kept(), kept() + strings.Repeat("A", 8192), withHeader("crit", []string{"exp"}), withHeader("kid", "other"), withHeader("typ", "other"),
					planted(mintWith(t, jwt.SigningMethodHS512, []byte(secret), claimsWith(nil))), planted(mintWith(t, jwt.SigningMethodHS256, []byte(secret+"other"), claimsWith(nil))),
					with(claims{"iss": "other"}), with(claims{"aud": "other"}), with(claims{"ip": "10.0.0.0/8"}), with(claims{"jti": nil}),
					with(claims{"nbf": now + 100}), with(claims{"exp": now + 3600}), with(claims{"iat": now - 300}), with(claims{"sub": "planted-revoked"}),
				} {
					ask(http.MethodGet, "/a.txt?download_token="+token)
				}
				again := kept()
				for range 4 { // the budget ends
					ask(http.MethodGet, "/a.txt?download_token="+again)
				}
			}

			reasons := make(map[string]bool)
			for text := range strings.Lines(s.logs()) {
				var line struct{ Logger, Reason, Msg string }
				if err := json.Unmarshal([]byte(text), &line); err != nil {
					t.Fatal(err)
				}
				found := find(text)
				if strings.Contains(line.Logger, "download_token") {
					reasons[cmp.Or(line.Reason, line.Msg)] = true
					if said := withoutReader(text); strings.Contains(said, secret) || strings.Contains(said, "planted") {
						found = "a claim or the key"
					}
				}
				if found != "" {
					t.Fatalf("%s in %s", found, text)
				}
			}
			if find(readText(t, plainLog)) == "" {
				t.Error("a log without redact_jwt has no token either: this test shows nothing")
			}
			for _, reason := range []string{"missing", "ambiguous", "too_large", "malformed", "critical", "unknown_key", "algorithm", "signature", "claim", "expired", "not_yet_valid",
				"issuer", "audience", "header_typ", "too_long_lived", "bad_path", "scope", "client_ip", "revoked", "prefetch", "early_data", "unproven"} {
				if !reasons[reason] {
					t.Errorf("no line with the reason %s", reason)
				}
			}
			if !reasons["budget"] || !reasons["token spent"] || !reasons["not served"] || !reasons["method"] && tt.options != "confirm" {
				t.Errorf("only these kinds of lines: %v", reasons)
			}
		})
	}
}
