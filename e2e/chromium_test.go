package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// contentOf reads a file.
func contentOf(t testing.TB, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestPageInChromium presses the button, with a mouse and with a keyboard, and
// looks at the page: light, dark, narrow, with a name from right to left.
func TestPageInChromium(t *testing.T) {
	const name, rtl = "Annual report 2026.zip", "التقرير السنوي 2026.zip"
	content := random(t, 1<<20)
	s := start(t, map[string]string{name: content, rtl: content}, asking(oneTime, ""))
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
`, map[string]any{"links": []string{link(name), link(rtl), link(strings.Repeat(name, 1))}, "shots": artefact(t, "confirm-")}, &got)

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
	s := start(t, map[string]string{"a.zip": "a"}, asking(oneTime, ""))
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
	content := random(t, 50<<20)
	for name, config := range map[string]string{"link": resumable("1h"), "confirm page": asking(resumable("1h"), "")} {
		t.Run(name, func(t *testing.T) {
			s := start(t, map[string]string{"f.bin": content}, config)
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

// TestChromiumPlays: a video element plays and seeks, forth and back, with one
// token. The index of an mp4 file stands at its end.
func TestChromiumPlays(t *testing.T) {
	ffmpeg, dir := tool(t, "ffmpeg"), t.TempDir()
	files := make(map[string]string)
	for name, codec := range map[string][]string{
		"v.mp4":  {"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"},
		"v.webm": {"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"},
	} {
		file := filepath.Join(dir, name)
		run(t, "", ffmpeg, append(append([]string{"-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=40,noise=alls=30:allf=t"},
			codec...), "-b:v", "6M", file)...)
		files[name] = contentOf(t, file)
	}
	for name := range files {
		t.Run(name, func(t *testing.T) {
			s := start(t, files, asking(resumable("1h"), ""))
			var got struct {
				Duration, Played, Forth, Back float64
				Error                         any
			}
			browse(t, `
const page = await open();
await page.setContent('<video muted autoplay></video>');
Object.assign(result, await page.evaluate(async (src) => {
	const video = document.querySelector('video');
	const until = (done) => new Promise((resolve) => {
		const began = Date.now();
		const look = () => done() || video.error || Date.now() - began > 15000 ? resolve() : setTimeout(look, 20);
		look();
	});
	const seek = async (to) => {
		if (!video.duration) return 0;
		video.currentTime = to;
		await until(() => !video.seeking && video.currentTime > to + 0.5);
		return video.currentTime;
	};
	video.src = src;
	await until(() => video.currentTime > 1);
	const played = video.currentTime;
	const forth = await seek(video.duration * 0.9);
	const back = await seek(video.duration * 0.1);
	return { duration: video.duration, played, forth, back, buffered: [...Array(video.buffered.length).keys()].map((i) => [video.buffered.start(i), video.buffered.end(i)]), error: video.error && video.error.message };
}, input.link));
`, map[string]any{"link": s.url + "/" + name + "?download_token=" + once(t)}, &got)
			dump(t, s)
			if got.Error != nil || got.Duration < 39 || got.Played < 1 || got.Forth < 36.5 || got.Forth > 41 || got.Back < 4.5 || got.Back > 10 {
				t.Errorf("%+v of %d bytes", got, len(files[name]))
			}
			if n := strings.Count(s.logs(), "token spent"); n != 1 {
				t.Errorf("spent %d times", n)
			}
			if strings.Count(s.logs(), `"status":206`) < 2 {
				t.Error("it did not seek: nothing was asked for twice")
			}
			if strings.Contains(s.logs(), "request refused") {
				t.Error("a request was refused")
			}
		})
	}
}

// TestChromiumOpensPDF: the viewer shows the last page of a linearised and of an
// ordinary file, from one token, with and without the button.
func TestChromiumOpensPDF(t *testing.T) {
	qpdf, dir := tool(t, "qpdf"), t.TempDir()
	files := make(map[string]string)
	for _, size := range []int{500_000, 3_000_000, 20_000_000} {
		ordinary, linearised := fmt.Sprintf("ordinary-%d.pdf", size), fmt.Sprintf("linearised-%d.pdf", size)
		files[ordinary] = pdf(t, size)
		write(t, filepath.Join(dir, ordinary), files[ordinary])
		run(t, "", qpdf, "--linearize", "--stream-data=preserve", filepath.Join(dir, ordinary), filepath.Join(dir, linearised))
		files[linearised] = contentOf(t, filepath.Join(dir, linearised))
	}
	for name, config := range map[string]string{"link": resumable("1h"), "confirm page": asking(resumable("1h"), "")} {
		t.Run(name, func(t *testing.T) {
			s := start(t, files, config)
			links := make(map[string]string)
			for file := range files {
				links[file] = s.url + "/" + file + "?download_token=" + once(t) + "#page=20"
			}
			var got struct{ Blue map[string]int }
			browse(t, `
const counter = await open();
const blue = async (picture) => counter.evaluate(async (src) => {
	const image = new Image();
	image.src = src;
	await image.decode();
	const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
	canvas.drawImage(image, 0, 0);
	const { data } = canvas.getImageData(0, 0, image.width, image.height);
	let n = 0;
	for (let i = 0; i < data.length; i += 4) n += data[i] < 20 && data[i + 1] < 20 && data[i + 2] > 180;
	return n;
}, 'data:image/png;base64,' + picture.toString('base64'));
result.blue = {};
for (const [file, link] of Object.entries(input.links)) {
	const page = await open();
	await page.goto(link);
	if (input.asks) await page.getByRole('button', { name: 'Download' }).click({ noWaitAfter: true });
	for (const end = Date.now() + 15000; Date.now() < end && !(result.blue[file] > 100000);) {
		await new Promise((resolve) => setTimeout(resolve, 100));
		result.blue[file] = await blue(await page.screenshot());
	}
	await page.context().close();
}
`, map[string]any{"links": links, "asks": name == "confirm page"}, &got)
			for file := range files {
				if got.Blue[file] < 100_000 {
					t.Errorf("%s: %d pixels of the last page", file, got.Blue[file])
				}
			}
			if n := strings.Count(s.logs(), "token spent"); n != len(files) {
				t.Errorf("spent %d times", n)
			}
		})
	}
}

// pdf makes a file of about size bytes: nineteen green pages and a blue one, each
// with a picture of random pixels in a corner.
func pdf(t testing.TB, size int) string {
	t.Helper()
	const pages = 20
	var b bytes.Buffer
	var offsets []int
	object := func(format string, args ...any) {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n"+format+"\nendobj\n", append([]any{len(offsets)}, args...)...)
	}
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	object("<</Type/Catalog/Pages 2 0 R>>")
	var kids strings.Builder
	for i := range pages {
		fmt.Fprintf(&kids, "%d 0 R ", 3+3*i)
	}
	object("<</Type/Pages/Kids[%s]/Count %d>>", kids.String(), pages)
	for i := range pages {
		paint := "0 0.6 0 rg 0 0 600 800 re f q 40 0 0 40 0 0 cm /P Do Q"
		if i == pages-1 {
			paint = strings.Replace(paint, "0 0.6 0", "0 0 0.8", 1)
		}
		width := size / pages / 3
		object("<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents %d 0 R/Resources<</XObject<</P %d 0 R>>>>>>", 4+3*i, 5+3*i)
		object("<</Length %d>>stream\n%s\nendstream", len(paint), paint)
		object("<</Type/XObject/Subtype/Image/Width %d/Height 1/ColorSpace/DeviceRGB/BitsPerComponent 8/Length %d>>stream\n%s\nendstream",
			width, 3*width, random(t, 3*width))
	}
	table := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&b, "trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, table)
	return b.String()
}
