package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSessionSDK lets the vendor's own SDK begin and end a session, in a browser.
// From another site that takes a browser that accepts cookies of third parties,
// which not all do by default; another subdomain or port is the same site.
func TestSessionSDK(t *testing.T) {
	chromium := tool(t, "chromium")
	sdk, err := os.ReadFile(filepath.Join("node", "node_modules", "@bytescale", "sdk", "dist", "browser", "esm", "main.mjs"))
	if err != nil {
		missing(t, "the packages of e2e/node are not installed: npm install --no-package-lock")
	}
	for _, tt := range []struct {
		name, host  string // of the application; Caddy is at 127.0.0.1
		preferences string // of the browser
	}{
		{"from another site", "localhost", `{"profile": {"cookie_controls_mode": 0}}`},
		{"from another port", "127.0.0.1", `{}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var private string
			app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/sdk.mjs":
					w.Header().Set("Content-Type", "text/javascript")
					_, _ = w.Write(sdk)
				case "/auth":
					if r.Header.Get("X-Session") != "of the application" {
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					w.Header().Set("Content-Type", "text/plain")
					_, _ = io.WriteString(w, uploadToken(t, private, claims{"accountId": account, "exp": time.Now().Add(10 * time.Minute).Unix()}))
				default:
					w.Header().Set("Content-Type", "text/html")
					_, _ = io.WriteString(w, "<!doctype html><title>page</title>")
				}
			}))
			defer app.Close()
			origin := strings.Replace(app.URL, "127.0.0.1", tt.host, 1)
			t.Setenv("UPLOAD_ORIGIN", origin)
			var s *server
			s, private = uploadServer(t)
			s.put("users/user-xyz/picture.svg", `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>`)
			s.put("users/user-abc/picture.svg", `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>`)

			profile := t.TempDir()
			if err := os.Mkdir(filepath.Join(profile, "Default"), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(profile, "Default", "Preferences"), tt.preferences)
			out := node(t, `
import { chromium } from 'playwright-core';
const [executablePath, userDataDir, origin, cdnUrl, accountId] = process.argv.slice(2);
const browser = await chromium.launchPersistentContext(userDataDir, {
	executablePath, headless: true,
	args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const page = await browser.newPage();
const log = [];
page.on('console', (message) => log.push(message.text()));
await page.goto(origin + '/page');
const cookies = async () => (await browser.cookies(cdnUrl.replace('http:', 'https:'))).map(({ value, expires, ...rest }) => rest);
const image = (path) => page.evaluate((src) => new Promise((resolve) => {
	const img = document.createElement('img');
	img.onload = () => resolve(img.naturalWidth);
	img.onerror = () => resolve('refused');
	img.src = src;
	document.body.append(img);
}), cdnUrl + '/' + accountId + '/raw' + path);
const result = { before: await image('/users/user-xyz/picture.svg') };
try {
	await page.evaluate(async ({ cdnUrl, accountId }) => {
		window.sdk = await import('/sdk.mjs');
		await sdk.AuthManager.beginAuthSession({
			accountId, authUrl: '/auth', authHeaders: async () => ({ 'X-Session': 'of the application' }), options: { cdnUrl },
		});
	}, { cdnUrl, accountId });
	result.ready = await page.evaluate(() => sdk.AuthManager.isAuthSessionReady());
	result.during = await image('/users/user-xyz/picture.svg?during');
	result.elsewhere = await image('/users/user-abc/picture.svg?during');
	result.cookies = await cookies();
	await page.evaluate(() => sdk.AuthManager.endAuthSession());
	result.after = await image('/users/user-xyz/picture.svg?after');
	result.left = await cookies();
} catch (error) {
	result.error = String(error) + ' ' + log.join(' | ');
}
await browser.close();
console.log(JSON.stringify(result));
`, chromium, profile, origin, s.url, account)
			want := fmt.Sprintf(`{"before":"refused","ready":true,"during":9,"elsewhere":"refused",`+
				`"cookies":[{"name":"access-token-%s","domain":"127.0.0.1","path":"/","httpOnly":true,"secure":true,"sameSite":"None"}],`+
				`"after":"refused","left":[]}`, account)
			if out != want {
				t.Errorf("got  %s\nwant %s", out, want)
			}
		})
	}
}
