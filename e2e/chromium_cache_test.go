package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTwoUsersInOneChromium: the URL is the same for both, and the browser keeps
// the file that the first has opened. It asks before it shows it to anybody.
func TestTwoUsersInOneChromium(t *testing.T) {
	t.Parallel()
	for name, site := range map[string]string{
		"as it is": "", "the site says max-age": `header Cache-Control "public, max-age=3600, immutable"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roomForBrowser(t)
			s := startApart(t, map[string]string{"f/alice.txt": "for Alice"}, "", site+`
	respond /page "a page"
	@files path /f/*
	download_token @files {
		key HS256 "`+secret+`"
		from cookie dt
		from header Authorization
		scope path
	}
	file_server`)
			alice := mint(t, claims{"sub": "alice", "scope": "download:/f/alice.txt"})
			bob := mint(t, claims{"sub": "bob", "scope": "download:/f/bob.txt"})
			var got struct{ Opened, Fetched []string }
			browse(t, `
const context = await browser.newContext();
const file = input.site + '/f/alice.txt';
const opens = async (token) => {
	await context.clearCookies();
	if (token) await context.addCookies([{ name: 'dt', value: token, url: input.site }]);
	const page = await context.newPage();
	const status = (await page.goto(file)).status();
	const text = await page.locator('body').innerText();
	await page.close();
	return status + (text.includes('for Alice') ? ' shown' : '');
};
const page = await context.newPage();
await page.goto(input.site + '/page');
const fetches = async (token) => {
	await context.clearCookies();
	return page.evaluate(async ([file, token]) => {
		const response = await fetch(file, token ? { headers: { Authorization: 'Bearer ' + token } } : {});
		return response.status + ((await response.text()).includes('for Alice') ? ' shown' : '');
	}, [file, token]);
};
const { alice, bob } = input;
for (const [list, look] of [['opened', opens], ['fetched', fetches]]) {
	result[list] = [];
	for (const token of [alice, alice, bob, null, 'garbage', alice]) result[list].push(await look(token));
}
const { request } = await import('node:http'); // fetch looks like a browser, which the admin API refuses
const revoked = await new Promise((resolve, reject) => {
	request('http://' + input.admin + '/download_token/revoke', { method: 'POST', agent: false }, (answer) => resolve(answer.resume().statusCode))
		.on('error', reject).end(JSON.stringify({ sub: 'alice' }));
});
if (revoked !== 200) throw new Error('not revoked: ' + revoked);
result.opened.push(await opens(alice));
result.fetched.push(await fetches(alice));
`, map[string]any{"site": s.url, "admin": s.admin, "alice": alice, "bob": bob}, &got)
			want := []string{"200 shown", "200 shown", "403", "401", "401", "200 shown", "401"}
			if !slices.Equal(got.Opened, want) {
				t.Errorf("opened with a cookie: %q, want %q", got.Opened, want)
			}
			if !slices.Equal(got.Fetched, want) {
				t.Errorf("fetched with Authorization: %q, want %q", got.Fetched, want)
			}
			if !strings.Contains(s.logs(), `"status":304`) {
				t.Error("the file was sent again to whoever has it")
			}
		})
	}
}

// TestChromiumPlaysOnce: a one-time link without resume plays a video whose index
// stands at its end, from one request, because nothing invites to ask for parts.
func TestChromiumPlaysOnce(t *testing.T) {
	t.Parallel()
	roomForBrowser(t)
	file := filepath.Join(t.TempDir(), "v.mp4")
	run(t, "", tool(t, "ffmpeg"), "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=8,noise=alls=50:allf=t",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", "8M", file)
	content := contentOf(t, file)
	if strings.Index(content, "moov") < len(content)/2 {
		t.Fatal("the index does not stand at the end")
	}
	s := startApart(t, map[string]string{"v.mp4": content}, "", oneTime)
	var got struct {
		Duration, Played float64
		Error            any
	}
	browse(t, `
const page = await open();
await page.setContent('<video muted autoplay></video>');
Object.assign(result, await page.evaluate(async (src) => {
	const video = document.querySelector('video');
	video.src = src;
	await new Promise((resolve) => {
		const began = Date.now();
		const look = () => video.ended || video.error || Date.now() - began > 25000 ? resolve() : setTimeout(look, 20);
		look();
	});
	return { duration: video.duration, played: video.currentTime, error: video.error && video.error.message };
}, input.link));
`, map[string]any{"link": s.url + "/v.mp4?download_token=" + once(t)}, &got)
	if got.Error != nil || got.Duration < 7.5 || got.Played < 7.5 {
		t.Errorf("%+v of %d bytes", got, len(content))
	}
	if n := strings.Count(s.logs(), `"uri":"/v.mp4`); n != 1 || !strings.Contains(s.logs(), "token spent") {
		t.Errorf("%d requests", n)
	}
}
