package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

// everyProtocol starts a server with a site over TLS beside the usual one, and
// returns the address of that site and a client for each version of HTTP.
func everyProtocol(t *testing.T, files map[string]string, globals, body string) (*server, string, map[string]*http.Client) {
	t.Helper()
	site := "https://" + freeAddress(t)
	s := startApart(t, files, "auto_https disable_redirects\n\t"+globals, body)
	config := s.caddyfile(body) + fmt.Sprintf("\n%s {\n\t%s\n\troot %q\n\t%s\n}\n", site, ownTLS(t), s.root, body)
	if err := s.post(s.adaptWhole(config)); err != nil {
		t.Fatal(err)
	}
	insecure := func(protocols ...string) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, NextProtos: protocols} //nolint:gosec // the server makes its own
	}
	h3 := &http3.Transport{TLSClientConfig: insecure()}
	t.Cleanup(func() { h3.Close() })
	clients := map[string]*http.Client{
		"HTTP/1.1": {Transport: &http.Transport{TLSClientConfig: insecure("http/1.1"), TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, DisableCompression: true}},
		"HTTP/2.0": {Transport: &http.Transport{TLSClientConfig: insecure("h2", "http/1.1"), ForceAttemptHTTP2: true, DisableCompression: true}},
		"HTTP/3.0": {Transport: h3},
	}
	for version, c := range clients {
		s.eventually(func() bool { // the certificate is being made
			resp, err := c.Get(site + "/")
			if err != nil {
				return false
			}
			resp.Body.Close()
			if resp.Proto != version {
				t.Fatalf("%s instead of %s", resp.Proto, version)
			}
			return true
		})
	}
	return s, site, clients
}

// TestBudgetOverEveryProtocol: whatever a crowd asks for, over whatever version of
// HTTP, and wherever it breaks off, no more bytes come out than the budget allows.
func TestBudgetOverEveryProtocol(t *testing.T) {
	const size = 600_000
	content := random(t, size)
	for name, tt := range map[string]struct {
		body   string
		copies int
	}{
		"resume":             {resumable("1h 1"), 1},
		"press":              {asking(oneTime, ""), 2},
		"press and resume":   {asking(resumable("1h 1 {\n\t\t\t\troam\n\t\t\t}"), ""), 1},
		"on request":         {strings.Replace(resumable("1h 1"), "resume", "spend request\n\t\t\tresume", 1), 1},
		"per path":           {strings.Replace(resumable("1h 1"), "resume", "per path\n\t\t\tresume", 1), 1},
		"encoded in front":   {"route {\nencode gzip\n" + resumable("1h 1") + "\n}", 1},
		"encoded underneath": {"encode gzip\n" + resumable("1h 1"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, site, clients := everyProtocol(t, map[string]string{"f.bin": content}, trusting, tt.body)
			link := "/f.bin?download_token=" + once(t)
			etag := ""
			form := ""
			if strings.HasPrefix(name, "press") {
				form = "press=" + url.QueryEscape(pressField.FindStringSubmatch(s.open(link).body)[1])
			}
			var got atomic.Int64
			ask := func(c *http.Client, random *rand.Rand) {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				method, body := http.MethodGet, io.Reader(nil)
				if form != "" {
					method, body = http.MethodPost, strings.NewReader(form)
				}
				if random.IntN(8) == 0 {
					method, body = http.MethodHead, nil
				}
				target := site
				if random.IntN(4) == 0 {
					target, c = s.url, client
				}
				req, err := http.NewRequestWithContext(ctx, method, target+link, body)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Accept", "*/*")
				first := random.IntN(size)
				last := first + random.IntN(min(6_000, size-first))
				switch random.IntN(300) { // what takes much at once is rare, or soon nothing is left
				default:
					req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
				case 1:
					req.Header.Set("Range", fmt.Sprintf("bytes=%d-", first))
				case 2:
					req.Header.Set("Range", fmt.Sprintf("bytes=-%d", first+1))
				case 3:
					req.Header.Set("Range", fmt.Sprintf("bytes=0-%d,%d-", first, last))
				case 4:
					req.Header.Set("Range", fmt.Sprintf("bytes=%d-", first))
					req.Header.Set("If-Range", `"another"`)
				case 5:
					req.Header.Set("If-None-Match", etag)
				case 6:
					req.Header["Range"] = []string{"bytes=0-1", fmt.Sprintf("bytes=%d-", first)}
				case 0:
					req.Header.Set("Accept-Encoding", "gzip")
				}
				resp, err := c.Do(req)
				if err != nil {
					return
				}
				defer resp.Body.Close()
				if resp.StatusCode >= 300 {
					return
				}
				if random.IntN(2) == 0 { // and then away
					n, _ := io.CopyN(io.Discard, resp.Body, int64(random.IntN(6_000)))
					got.Add(n)
					cancel()
					return
				}
				n, _ := io.Copy(io.Discard, resp.Body)
				got.Add(n)
			}
			if form == "" {
				etag = s.do(http.MethodHead, link).Header.Get("Etag")
			}
			var wg sync.WaitGroup
			for _, c := range clients {
				for i := range 8 {
					wg.Go(func() {
						random := rand.New(rand.NewPCG(uint64(i), 8))
						for range 15 {
							ask(c, random)
						}
					})
				}
			}
			wg.Wait()
			budget := int64(tt.copies*size + size/4)
			if name == "encoded in front" {
				budget += budget / 1000 // the encoding makes it larger
			}
			if got.Load() > budget || got.Load() == 0 {
				t.Errorf("%d bytes came out of a budget of %d", got.Load(), budget)
			}
			if n := strings.Count(s.logs(), "token spent"); n != 1 {
				t.Errorf("spent %d times", n)
			}
			if !strings.Contains(s.stores(), `"reserved":0`) {
				t.Error(s.stores())
			}
		})
	}
}
