package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// player plays a video: until it has played for a second, then at each of the
// given shares of its length.
const player = `
const video = document.createElement('video');
video.muted = video.autoplay = true;
document.body.replaceChildren(video);
const until = (done) => new Promise((resolve) => {
	const began = Date.now();
	const look = () => done() || video.error || Date.now() - began > 15000 ? resolve() : setTimeout(look, 20);
	look();
});
video.src = input[0];
await until(() => video.currentTime > 1);
const result = { played: video.currentTime, duration: video.duration || 0, reached: [] };
for (const share of input[1]) {
	const to = video.duration * share;
	if (!video.error) video.currentTime = to;
	await until(() => !video.seeking && video.currentTime > to + 0.2);
	if (video.error || video.currentTime <= to) break;
	result.reached.push(share);
}
result.error = video.error ? video.error.message || 'code ' + video.error.code : '';
return result;
`

// played is what came of it.
type played struct {
	Played, Duration float64
	Reached          []float64
	Error            string
}

// browsersThatPlay run the player.
var browsersThatPlay = map[string]func(t testing.TB, link string, shares []float64) played{
	"Firefox": func(t testing.TB, link string, shares []float64) (got played) {
		f := startFirefox(t)
		f.open("")
		f.run(player, &got, link, shares)
		return got
	},
	"Chromium": func(t testing.TB, link string, shares []float64) (got played) {
		browse(t, `
const page = await open();
Object.assign(result, await page.evaluate(async (input) => {`+player+`}, input.player));
`, map[string]any{"player": []any{link, shares}}, &got)
		return got
	},
}

// clip makes a video that both browsers can play. The index stands at its end, as
// ffmpeg leaves it.
func clip(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "v.mp4")
	run(t, "", tool(t, "ffmpeg"), "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=60,noise=alls=50:allf=t",
		"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "3M", "-g", "50", file)
	content := contentOf(t, file)
	if index, media := strings.Index(content, "moov"), strings.Index(content, "mdat"); index < media {
		t.Fatal("the index stands in front")
	}
	return content
}

// scrubs are the places that somebody looks for something at.
var scrubs = []float64{0.9, 0.1, 0.5, 0.2, 0.8, 0.3, 0.7, 0.05, 0.6, 0.4, 0.85, 0.15}

// TestVideo: a video whose index stands at its end plays from a link that can be
// used once, because browsers are not told that they may ask for parts. With
// resume they may, and somebody can go forth and back in it.
func TestVideo(t *testing.T) {
	tool(t, "ffmpeg")
	files := map[string]string{"v.mp4": clip(t)}
	for browser, play := range browsersThatPlay {
		for policy, tt := range map[string]struct {
			config string
			shares []float64
		}{
			"once":   {oneTime, []float64{}},
			"resume": {resumable("1h 20"), scrubs},
		} {
			t.Run(browser+" "+policy, func(t *testing.T) {
				s := start(t, files, tt.config)
				got := play(t, far(t, s.url, 20*time.Millisecond).link("/v.mp4", once(t)), tt.shares)
				if got.Error != "" || got.Played < 1 || got.Duration < 59 || len(got.Reached) < len(tt.shares) {
					t.Errorf("%+v of %d bytes", got, len(files["v.mp4"]))
				}
				if spent := strings.Count(s.logs(), "token spent"); spent != 1 {
					t.Errorf("spent %d times", spent)
				}
				if strings.Contains(s.logs(), "request refused") {
					t.Error("a request was refused")
				}
				sent := 0
				for _, line := range s.accessLines("/v.mp4") {
					sent += line.Size
				}
				t.Logf("%d scrubs, %d requests, %.1f copies", len(got.Reached), len(s.accessLines("/v.mp4")), float64(sent)/float64(len(files["v.mp4"])))
			})
		}
	}
}
