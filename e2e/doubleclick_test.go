package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	doubleClickRounds  = flag.Int("doubleclick.rounds", 1, "double clicks of each interval, size, policy and browser; with 1, the sizes take turns")
	doubleClickLatency = flag.Duration("doubleclick.latency", 75*time.Millisecond, "between browser and server, each way")
)

// doubleClick is a link that somebody clicks on twice, and what came of it.
type doubleClick struct {
	server      *server
	once        bool // it cannot be resumed
	name, token string
	link        string // through a relay
	pause       time.Duration
	content     string

	whole bool     // the file is there, in the folder of downloads
	files []string // what the browser says of its downloads
	text  string   // what the page says in the end
}

// TestDoubleClick: whoever presses the button twice, as people do who learned to
// double-click, gets the file, far away from the server, too; the page says
// nothing that is not so; and nobody else gets anything.
func TestDoubleClick(t *testing.T) {
	t.Parallel()
	contents := []string{random(t, 10_000), random(t, 5<<20)}
	behindProxy := "servers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}"
	browsers := map[string]func(testing.TB, []doubleClick, bool){"Firefox": firefoxDoubleClicks, "Chromium": chromiumDoubleClicks}
	servers := make(map[string]*server)
	for policy, config := range map[string]string{"once": oneTime, "resume": resumable("1h")} {
		s := startApart(t, nil, behindProxy, asking(config, ""))
		for i, content := range contents {
			s.put(fmt.Sprint(i), content)
		}
		servers[policy] = s
	}
	abreast(t, 2, []string{"Firefox", "Chromium", "Firefox without scripts", "Chromium without scripts"}, func(t *testing.T, name string) {
		roomForBrowser(t)
		browser, _, scriptless := strings.Cut(name, " without ")
		var clicks []doubleClick
		for policy, s := range servers {
			r := far(t, s.url, *doubleClickLatency)
			for round := range *doubleClickRounds {
				for i, milliseconds := range []int{20, 60, 100, 120, 200, 400} {
					for j, content := range contents {
						if *doubleClickRounds == 1 && (i+j)%2 == 1 {
							continue // the short form takes turns
						}
						c := doubleClick{
							server: s, once: policy == "once",
							name:  fmt.Sprintf("%s-%s-%d-%dms-%d.bin", policy, strings.ReplaceAll(name, " ", "-"), round, milliseconds, len(content)),
							pause: time.Duration(milliseconds) * time.Millisecond, content: content, token: onceSlowly(t),
						}
						c.link = r.link("/"+c.name, c.token)
						if err := os.Link(filepath.Join(s.root, fmt.Sprint(j)), filepath.Join(s.root, c.name)); err != nil {
							t.Fatal(err)
						}
						clicks = append(clicks, c)
					}
				}
			}
		}
		for part := range slices.Chunk(clicks, 12) {
			browsers[browser](t, part, !scriptless)
		}
		for _, c := range clicks {
			c.server.wantDoubleClick(t, c)
			if c.once {
				c.server.get("/"+c.name+"?download_token="+c.token).want(t, http.StatusUnauthorized)
			}
		}
	})
}

// wantDoubleClick checks what came of a double click.
func (s *server) wantDoubleClick(t *testing.T, c doubleClick) {
	t.Helper()
	if !c.whole && s.spent("/"+c.name) == 0 && strings.Contains(c.text, "Not started yet") {
		// On a busy machine, the second click cancels the first before it has spent the
		// token, and is no press of its own. Then the page is right, and nothing is lost.
		t.Logf("%s: the first press was cancelled in time; the server %+v", c.name, s.accessLines("/"+c.name))
		s.do(http.MethodGet, "/"+c.name+"?download_token="+c.token).wantBody(t, c.content)
		return
	}
	if !c.whole {
		t.Errorf("%s: the file did not come; the page says %q, the browser %q, the server %+v", c.name, c.text, c.files, s.accessLines("/"+c.name))
	}
	// Its own address may still have a grant.
	other := s.get("/"+c.name+"?download_token="+c.token, "X-Forwarded-For", "203.0.113.8")
	if other.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s: somebody else got %d", c.name, other.StatusCode)
	}
	if strings.Contains(c.text, "still works") || strings.Contains(c.text, "Not started yet") {
		t.Errorf("%s: the link is spent, and the page says %q", c.name, c.text)
	}
	if spent := s.spent("/" + c.name); spent != 1 {
		t.Errorf("%s: spent %d times", c.name, spent)
	}
	sent := 0
	for _, line := range s.accessLines("/" + c.name) {
		if line.Status < 300 && line.Request.Method == http.MethodPost {
			sent += line.Size
		}
	}
	if most := 2*len(c.content) + min(1<<20, len(c.content)/4); sent > most {
		t.Errorf("%s: %d bytes were sent, of a file of %d", c.name, sent, len(c.content))
	}
}

// firefoxDoubleClicks clicks in one tab after the other, and looks what came of it
// when all are done.
func firefoxDoubleClicks(t testing.TB, clicks []doubleClick, scripts bool) {
	f := startFirefox(t, fmt.Sprintf(`user_pref("javascript.enabled", %v);`, scripts))
	tabs := make([]string, len(clicks))
	for i, c := range clicks {
		tabs[i] = f.open(c.link)
		f.click("button", c.pause)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		missing := 0
		for i := range clicks {
			clicks[i].whole = clicks[i].whole || f.saved(clicks[i].name) == clicks[i].content
			if !clicks[i].whole {
				missing++
			}
		}
		if missing == 0 {
			break
		}
	}
	for i := range clicks {
		f.show(tabs[i])
		clicks[i].text = f.text()
	}
}

// chromiumDoubleClicks clicks in a few windows at a time.
func chromiumDoubleClicks(t testing.TB, clicks []doubleClick, scripts bool) {
	type link struct {
		Link, Want string
		Pause      int64
	}
	links := make([]link, len(clicks))
	for i, c := range clicks {
		links[i] = link{c.link, sha256Of(c.content), c.pause.Milliseconds()}
	}
	var got struct {
		Clicks []struct {
			Files []string
			Text  string
		}
	}
	browse(t, `
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const doubleClick = async ({ Link, Want, Pause }) => {
	const page = await open({ javaScriptEnabled: input.scripts });
	const files = [];
	page.on('download', async (download) => {
		const file = await download.path().catch(() => null);
		files.push(file ? createHash('sha256').update(readFileSync(file)).digest('hex') : 'failed: ' + await download.failure());
	});
	await page.goto(Link);
	const box = await page.getByRole('button').boundingBox();
	const devtools = await page.context().newCDPSession(page);
	const press = (clickCount) => {
		for (const type of ['mousePressed', 'mouseReleased'])
			devtools.send('Input.dispatchMouseEvent', { type, x: box.x + box.width / 2, y: box.y + box.height / 2, button: 'left', clickCount }).catch(() => {});
	};
	press(1);
	await sleep(Pause);
	press(2);
	for (const end = Date.now() + 20000; Date.now() < end && !files.includes(Want); ) await sleep(50);
	await sleep(700); // for what the page may still say
	let text = null;
	while (text === null) text = await page.evaluate(() => document.body.innerText).catch(() => null); // the page may be changing
	await page.context().close();
	return { files, text };
};
const waiting = [...input.links.entries()];
result.clicks = [];
await Promise.all([1, 2, 3].map(async () => {
	for (let next; (next = waiting.shift()); ) result.clicks[next[0]] = await doubleClick(next[1]);
}));
`, map[string]any{"links": links, "scripts": scripts}, &got)
	for i := range clicks {
		clicks[i].text, clicks[i].files = got.Clicks[i].Text, got.Clicks[i].Files
		for _, file := range got.Clicks[i].Files {
			clicks[i].whole = clicks[i].whole || file == links[i].Want
		}
	}
}
