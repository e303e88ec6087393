package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestDemonstrationInChromium makes and tries a link of each kind on the page of the
// demonstration, as a person would, on a wide and a narrow screen.
func TestDemonstrationInChromium(t *testing.T) {
	t.Parallel()
	roomForBrowser(t)
	d := startDemonstration(t)
	defer d.stop(t)
	var got struct {
		Tries     map[string][]string
		Lines     map[string]string
		Log       []string
		Lined     []string // the log of the page
		Width     int
		File      [2]string
		Elsewhere []string
	}
	browse(t, `
const page = await open({ colorScheme: 'light' });
result.elsewhere = [];
page.on('request', (request) => !request.url().startsWith(input.page) && !/^(blob|data):/.test(request.url()) && result.elsewhere.push(request.url()));
await page.goto(input.page);
result.tries = {}, result.lines = {};
const tried = async (kind, ...buttons) => {
	const card = page.locator('#' + kind);
	await card.getByRole('button', { name: 'Make a' }).click();
	for (const [i, name] of buttons.entries()) {
		await card.getByRole('button', { name, exact: true }).click();
		await card.locator('li').nth(i).waitFor();
	}
	result.tries[kind] = await card.locator('li').allInnerTexts();
	await card.locator('summary').click();
	result.lines[kind] = await card.locator('pre').innerText();
};
await tried('timed', 'Download', 'Download');
const expired = Date.now() + 21000; // whole seconds, so at most 21
await tried('once', 'Download', 'Download');
await tried('resumable', 'First 40 bytes', 'The rest', 'First 40 bytes', 'The rest', 'First 40 bytes', 'The rest');
await page.getByText('picture.svg').click();
await tried('asked', 'Open as a preview', 'Press as a script');
const [person] = await Promise.all([page.waitForEvent('popup'), page.locator('#asked a').click()]);
result.file = await pressed(person, () => person.getByRole('button', { name: 'Download' }).click());
await page.locator('#asked').getByRole('button', { name: 'Open as a preview' }).click();
await page.locator('#asked li').nth(2).waitFor();
result.tries.asked = await page.locator('#asked li').allInnerTexts();
await page.waitForTimeout(expired - Date.now());
await page.locator('#timed').getByRole('button', { name: 'Download' }).click();
await page.locator('#timed li').nth(2).waitFor();
result.tries.timed = await page.locator('#timed li').allInnerTexts();
await page.getByText('expired').last().waitFor();
await page.getByText('request refused: expired').waitFor();
result.lined = await page.locator('#log li').allInnerTexts();
await page.setViewportSize({ width: 1280, height: 800 });
await page.screenshot({ path: input.shots + 'wide.png', fullPage: true });
await page.setViewportSize({ width: 360, height: 740 });
await page.emulateMedia({ colorScheme: 'dark' });
result.width = await page.evaluate(() => document.documentElement.scrollWidth);
await page.screenshot({ path: input.shots + 'narrow-dark.png', fullPage: true });
`, map[string]any{"page": d.page, "shots": artefact(t, "demonstration-")}, &got)

	for kind, want := range map[string][]string{
		"timed":     {"200", "200", "401 expired"},
		"once":      {"200", "401 used"},
		"resumable": {"206 40", "206 33", "206 40", "206 33", "401 used_up", "401 used_up"},
		"asked":     {"200 A page", "403 unconfirmed", "401 A page"},
	} {
		if !slices.EqualFunc(got.Tries[kind], want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", kind, got.Tries[kind], want)
		}
		if lines := got.Lines[kind]; !strings.HasPrefix(lines, "download_token /"+kind+"/* {\n\tkey ") || !strings.HasSuffix(lines, "\n}") {
			t.Errorf("%s: the lines %q", kind, lines)
		}
	}
	if got.File[0] != "picture.svg" {
		t.Errorf("pressed: %q", got.File)
	}
	lined := strings.Join(got.Lined, "\n")
	for _, want := range []string{"token spent /once/hello.txt", "request refused: replayed /once/hello.txt", "refused: budget", "refused: unconfirmed", "refused: expired"} {
		if !strings.Contains(lined, want) {
			t.Errorf("the log on the page lacks %q:\n%s", want, lined)
		}
	}
	if got.Width > 360 {
		t.Errorf("%d pixels wide on a screen of 360", got.Width)
	}
	if len(got.Elsewhere) > 0 {
		t.Errorf("asks other servers: %q", got.Elsewhere)
	}
	got.Log = slices.DeleteFunc(got.Log, func(line string) bool { return strings.Contains(line, "status of 40") })
	if len(got.Log) > 0 {
		t.Errorf("complaints: %q", got.Log)
	}
}
