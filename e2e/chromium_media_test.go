package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestChromiumPlays: a video element plays and seeks, forth and back, with one
// token. The index of an mp4 file stands at its end.
func TestChromiumPlays(t *testing.T) {
	t.Parallel()
	ffmpeg, dir := tool(t, "ffmpeg"), t.TempDir()
	files := make(map[string]string)
	for name, codec := range map[string][]string{
		"v.mp4":  {"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"},
		"v.webm": {"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"},
	} {
		file := filepath.Join(dir, name)
		run(t, "", ffmpeg, append(append([]string{"-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=40,noise=alls=50:allf=t"},
			codec...), "-b:v", "4M", file)...)
		files[name] = contentOf(t, file)
	}
	for name := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roomForBrowser(t)
			s := startApart(t, files, "", asking(resumable("1h"), ""))
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
	return { duration: video.duration, played, forth, back, error: video.error && video.error.message };
}, input.link));
`, map[string]any{"link": s.url + "/" + name + "?download_token=" + onceSlowly(t)}, &got)
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
	t.Parallel()
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
			t.Parallel()
			roomForBrowser(t)
			s := startApart(t, files, "", config)
			links := make(map[string]string)
			for file := range files {
				links[file] = s.url + "/" + file + "?download_token=" + onceSlowly(t) + "#page=20"
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
		await new Promise((resolve) => setTimeout(resolve, 300)); // a picture costs more than a page
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

// contentOf reads a file.
func contentOf(t testing.TB, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
