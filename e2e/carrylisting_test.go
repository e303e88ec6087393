package e2e

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folderFiles are three levels, and what lies beside them.
var folderFiles = map[string]string{
	"top/a.txt": "the first", "top/mid/b.txt": "the second, larger", "top/mid/deep/c d#.txt": "the third", "top/mid/deep/p.svg": picture,
	"beside/x.txt": "planted",
}

const picture = `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>`

// folder is a site whose tokens open folders, and in the folder `mixed` single files.
func folder(carry string) string {
	return "download_token {\nkey HS256 \"" + secret + "\"\nscope template folder:{name} /{name}/*\n" +
		"scope template list:{name} /{name}/\nscope template file:{name} /mixed/{name}\nmax_ttl 1h\n" + carry + "\n}\n"
}

// wantNoneRefused fails the test if a request was refused, but for the icon that browsers
// ask for, and for what is expected.
func (s *server) wantNoneRefused(t *testing.T, expected ...string) {
	t.Helper()
	answered := 0
	for text := range strings.Lines(s.logs()) {
		var line accessLine
		if json.Unmarshal([]byte(text), &line) != nil || !strings.HasPrefix(line.Logger, "http.log.access") || slices.Contains(append(expected, "/favicon.ico"), line.Request.URI) {
			continue
		}
		if answered++; line.Status >= 400 {
			t.Errorf("%s: status %d", line.Request.URI, line.Status)
		}
	}
	if answered == 0 {
		t.Error("there were no requests")
	}
}

// complaints is without those about styles in Caddy's own listing, and about the icon.
const complaints = "log.splice(0, log.length, ...log.filter((line) => !/inline style|status of 401/.test(line)));"

// TestListingInChromium walks through three levels, sorts, filters, and looks at
// pictures, all by clicking.
func TestListingInChromium(t *testing.T) {
	t.Parallel()
	roomForBrowser(t)
	s := startApart(t, folderFiles, "", folder("carry listings")+"file_server browse")
	var got struct {
		Names, Sorted, Filtered, Paged, Above []string
		Deep, Heading                         string
		Pictures                              int
		Log                                   []string
	}
	browse(t, `
const page = await open();
const name = (text) => page.locator('.name', { hasText: text });
const names = () => page.locator('.name:visible').allInnerTexts();
await page.goto(input.link);
result.names = await names();
await name('mid/').click();
await page.getByRole('link', { name: 'Size' }).click();
await page.waitForURL('**sort=size**');
await page.getByRole('link', { name: 'Size' }).click();
await page.waitForURL('**order=desc**');
result.sorted = await names();
await page.locator('#filter').pressSequentially('dee');
await name('b.txt').waitFor({ state: 'hidden' });
result.filtered = await names();
await name('deep/').click();
await page.locator('#layout-grid').click();
await page.waitForURL('**layout=grid**');
await page.locator('img').first().waitFor();
result.pictures = await page.evaluate(async () => {
	await Promise.all([...document.images].map((image) => image.decode()));
	return [...document.images].filter((image) => image.naturalWidth > 0).length;
});
await page.getByTitle(/./).filter({ hasText: 'c d#.txt' }).click();
result.deep = await page.locator('body').innerText();
await page.goBack();
await page.locator('#layout-list').click();
await page.waitForURL((url) => !url.search.includes('layout'));
await page.goto(page.url() + '&limit=1&offset=1');
await page.getByRole('link', { name: 'Name' }).click();
await page.waitForURL('**sort=name**offset=1**');
result.paged = await names();
await page.getByText('Up').click();
await page.locator('h1 a', { hasText: 'top' }).click();
await name('a.txt').waitFor();
result.above = await names();
`+complaints, map[string]any{"link": s.url + "/top/?download_token=" + mint(t, claims{"scope": "folder:top"})}, &got)
	for _, names := range []struct {
		of   string
		got  []string
		want string
	}{
		{"the listing", got.Names, "mid/ a.txt"}, {"sorted by size", got.Sorted, "b.txt deep/"}, {"filtered", got.Filtered, "deep/"},
		{"a page of it", got.Paged, "p.svg"}, {"above", got.Above, "mid/ a.txt"},
	} {
		if list := strings.Join(names.got, " "); list != names.want {
			t.Errorf("%s: %q, want %q", names.of, list, names.want)
		}
	}
	if got.Deep != "the third" || got.Pictures != 1 || len(got.Log) > 0 {
		t.Errorf("%q, %d pictures, complaints %q", got.Deep, got.Pictures, got.Log)
	}
	s.wantNoneRefused(t)
}

// TestListingInFirefox is the way down and up.
func TestListingInFirefox(t *testing.T) {
	t.Parallel()
	roomForBrowser(t)
	s := startApart(t, folderFiles, "", folder("carry listings only")+"file_server browse")
	f := startFirefox(t)
	const text, address = "document.body.innerText", "location.href"
	f.open(s.url + "/top/?download_token=" + mint(t, claims{"scope": "folder:top"}))
	f.click("a[href*='mid/']")
	f.shows(text, "b.txt")
	f.click("a[href*='sort=time']")
	f.shows(address, "sort=time")
	f.click("a[href*='deep/']")
	f.shows(text, "p.svg")
	f.click("a[href*='c%20d%23.txt']")
	f.shows(text, "the third")
	f.call("WebDriver:Back", nil, nil)
	f.shows(text, "p.svg")
	f.click("a[href^='..?']")
	f.shows(text, "b.txt")
	s.wantNoneRefused(t)
}

// TestListingOutsideTheScope: what the token does not open is shown without it, or not at
// all.
func TestListingOutsideTheScope(t *testing.T) {
	files := map[string]string{"mixed/a.txt": "a", "mixed/planted.txt": "x", "mixed/sub/x": "x"}
	query := "?download_token=" + mint(t, claims{"scope": []string{"list:mixed", "file:a.txt"}})
	for carry, shown := range map[string]bool{"carry listings": true, "carry listings only": false} {
		t.Run(carry, func(t *testing.T) {
			s := start(t, files, folder(carry+"\ncarry cookie c")+"file_server browse")
			for _, accept := range []string{"text/html", "application/json"} {
				a := s.get("/mixed/"+query, "Accept", accept).want(t, http.StatusOK)
				if signed := strings.Count(a.body, "a.txt"+query+`"`); signed != 1 {
					t.Errorf("%s: %d signed links to a.txt in %s", accept, signed, a.body)
				}
				if strings.Contains(a.body, "planted.txt?") || strings.Contains(a.body, "sub/?") {
					t.Errorf("%s: a token for what it does not open: %s", accept, a.body)
				}
				if (strings.Contains(a.body, "planted.txt") && strings.Contains(a.body, "sub/")) != shown || strings.Contains(a.body, "planted.txt") != shown {
					t.Errorf("%s: shown, want %v: %s", accept, shown, a.body)
				}
				if cache := a.Header.Get("Cache-Control"); cache != "private, no-store" || a.Header.Get("Last-Modified") != "" {
					t.Errorf("%s: %v", accept, a.Header)
				}
				head := s.do(http.MethodHead, "/mixed/"+query, "Accept", accept).want(t, http.StatusOK)
				if head.Header.Get("Content-Length") != a.Header.Get("Content-Length") {
					t.Errorf("%s: HEAD has %s", accept, head.Header.Get("Content-Length"))
				}
			}
			a := s.get("/mixed/"+query, "Accept", "text/plain").want(t, http.StatusOK)
			if strings.Contains(a.body, "eyJ") || !strings.Contains(a.body, "a.txt") || strings.Contains(a.body, "planted.txt") != shown {
				t.Errorf("text, shown, want %v: %s", shown, a.body)
			}
			for _, accept := range []string{"text/html", "application/json", "text/plain"} {
				a := s.get("/mixed/", "Accept", accept, "Cookie", "c="+query[len("?download_token="):]).want(t, http.StatusOK)
				if strings.Contains(a.body, "eyJ") || !strings.Contains(a.body, "a.txt") || strings.Contains(a.body, "planted.txt") != shown {
					t.Errorf("%s, by a cookie, shown, want %v: %s", accept, shown, a.body)
				}
			}
		})
	}
}

// TestListingWithCurl: the JSON of a listing is all that a script needs to fetch the
// files.
func TestListingWithCurl(t *testing.T) {
	curl := tool(t, "curl")
	s := start(t, folderFiles, folder("carry listings")+"encode\nfile_server browse")
	link := s.url + "/top/mid/?download_token=" + mint(t, claims{"scope": "folder:top"})
	var items []struct{ Name, URL string }
	for _, options := range []string{"-sf", "--compressed"} {
		if err := json.Unmarshal([]byte(run(t, "", curl, "-sf", options, "-H", "Accept: application/json", link)), &items); err != nil || len(items) != 2 {
			t.Fatalf("%v: %v", items, err)
		}
	}
	for _, item := range items {
		if item.Name == "b.txt" {
			if got := run(t, "", curl, "-sf", s.url+"/top/mid/"+item.URL); got != "the second, larger" {
				t.Errorf("got %q", got)
			}
		}
	}
}

// TestListingOfATemplateOfOnesOwn: in Chromium, all that a page refers to opens, and a
// form goes on with the token.
func TestListingOfATemplateOfOnesOwn(t *testing.T) {
	t.Parallel()
	roomForBrowser(t)
	template := filepath.Join(t.TempDir(), "browse.html")
	write(t, template, `<!DOCTYPE html><title>{{.Name}}</title><link rel=stylesheet href=/assets/s.css>
<form action="?x"><input name=sort><button>Sort</button></form>
<ul>{{range .Items}}<li><a href={{.URL | html}}>{{.Name}}</a>{{if .HasExt ".svg"}}<img srcset="{{.URL | html}} 1x, ./{{.Name}}?large 2x">{{end}}
{{end}}</ul><p id=sort>{{.Sort}}</p><object data=c.svg></object>`)
	s := startApart(t, map[string]string{"top/a.txt": "the first", "top/b.svg": picture, "top/c.svg": picture, "assets/s.css": "h1 { color: red }"}, "",
		"@private not path /assets/*\n"+strings.Replace(folder("carry listings"), "download_token", "download_token @private", 1)+
			"file_server {\nbrowse "+template+"\n}")
	var got struct {
		Sort, Text string
		Pictures   int
		Log        []string
	}
	browse(t, `
const page = await open();
await page.goto(input.link);
await page.locator('input[name=sort]').fill('size');
await page.getByRole('button').click();
await page.waitForURL('**sort=size**');
result.sort = await page.locator('#sort').innerText();
result.pictures = await page.evaluate(async () => {
	await Promise.all([...document.images].map((image) => image.decode()));
	return document.images.length;
});
await page.getByText('a.txt').click();
result.text = await page.locator('body').innerText();
`+complaints, map[string]any{"link": s.url + "/top/?download_token=" + mint(t, claims{"scope": "folder:top"})}, &got)
	if got.Sort != "size" || got.Text != "the first" || got.Pictures != 2 || len(got.Log) > 0 {
		t.Errorf("%+v", got)
	}
	s.wantNoneRefused(t)
	if strings.Contains(s.logs(), "s.css?") {
		t.Error("a token for what it does not open")
	}
}
