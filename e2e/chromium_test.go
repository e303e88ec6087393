package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// launch opens Chromium with an empty page. log collects what the browser
// complains about, such as a blocked style.
const launch = `
import { chromium } from 'playwright-core';
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
const [executablePath, text] = process.argv.slice(2);
const input = JSON.parse(text);
const browser = await chromium.launch({
	executablePath, headless: true,
	args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
		'--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'],
});
const log = [];
const open = async (options) => {
	const page = await (await browser.newContext({ ...options, viewport: { width: 1000, height: 700 } })).newPage();
	page.setDefaultTimeout(20000);
	page.on('console', (message) => ['error', 'warning'].includes(message.type()) && log.push(message.text()));
	return page;
};
const pressed = async (page, press) => {
	const [download] = await Promise.all([page.waitForEvent('download', { timeout: 60000 }), press()]);
	const path = await download.path();
	return [download.suggestedFilename(), createHash('sha256').update(readFileSync(path)).digest('hex')];
};
const result = {};
try {
`

// roomForBrowser waits until the test can have a browser; it keeps the room until it
// ends. With more than two at a time, they keep each other from what they have seconds
// for. It comes before the test makes links, which expire.
func roomForBrowser(t testing.TB) {
	browsers <- struct{}{}
	t.Cleanup(func() { <-browsers })
}

var browsers = make(chan struct{}, 2)

// browse runs a script in Chromium and reads the result that it leaves.
func browse(t testing.TB, script string, input map[string]any, result any) {
	t.Helper()
	text, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	out := node(t, launch+script+"\nresult.log = log;\nconsole.log(JSON.stringify(result));\n} finally {\n\tawait browser.close();\n}\n",
		tool(t, "chromium"), string(text))
	if err := json.Unmarshal([]byte(out), result); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
}

// artefact is the place of a file that is kept, to be looked at.
func artefact(t testing.TB, name string) string {
	t.Helper()
	dir, err := filepath.Abs("artefacts")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// TestPageInChromium presses the button, with a mouse and with a keyboard, and
// looks at the page: light, dark, narrow, with a name from right to left.
func TestPageInChromium(t *testing.T) {
	t.Parallel()
	roomForBrowser(t)
	const name, rtl = "Annual report 2026.zip", "التقرير السنوي 2026.zip"
	content := random(t, 1<<20)
	s := startApart(t, map[string]string{name: content, rtl: content}, "", asking(oneTime, ""))
	link := func(name string) string {
		return s.url + "/" + strings.ReplaceAll(name, " ", "%20") + "?download_token=" + once(t)
	}
	var got struct {
		Mouse, Keyboard [2]string
		Again           struct {
			Status  int
			Heading string
			Buttons int
		}
		Contrast           map[string]float64
		Width              int
		Focused, Lang, Tab string
		Log                []string
	}
	browse(t, `
const page = await open({ colorScheme: 'light' });
await page.goto(input.links[0]);
await page.screenshot({ path: input.shots + 'light.png' });
result.lang = await page.evaluate(() => document.documentElement.lang);
result.tab = await page.title();
result.mouse = await pressed(page, () => page.getByRole('button', { name: 'Download' }).click());
const again = await page.goto(input.links[0]);
result.again = { status: again.status(), heading: await page.getByRole('heading', { level: 1 }).innerText(), buttons: await page.getByRole('button').count() };
await page.screenshot({ path: input.shots + 'used.png' });
log.splice(0, log.length, ...log.filter((line) => !line.includes('status of 401')));

const dark = await open({ colorScheme: 'dark', javaScriptEnabled: false });
await dark.goto(input.links[1]);
await dark.keyboard.press('Tab');
await dark.screenshot({ path: input.shots + 'dark-rtl-focused.png' });
result.keyboard = await pressed(dark, () => dark.keyboard.press('Enter'));

const narrow = await open({ colorScheme: 'light', forcedColors: 'active' });
await narrow.setViewportSize({ width: 320, height: 500 });
await narrow.goto(input.links[2]);
result.width = await narrow.evaluate(() => document.documentElement.scrollWidth);
await narrow.keyboard.press('Tab');
result.focused = await narrow.evaluate(() => document.activeElement.innerText);
await narrow.screenshot({ path: input.shots + 'narrow-forced-colors.png' });

result.contrast = {};
for (const colorScheme of ['light', 'dark']) {
	const page = await open({ colorScheme });
	await page.goto(input.links[2]);
	Object.assign(result.contrast, await page.evaluate((colorScheme) => {
		const luminance = (color) => color.match(/[\d.]+/g).slice(0, 3).map((n) => n / 255)
			.map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4)
			.reduce((sum, n, i) => sum + n * [0.2126, 0.7152, 0.0722][i], 0);
		const behind = (element) => {
			const color = getComputedStyle(element).backgroundColor;
			return color === 'rgba(0, 0, 0, 0)' ? behind(element.parentElement) : color;
		};
		const ratios = {};
		for (const element of document.querySelectorAll('h1, bdi, .quiet, button')) {
			const [a, b] = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((a, b) => b - a);
			ratios[colorScheme + ' ' + element.tagName + '.' + element.className] = (a + 0.05) / (b + 0.05);
		}
		return ratios;
	}, colorScheme));
}
`, map[string]any{"links": []string{link(name), link(rtl), link(name)}, "shots": artefact(t, "confirm-")}, &got)

	if want := [2]string{name, sha256Of(content)}; got.Mouse != want {
		t.Errorf("by mouse: %q", got.Mouse)
	}
	if want := [2]string{rtl, sha256Of(content)}; got.Keyboard != want {
		t.Errorf("by keyboard: %q", got.Keyboard)
	}
	if got.Again.Status != http.StatusUnauthorized || got.Again.Heading != "Already used" || got.Again.Buttons != 0 {
		t.Errorf("the second time: %+v", got.Again)
	}
	if got.Lang != "en" || got.Tab != "Ready to download: "+name || got.Focused != "Download" || got.Width > 320 {
		t.Errorf("lang %q, title %q, focus on %q, %d pixels wide", got.Lang, got.Tab, got.Focused, got.Width)
	}
	if len(got.Contrast) < 8 {
		t.Errorf("contrast of only %v", got.Contrast)
	}
	for element, ratio := range got.Contrast {
		if ratio < 4.5 { // WCAG 2.2 success criterion 1.4.3
			t.Errorf("%s: contrast %.1f", element, ratio)
		}
	}
	if len(got.Log) > 0 {
		t.Errorf("complaints: %q", got.Log)
	}
	if strings.Contains(s.logs(), "favicon.ico") {
		t.Error("a favicon was asked for")
	}
}

// TestScannersInChromium: a form that a script submits is not pressed.
func TestScannersInChromium(t *testing.T) {
	t.Parallel()
	roomForBrowser(t)
	s := startApart(t, map[string]string{"a.zip": "a"}, "", asking(oneTime, ""))
	link := s.url + "/a.zip?download_token=" + once(t)
	var got struct{ Heading string }
	browse(t, `
const page = await open({ bypassCSP: true });
await page.addInitScript(() => addEventListener('load', () => {
	if (!sessionStorage.done) document.forms[0].submit();
	sessionStorage.done = 'yes';
}));
await page.goto(input.link);
await page.getByRole('heading', { name: 'Not started yet' }).waitFor();
await page.getByRole('link', { name: 'Try again' }).click();
result.heading = await page.getByRole('heading', { name: 'Ready' }).innerText();
`, map[string]any{"link": link}, &got)
	if got.Heading != ready {
		t.Errorf("heading %q", got.Heading)
	}
	s.wantLog("unconfirmed")
	s.get(strings.TrimPrefix(link, s.url)).wantBody(t, "a")
}

// TestChromiumResumes: a download whose connection is cut twice is complete in
// the end, from one token.
func TestChromiumResumes(t *testing.T) {
	t.Parallel()
	content := random(t, 50<<20)
	for name, config := range map[string]string{"link": resumable("1h"), "confirm page": asking(resumable("1h"), "")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roomForBrowser(t)
			s := startApart(t, map[string]string{"f.bin": content}, "", config)
			var limit atomic.Int64
			limit.Store(20 << 20)
			proxy := throttle(t, strings.TrimPrefix(s.url, "http://"), &limit)
			var got struct{ File [2]string }
			browse(t, `
const page = await open();
if (input.asks) await page.goto(input.link);
result.file = await pressed(page, () => input.asks ? page.getByRole('button').click() : page.goto(input.link).catch(() => {}));
`, map[string]any{"link": proxy + "/f.bin?download_token=" + once(t), "asks": name == "confirm page"}, &got)
			if want := [2]string{"f.bin", sha256Of(content)}; got.File != want {
				t.Errorf("got %q, want %q", got.File, want)
			}
			s.eventually(func() bool { return strings.Count(s.logs(), `"status":206`) == 2 })
			if n := strings.Count(s.logs(), "token spent"); n != 1 {
				t.Errorf("spent %d times", n)
			}
		})
	}
}
