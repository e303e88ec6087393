package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// player plays a video: until it has played for a second, then at each of the
// given shares of its length.
const player = `
const video = document.createElement('video');
video.muted = video.autoplay = true;
document.body.replaceChildren(video);
const until = (done) => new Promise((resolve) => {
	const end = Date.now() + 15000; // a busy machine takes seconds to begin
	const look = () => done() || video.error || Date.now() > end ? resolve() : setTimeout(look, 20);
	look();
});
video.src = input[0];
await until(() => video.currentTime > 1);
const result = { played: video.currentTime, duration: video.duration || 0, reached: [] };
for (const share of input[1]) {
	const to = result.duration * share;
	if (!result.duration || video.error) break;
	video.currentTime = to;
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
