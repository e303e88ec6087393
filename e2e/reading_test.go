package e2e

import (
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// personal is a site whose pages say whose they are.
const personal = `download_token {
		key HS256 "` + secret + `"
		scope template file:{name} /{name}
		max_ttl 10m
		one_time
		confirm
		page {
			title "Example Files"
			contact help@example.com
		}
	}
	file_server`

// headingsIn are the headings of the pages behind the links of linksTo, by language, and
// at last the words on the button.
var headingsIn = map[string]map[string]string{
	"en": {
		"expired": "Too late", "used": "Already used", "wrong": "Not this file", "damaged": "This link is damaged", "revoked": "This link does not work",
		"unproven": "This link cannot be checked", "missing": "There is no such file", "ready": ready, "button": "Download", "date": "9 February 2021, 23:59 UTC",
	},
	"de": {
		"expired": "Zu spät", "used": "Schon benutzt", "wrong": "Nicht diese Datei", "damaged": "Dieser Link ist beschädigt", "revoked": "Dieser Link funktioniert nicht",
		"unproven": "Dieser Link lässt sich nicht prüfen", "missing": "Diese Datei gibt es nicht", "ready": "Bereit zum Herunterladen", "button": "Herunterladen",
		"date": "9. Februar 2021, 23:59 Uhr UTC",
	},
	"ar": {
		"expired": "فات الأوان", "used": "سبق استخدامه", "wrong": "ليس هذا الملف", "damaged": "هذا الرابط تالف", "revoked": "هذا الرابط لا يعمل",
		"unproven": "لا يمكن التحقق من هذا الرابط", "missing": "لا يوجد ملف كهذا", "ready": "جاهز للتنزيل", "button": "تنزيل",
		"date": "9 فبراير 2021، الساعة 23:59 بالتوقيت العالمي",
	},
}

// linksTo starts a site and makes a link to each page. references are the fingerprints
// of those that have one.
func linksTo(t testing.TB) (s *server, links, references map[string]string) {
	t.Helper()
	good := func(name string) string {
		return mint(t, claims{"jti": name, "scope": "file:a.txt", "exp": time.Now().Add(9 * time.Minute).Unix()})
	}
	unproven := good("unproven")
	s = startApart(t, map[string]string{"a.txt": strings.Repeat("a", 1_234_567)}, "", personal)
	tokens := map[string]string{
		"/a.txt ready": good("ready"), "/b.txt wrong": good("wrong"), "/a.txt used": good("used"), "/a.txt revoked": good("revoked"), "/a.txt unproven": unproven,
		"/a.txt expired":    mint(t, claims{"jti": "e", "scope": "file:a.txt", "exp": time.Date(2021, time.February, 9, 23, 59, 59, 0, time.UTC).Unix()}),
		"/none.txt missing": mint(t, claims{"jti": "m", "scope": "file:none.txt", "exp": time.Now().Add(9 * time.Minute).Unix()}),
		"/a.txt damaged":    good("damaged")[:80],
	}
	links, references = make(map[string]string), make(map[string]string)
	for target, token := range tokens {
		path, page, _ := strings.Cut(target, " ")
		links[page] = s.url + path + "?download_token=" + token
		if page != "ready" {
			references[page] = fingerprint(token)
		}
	}
	s.get(strings.TrimPrefix(links["used"], s.url))
	if status, answer := s.revoke(`{"nonce":"revoked"}`); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	return s, links, references
}

// reading is what a person perceives of a page with an assistive technology, and
// whether all of it can be read.
type reading struct {
	Title, Lang, Direction, Text string

	Headings []string // of level 1
	Dark     bool
	Mains    int
	Outside  []string           // text in no landmark
	Overflow int                // pixels, sideways
	Contrast map[string]float64 // of every text to what is behind it
	Focus    []string           // what the tabulator key leads to
	Roles    []string           // and names, as the browser tells them
}

// read is the body of a function that makes most of a reading of a page.
const read = `
const luminance = (color) => color.match(/[\d.]+/g).slice(0, 3).map((n) => n / 255)
	.map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4)
	.reduce((sum, n, i) => sum + n * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (element) => {
	const color = getComputedStyle(element).backgroundColor;
	return color === 'rgba(0, 0, 0, 0)' ? behind(element.parentElement) : color;
};
const contrast = {}, outside = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
	const element = texts.currentNode.parentElement, text = texts.currentNode.data.trim();
	if (!text || element.closest('script, style')) continue;
	const [a, b] = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((a, b) => b - a);
	contrast[element.tagName + ' ' + text] = (a + 0.05) / (b + 0.05);
	if (!element.closest('main, header')) outside.push(text);
}
const root = document.documentElement;
return {
	title: document.title, lang: root.lang, direction: getComputedStyle(document.querySelector('main')).direction, text: document.body.innerText,
	headings: [...document.querySelectorAll('h1')].map((h) => h.innerText), mains: document.querySelectorAll('main').length,
	dark: matchMedia('(prefers-color-scheme: dark)').matches, outside, contrast, overflow: root.scrollWidth - root.clientWidth,
};
`

// check compares a reading with what the page has to say.
func (r reading) check(t *testing.T, lang, page, reference string, dark bool) {
	t.Helper()
	words := headingsIn[lang]
	heading, title, focus := words[page], words[page]+" – Example Files", []string{"help@example.com"}
	roles := []string{"banner", "main", "heading " + heading}
	if page == "ready" {
		title, focus = heading+": a.txt – Example Files", []string{words["button"], "help@example.com"}
		roles = append(roles, "button "+words["button"])
	}
	roles = append(roles, "link help@example.com")
	direction := map[bool]string{false: "ltr", true: "rtl"}[lang == "ar"]
	if r.Title != title || r.Lang != lang || r.Direction != direction {
		t.Errorf("title %q, language %q, direction %q", r.Title, r.Lang, r.Direction)
	}
	if !slices.Equal(r.Headings, []string{heading}) || r.Mains != 1 || len(r.Outside) > 0 {
		t.Errorf("headings %q, %d main, %q outside", r.Headings, r.Mains, r.Outside)
	}
	if !slices.Equal(r.Focus, focus) {
		t.Errorf("focus on %q", r.Focus)
	}
	if !slices.Equal(r.Roles, roles) {
		t.Errorf("roles %q, want %q", r.Roles, roles)
	}
	if !strings.Contains(r.Text, reference) || (reference == "") != (page == "ready") {
		t.Errorf("no reference %s in %s", reference, r.Text)
	}
	if strings.Contains(r.Text, words["date"]) != (page == "expired") {
		t.Errorf("the date in %s", r.Text)
	}
	if r.Dark != dark {
		t.Errorf("dark: %v", r.Dark)
	}
	if r.Overflow > 0 {
		t.Errorf("%d pixels too wide", r.Overflow)
	}
	if len(r.Contrast) < 5 {
		t.Errorf("contrast of only %v", r.Contrast)
	}
	for text, ratio := range r.Contrast {
		if ratio < 4.5 { // WCAG 2.2 success criterion 1.4.3
			t.Errorf("contrast %.1f: %s", ratio, text)
		}
	}
}

// TestReadingInChromium follows every kind of link in three languages, light and dark,
// on a phone and a desktop.
func TestReadingInChromium(t *testing.T) {
	t.Parallel()
	roomForBrowser(t)
	_, links, references := linksTo(t)
	var got struct {
		Readings map[string]reading
		Log      []string
	}
	browse(t, `
result.readings = {};
for (const locale of input.languages) for (const colorScheme of ['light', 'dark']) {
	const page = await open({ locale, colorScheme });
	const cdp = await page.context().newCDPSession(page);
	for (const [name, link] of Object.entries(input.links)) for (const [device, width] of [['phone', 375], ['desktop', 1280]]) {
		await page.setViewportSize({ width, height: device === 'phone' ? 667 : 800 });
		await page.goto(link);
		const read = await page.evaluate(input.read);
		const { nodes } = await cdp.send('Accessibility.getFullAXTree');
		read.roles = nodes.filter((node) => ['banner', 'main', 'heading', 'button', 'link'].includes(node.role?.value))
			.map((node) => (node.role.value + ' ' + (node.name?.value ?? '')).trim());
		await page.screenshot({ path: input.shots + [name, locale, colorScheme, device].join('-') + '.png' });
		read.focus = [];
		for (let i = 0; i < 9; i++) {
			await page.keyboard.press('Tab');
			const text = await page.evaluate(() => document.activeElement === document.body ? '' : document.activeElement.innerText);
			if (!text || read.focus.includes(text)) break; // then there is nothing else
			read.focus.push(text);
		}
		result.readings[[locale, name, colorScheme, device].join(' ')] = read;
	}
}
log.splice(0, log.length, ...log.filter((line) => !/status of 40[0-9]/.test(line)));
`, map[string]any{
		"links": links, "languages": slices.Sorted(maps.Keys(headingsIn)), "read": "(() => {" + read + "})()", "shots": artefact(t, "reading-"),
	}, &got)
	if want := 2 * 2 * len(headingsIn) * len(links); len(got.Readings) != want {
		t.Errorf("%d readings, want %d", len(got.Readings), want)
	}
	for name, r := range got.Readings {
		t.Run(name, func(t *testing.T) {
			lang, page, _ := strings.Cut(name, " ")
			page, scheme, _ := strings.Cut(page, " ")
			r.check(t, lang, page, references[page], strings.HasPrefix(scheme, "dark"))
		})
	}
	if len(got.Log) > 0 {
		t.Errorf("complaints: %q", got.Log)
	}
}

// TestReadingInFirefox follows every kind of link in three languages, one of them in the
// dark.
func TestReadingInFirefox(t *testing.T) {
	t.Parallel()
	roomForBrowser(t)
	_, links, references := linksTo(t)
	for lang, scheme := range map[string]int{"en": 1, "de": 0, "ar": 1} { // 0 is dark
		t.Run(lang, func(t *testing.T) {
			f := startFirefox(t, fmt.Sprintf("user_pref(\"intl.accept_languages\", %q);\nuser_pref(\"layout.css.prefers-color-scheme.content-override\", %d);", lang, scheme))
			for page, link := range links {
				f.open(link)
				var r reading
				f.run(read, &r)
				r.Roles = f.roles("header, main, h1, button, main a")
				var shot string
				f.call("WebDriver:TakeScreenshot", map[string]any{"full": false}, &shot)
				picture, err := base64.StdEncoding.DecodeString(shot)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(artefact(t, "reading-"+page+"-"+lang+"-firefox.png"), picture, 0o644); err != nil {
					t.Fatal(err)
				}
				for range 9 {
					f.press("\uE004") // the tabulator key
					var text string
					f.run("return document.activeElement === document.body ? '' : document.activeElement.innerText", &text)
					if text == "" || slices.Contains(r.Focus, text) { // there is nothing else in the window
						break
					}
					r.Focus = append(r.Focus, text)
				}
				t.Run(page, func(t *testing.T) { r.check(t, lang, page, references[page], scheme == 0) })
			}
		})
	}
}

// press presses a key.
func (f *firefox) press(key string) {
	f.t.Helper()
	f.call("WebDriver:PerformActions", map[string]any{"actions": []any{
		map[string]any{"type": "key", "id": "keyboard", "actions": []any{
			map[string]any{"type": "keyDown", "value": key}, map[string]any{"type": "keyUp", "value": key},
		}},
	}}, nil)
}

// roles are those of elements, with the names of those that are named by what is in
// them.
func (f *firefox) roles(selector string) (roles []string) {
	f.t.Helper()
	var elements []map[string]string
	f.call("WebDriver:FindElements", map[string]any{"using": "css selector", "value": selector}, &elements)
	for _, element := range elements {
		for _, id := range element {
			var role, name string
			f.call("WebDriver:GetComputedRole", map[string]any{"id": id}, &role)
			f.call("WebDriver:GetComputedLabel", map[string]any{"id": id}, &name)
			roles = append(roles, strings.TrimSpace(role+" "+name))
		}
	}
	return roles
}
