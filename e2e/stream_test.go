package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	streamSeconds = flag.Int("stream.seconds", 24, "length of the streams that players play")
	streamWhole   = flag.Bool("stream.whole", false, "play them to their end, and live ones for ten minutes")
)

// streamSite makes the site of example/video.
func streamSite(t testing.TB) (root string) {
	t.Helper()
	tool(t, "ffmpeg")
	hls, err := filepath.Abs(filepath.Join("node", "node_modules", "hls.js", "dist", "hls.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(hls); err != nil {
		missing(t, "the packages of e2e/node are not installed: npm install --no-package-lock")
	}
	root = t.TempDir()
	run(t, "", "env", "HLS_JS="+hls, "sh", "../example/video/make", root, fmt.Sprint(*streamSeconds))
	write(t, filepath.Join(root, "player", "blank.html"), "<!DOCTYPE html><title>player</title><video muted width=640></video>")
	return root
}

// background runs a program until the test ends.
func background(t testing.TB, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the context has ended, and with it the program
}

// remux puts the sound and some of the pictures of a film into another form.
func remux(t testing.TB, film, name string, args ...string) {
	t.Helper()
	name = filepath.Join(film, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "", tool(t, "ffmpeg"), slices.Concat([]string{"-nostdin", "-loglevel", "error", "-i", filepath.Join(film, "master.m3u8"), "-map", "0:a:0", "-c", "copy"}, args, []string{name})...)
}

// otherHost serves a folder to pages of any site, and notes what it is asked for.
type otherHost struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func startOtherHost(t testing.TB, dir string) *otherHost {
	t.Helper()
	o := new(otherHost)
	files := http.FileServer(http.Dir(dir))
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.asked = append(o.asked, r.RequestURI+" "+r.Header.Get("Cookie")+" "+r.Referer())
		o.mu.Unlock()
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "*")
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

// wantNoToken fails if it was not asked, or with a token.
func (o *otherHost) wantNoToken(t testing.TB) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.asked) == 0 {
		t.Error("the other host was not asked for anything")
	}
	for _, request := range o.asked {
		if strings.Contains(request, "token") || strings.Contains(request, "eyJ") {
			t.Errorf("the other host was asked for %s", request)
		}
	}
}

// streaming serves films as example/video does.
const streaming = `
	handle /videos/* {
		download_token {
			key HS256 "` + secret + `"
			scope template video:{film} /videos/{film}/*
			max_ttl 12h
			carry playlists%s
		}
		encode gzip
		file_server
	}
	handle {
		file_server
	}
`

// players play a video in a page: load begins, and returns what switches to the quality
// with so many lines.
const players = `
const players = {
	'hls.js': async (video, link) => {
		const hls = new Hls({ startLevel: -1 });
		hls.on(Hls.Events.ERROR, (_, data) => data.fatal && (video.failure = data.details));
		hls.loadSource(link);
		hls.attachMedia(video);
		return (lines) => { hls.nextLevel = hls.levels.findIndex((level) => level.height === lines); };
	},
	'dash.js': async (video, link) => {
		const player = dashjs.MediaPlayer().create();
		player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false } }, buffer: { fastSwitchEnabled: true, bufferTimeDefault: 4, bufferTimeAtTopQuality: 4, bufferTimeAtTopQualityLongForm: 4 } } });
		player.on('error', (event) => { video.failure = event.error.message; });
		player.initialize(video, link, true);
		return (lines) => {
			const all = player.getRepresentationsByType('video');
			player.setRepresentationForTypeByIndex('video', all.findIndex((one) => one.height === lines));
		};
	},
	'shaka-player': async (video, link) => {
		const player = new shaka.Player();
		await player.attach(video);
		player.configure({ abr: { enabled: false } });
		player.addEventListener('error', (event) => { video.failure = String(event.detail.code); });
		await player.load(link).catch((error) => { video.failure = error.code + ' ' + error.data; });
		return (lines) => player.selectVariantTrack(player.getVariantTracks().find((track) => track.height === lines), true);
	},
};
`

// watch plays, seeks and switches in each of input.plays, beside each other.
const watch = `
const files = {
	'hls.js': 'hls.js/dist/hls.min.js', 'dash.js': 'dashjs/dist/modern/umd/dash.all.min.js', 'shaka-player': 'shaka-player/dist/shaka-player.compiled.js',
};
const play = async ({ player, link }) => {
	const page = await open();
	const seen = { player, link: link.replace(/[?].*/, ''), refused: [], tokens: 0 };
	page.on('response', (response) => {
		if (response.status() >= 400) seen.refused.push(response.status() + ' ' + response.url());
		seen.tokens += /(m4s|mp4)[?].*download_token=/.test(response.url());
	});
	await page.goto(input.blank);
	await page.addScriptTag({ path: 'node_modules/' + files[player] });
	Object.assign(seen, await page.evaluate(async ({ player, link, whole }) => {
		` + players + `
		const video = document.querySelector('video');
		const steps = [];
		const until = async (what, done) => {
			for (const end = Date.now() + 30000; !done() && !video.failure && !video.error && Date.now() < end;) {
				await new Promise((resolve) => setTimeout(resolve, 50));
			}
			if (done()) steps.push(what);
		};
		const select = await players[player](video, link);
		await until('loaded', () => video.duration > 1);
		video.play();
		await until('played', () => video.currentTime > 1);
		select(180);
		await until('low', () => video.videoHeight === 180);
		const to = video.duration * 0.7;
		video.currentTime = to;
		await until('forth', () => !video.seeking && video.currentTime > to + 0.5);
		select(360);
		await until('high', () => video.videoHeight === 360);
		video.currentTime = 2;
		await until('back', () => !video.seeking && video.currentTime > 2.5 && video.currentTime < to);
		if (whole) {
			video.playbackRate = 2;
			const began = Date.now();
			while (!video.ended && !video.failure && Date.now() - began < 1000 * video.duration) await new Promise((resolve) => setTimeout(resolve, 200));
		}
		return { steps, ended: video.ended, failure: video.failure || video.error?.message || '' };
	}, { player, link, whole: input.whole }));
	await page.context().close();
	return seen;
};
result.plays = await Promise.all(input.plays.map(play));
`

// TestStreamPlayers: unmodified players play, seek and switch, without a refusal, and
// without a token for another host, which has the sound.
func TestStreamPlayers(t *testing.T) {
	t.Parallel()
	root := streamSite(t)
	roomForBrowser(t)
	film := filepath.Join(root, "videos", "demo")
	sets := "id=0,streams=v id=1,streams=a"
	remux(t, film, "list/index.mpd", "-map", "0:v", "-f", "dash", "-adaptation_sets", sets, "-use_template", "0")
	remux(t, film, "file/index.mpd", "-map", "0:v", "-f", "dash", "-adaptation_sets", sets, "-single_file", "1")
	other := startOtherHost(t, film)
	change := func(name, from, to string) {
		text := readText(t, filepath.Join(film, name))
		if !strings.Contains(text, from) {
			t.Fatalf("%s has no %s", name, from)
		}
		write(t, filepath.Join(film, name), strings.Replace(text, from, to, 1))
	}
	change("master.m3u8", `URI="media_2.m3u8"`, `URI="`+other.URL+`/media_2.m3u8"`)
	change("manifest.mpd", `<Representation id="2"`, `<BaseURL>`+other.URL+`/</BaseURL><Representation id="2"`)
	// a query of its own, as some packagers write it
	change("manifest.mpd", `media="chunk-stream$RepresentationID$-$Number%05d$.m4s"`, `media="chunk-stream$RepresentationID$-$Number%05d$.m4s?v=1&amp;w=2"`)

	s := startApart(t, nil, "", fmt.Sprintf("root %q", root)+fmt.Sprintf(streaming, ""))
	link := func(name string) string {
		return s.url + "/videos/demo/" + name + "?download_token=" + mint(t, claims{"scope": "video:demo", "exp": time.Now().Add(time.Hour).Unix()})
	}
	type play struct {
		Player, Link   string
		Refused, Steps []string
		Tokens         int
		Ended          bool
		Failure        string
	}
	var got struct {
		Plays []play
		Log   []string
	}
	plays := []map[string]string{
		{"player": "hls.js", "link": link("master.m3u8")},
		{"player": "dash.js", "link": link("manifest.mpd")},
		{"player": "shaka-player", "link": link("master.m3u8")},
		{"player": "shaka-player", "link": link("manifest.mpd")},
	}
	if !*streamWhole { // ffmpeg gives all segments of a list one length, which adds up to gaps in the sound
		plays = append(plays, map[string]string{"player": "shaka-player", "link": link("list/index.mpd")},
			map[string]string{"player": "shaka-player", "link": link("file/index.mpd")})
	}
	browse(t, watch, map[string]any{"blank": s.url + "/player/blank.html", "whole": *streamWhole, "plays": plays}, &got)
	if len(got.Plays) != len(plays) {
		t.Fatalf("%+v", got)
	}
	for _, p := range got.Plays {
		if strings.Join(p.Steps, " ") != "loaded played low forth high back" || len(p.Refused) > 0 || p.Tokens == 0 || p.Failure != "" || p.Ended != *streamWhole {
			t.Errorf("%+v", p)
		}
		t.Logf("%s, %s: %d requests with a token", p.Player, filepath.Base(p.Link), p.Tokens)
	}
	if t.Failed() {
		t.Logf("%q", got.Log)
	}
	other.wantNoToken(t)
	if strings.Contains(s.logs(), "request refused") {
		t.Error("a request was refused")
	}
}

// TestStreamPrograms: ffmpeg and VLC play HLS, with keys and byte ranges too, and DASH,
// from one link.
func TestStreamPrograms(t *testing.T) {
	t.Parallel()
	root := streamSite(t)
	ffmpeg, film := tool(t, "ffmpeg"), filepath.Join(root, "videos", "demo")
	write(t, filepath.Join(film, "secret.key"), "0123456789abcdef")
	info := filepath.Join(t.TempDir(), "info")
	write(t, info, "../secret.key\n"+filepath.Join(film, "secret.key")+"\n")
	remux(t, film, "crypt/index.m3u8", "-map", "0:v:1", "-f", "hls", "-hls_playlist_type", "vod", "-hls_key_info_file", info)
	remux(t, film, "single/index.m3u8", "-map", "0:v:1", "-f", "hls", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4", "-hls_flags", "single_file")

	s := startApart(t, nil, "", fmt.Sprintf("root %q", root)+fmt.Sprintf(streaming, ""))
	token := mint(t, claims{"scope": "video:demo"})
	for _, name := range []string{"master.m3u8", "manifest.mpd", "crypt/index.m3u8", "single/index.m3u8"} {
		link := s.url + "/videos/demo/" + name + "?download_token=" + token
		t.Run("ffmpeg "+name, func(t *testing.T) {
			out := run(t, "", ffmpeg, "-nostdin", "-loglevel", "error", "-i", link, "-map", "0:v:0", "-map", "0:a:0", "-f", "null", "-progress", "-", "-")
			if want := fmt.Sprintf("frame=%d\n", 25**streamSeconds); !strings.Contains(out, want) {
				t.Errorf("no %s", want)
			}
		})
	}
	for _, name := range []string{"master.m3u8", "manifest.mpd", "crypt/index.m3u8"} {
		t.Run("VLC "+name, func(t *testing.T) {
			seconds := playWithVLC(t, s.url+"/videos/demo/"+name+"?download_token="+token)
			if seconds < float64(*streamSeconds)-1 {
				t.Errorf("%v seconds", seconds)
			}
		})
	}
	if strings.Contains(s.logs(), "request refused") {
		t.Error("a request was refused")
	}
}

// playWithVLC plays a link into a file, and returns how long that is, in seconds.
func playWithVLC(t testing.TB, link string) (seconds float64) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"vlc", "--intf", "dummy", "--play-and-exit", "--sout", "#std{access=file,mux=ts,dst=" + filepath.Join(dir, "out.ts") + "}", link}
	tool(t, args[0])
	if runtime.GOOS == "linux" && os.Geteuid() == 0 { // which VLC does not run as
		for parent := dir; parent != os.TempDir(); parent = filepath.Dir(parent) {
			if err := os.Chmod(parent, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		args = append([]string{tool(t, "setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=" + dir}, args...)
	}
	run(t, "", args[0], args[1:]...)
	out := run(t, "", tool(t, "ffprobe"), "-loglevel", "error", "-show_entries", "format=duration", "-of", "csv=p=0", filepath.Join(dir, "out.ts"))
	if _, err := fmt.Sscan(out, &seconds); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return seconds
}

// TestStreamLive: a player follows a live stream for much longer than its segments' tokens
// last, and a segment's URL that was copied ends with its token.
func TestStreamLive(t *testing.T) {
	t.Parallel()
	root := streamSite(t)
	roomForBrowser(t)
	seconds, speed := 15, 1
	if *streamWhole {
		seconds, speed = 600, 10
	}
	live := filepath.Join(root, "videos", "live")
	if err := os.MkdirAll(live, 0o755); err != nil {
		t.Fatal(err)
	}
	s := startApart(t, nil, "", fmt.Sprintf("root %q", root)+fmt.Sprintf(streaming, ` {
				ttl 6s
				sign_key HS256 "planted-hmac-secret-of-children-0123456789-abcdefghijklmnop-012345"
			}`))
	background(t, tool(t, "ffmpeg"), "-nostdin", "-loglevel", "error", "-readrate", fmt.Sprint(speed),
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=320x180:rate=25:duration=%d", seconds+60*speed), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
		"-g", "25", "-f", "hls", "-hls_time", "1", "-hls_list_size", fmt.Sprint(6*speed), "-hls_flags", "delete_segments+temp_file", filepath.Join(live, "index.m3u8"))
	playlist := "/videos/live/index.m3u8?download_token=" + mint(t, claims{"scope": "video:live", "exp": time.Now().Add(time.Hour).Unix()})
	var segment string
	eventually(t, func() bool {
		segment = regexp.MustCompile(`(?m)^index\d+\.ts\?download_token=\S+`).FindString(s.get(playlist).body)
		return segment != ""
	})
	kept := filepath.Join(live, "kept.ts")
	name, token, _ := strings.Cut(segment, "?")
	write(t, kept, readText(t, filepath.Join(live, name)))
	copied := "/videos/live/kept.ts?" + token
	s.get(copied).want(t, http.StatusOK)
	s.get("/videos/demo/chunk-stream0-00001.m4s?"+token).want(t, http.StatusForbidden)

	var got struct {
		Refused []string
		Played  float64
		Failure string
		Tokens  []string
	}
	browse(t, `
const page = await open();
result.refused = [];
const tokens = new Set();
page.on('response', (response) => {
	if (response.status() >= 400) result.refused.push(response.status() + ' ' + response.url());
	const token = response.url().match(/[.]ts[?]download_token=(.*)/);
	if (token) tokens.add(token[1]);
});
await page.goto(input.blank);
await page.addScriptTag({ path: 'node_modules/hls.js/dist/hls.min.js' });
Object.assign(result, await page.evaluate(async ({ link, seconds, speed }) => {
	const video = document.querySelector('video');
	const hls = new Hls({ liveSyncDurationCount: 3 });
	let failure = '';
	hls.on(Hls.Events.ERROR, (_, data) => data.fatal && (failure = data.details));
	hls.loadSource(link);
	hls.attachMedia(video);
	video.play();
	let first = -1;
	for (const end = Date.now() + 40000 + 2000 * seconds / speed; Date.now() < end && !failure;) {
		video.playbackRate = speed;
		if (first < 0 && video.currentTime > 0) first = video.currentTime;
		if (first >= 0 && video.currentTime - first >= seconds) break;
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
	return { played: video.currentTime - first, failure };
}, input));
result.tokens = [...tokens];
`, map[string]any{"blank": s.url + "/player/blank.html", "link": s.url + playlist, "seconds": seconds, "speed": speed}, &got)
	if len(got.Refused) > 0 || got.Failure != "" || got.Played < float64(seconds) || len(got.Tokens) < 3 {
		t.Errorf("%d tokens, %v seconds, %s; refused: %q", len(got.Tokens), got.Played, got.Failure, got.Refused)
	}
	for _, other := range got.Tokens {
		if strings.Contains(playlist, other) {
			t.Error("a segment was asked for with the link's own token")
		}
	}
	s.get(copied).want(t, http.StatusUnauthorized)
	s.wantLog("expired")
}

// TestStreamExample: the example's page plays from its link.
func TestStreamExample(t *testing.T) {
	t.Parallel()
	root := streamSite(t)
	roomForBrowser(t)
	caddy := caddyBinary(t)
	address := steadyAddress(t)
	_, port, _ := strings.Cut(address, ":")
	home := t.TempDir()
	background(t, "env", "VIDEO_SECRET="+secret, "VIDEO_SITE="+root, "VIDEO_PORT="+port, "HOME="+home, "XDG_DATA_HOME="+home,
		caddy, "run", "--config", "../example/video/Caddyfile")
	site := "http://localhost:" + port
	eventually(t, func() bool {
		resp, err := http.Get(site + "/player/hls.min.js")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	token := strings.TrimSpace(run(t, "", "env", "VIDEO_SECRET="+secret, caddy, "download-token", "mint", "--key", "env:VIDEO_SECRET", "--scope", "video:demo", "--ttl", "4h"))
	var got struct {
		Played  float64
		Text    string
		Refused []string
	}
	browse(t, `
const page = await open();
result.refused = [];
page.on('response', (response) => response.status() >= 400 && !response.url().endsWith('/favicon.ico') && result.refused.push(response.status() + ' ' + response.url()));
await page.goto(input.link);
await page.evaluate(() => document.querySelector('video').play());
await page.waitForFunction(() => document.querySelector('video').currentTime > 1, null, { timeout: 30000 });
result.played = await page.evaluate(() => document.querySelector('video').currentTime);
result.text = await page.evaluate(() => document.querySelector('p').textContent);
`, map[string]any{"link": site + "/videos/demo/?download_token=" + url.QueryEscape(token)}, &got)
	if got.Played < 1 || got.Text != "" || len(got.Refused) > 0 {
		t.Errorf("%+v", got)
	}
}
