package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPageWithPicturesInChromium: a page, its style, its script and fifty images open from
// one link, and nothing of it from another site.
func TestPageWithPicturesInChromium(t *testing.T) {
	t.Parallel()
	roomForBrowser(t)
	var images strings.Builder
	files := map[string]string{
		"top/style.css": "body { background: url(back.svg) }", "top/back.svg": picture, "top/module.js": "export const n = 50;",
		"top/app.js":    "import { n } from './module.js'; fetch('data.json').then((r) => r.json()).then((d) => document.title = d.title + n);",
		"top/data.json": `{"title":"ready"}`, "other/p.svg": picture,
	}
	for i := range 50 {
		fmt.Fprintf(&images, "<img src=\"i/%d.svg\">", i)
		files[fmt.Sprintf("top/i/%d.svg", i)] = picture
	}
	files["top/index.html"] = "<!DOCTYPE html><link rel=stylesheet href=style.css>" + images.String() + "<script type=module src=app.js></script>"
	s := startApart(t, files, "", folder("carry cookie")+"file_server")
	var got struct {
		Pictures int
		Other    int
		Log      []string
	}
	browse(t, `
const page = await open();
await page.goto(input.link);
await page.waitForFunction(() => document.title === 'ready50');
result.pictures = await page.evaluate(async () => {
	await Promise.all([...document.images].map((image) => image.decode()));
	return [...document.images].filter((image) => image.naturalWidth === 9).length;
});
result.other = (await page.context().request.get(input.other)).status();
`+complaints, map[string]any{"link": s.url + "/top/?download_token=" + mint(t, claims{"scope": "folder:top"}), "other": s.url + "/other/p.svg"}, &got)
	if got.Pictures != 50 || got.Other != http.StatusUnauthorized || len(got.Log) > 0 {
		t.Errorf("%+v", got)
	}
	s.wantNoneRefused(t, "/other/p.svg")
}

// TestLinkedFilesOfPDFInFirefox clicks the links of a PDF that was opened by a link.
func TestLinkedFilesOfPDFInFirefox(t *testing.T) {
	t.Parallel()
	roomForBrowser(t)
	s := startApart(t, map[string]string{"top/notes/a.txt": "the notes", "top/b.txt": "the list"}, "", folder("carry cookie")+"file_server")
	s.put("top/report.pdf", pdfWithLinks(s.url+"/top/notes/a.txt", s.url+"/top/b.txt"))
	f := startFirefox(t)
	link := s.url + "/top/report.pdf?download_token=" + mint(t, claims{"scope": "folder:top"})
	for file, text := range map[string]string{"a.txt": "the notes", "b.txt": "the list"} {
		f.open(link)
		f.click("a[href$='" + file + "']")
		f.shows("document.body.innerText", text)
	}
	s.wantNoneRefused(t)
}

// shows waits until an expression in the page has the text in it; the page before may
// still be there.
func (f *firefox) shows(expression, text string) {
	f.t.Helper()
	eventually(f.t, func() bool {
		result, err := f.try("WebDriver:ExecuteScript", map[string]any{"script": "return " + expression, "args": []any{}})
		return err == nil && strings.Contains(string(result), text)
	})
}

// pdfWithLinks is a page with a link in each line.
func pdfWithLinks(links ...string) string {
	var annotations, objects strings.Builder
	for i, link := range links {
		fmt.Fprintf(&annotations, "%d 0 R ", i+4)
		fmt.Fprintf(&objects, "%d 0 obj\n<</Type/Annot/Subtype/Link/Rect[50 %d 250 %d]/Border[0 0 1]/A<</S/URI/URI(%s)>>>>\nendobj\n", i+4, 200-50*i, 240-50*i, link)
	}
	parts := []string{
		"%PDF-1.4\n", "1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n", "2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n",
		"3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Annots[" + annotations.String() + "]>>\nendobj\n",
	}
	parts = append(parts, strings.SplitAfter(strings.TrimSuffix(objects.String(), "endobj\n"), "endobj\n")...)
	parts[len(parts)-1] += "endobj\n"
	text, table := "", fmt.Sprintf("xref\n0 %d\n0000000000 65535 f \n", len(parts))
	for i, part := range parts {
		if i > 0 {
			table += fmt.Sprintf("%010d 00000 n \n", len(text))
		}
		text += part
	}
	return text + table + fmt.Sprintf("trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(parts), len(text))
}

// TestMosaicWithGDAL: GDAL opens a VRT by a link, and the three TIFFs that it refers to by
// the cookie, as docs/carry.md says.
func TestMosaicWithGDAL(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gdal_create", "gdalbuildvrt", "gdal_translate", "gdalinfo"} {
		tool(t, name)
	}
	dir := t.TempDir()
	inDir := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		return string(out)
	}
	files := make(map[string]string)
	for i, name := range []string{"a.tif", "b.tif", "c.tif"} {
		inDir("gdal_create", "-q", "-outsize", "500", "500", "-bands", "1", "-ot", "Byte", "-burn", fmt.Sprint(i+1), "-a_srs", "EPSG:32632",
			"-a_ullr", fmt.Sprint(i*5000), "5000", fmt.Sprint(i*5000+5000), "0", name)
	}
	inDir("gdalbuildvrt", "-q", "mosaic.vrt", "a.tif", "b.tif", "c.tif")
	for _, name := range []string{"mosaic.vrt", "a.tif", "b.tif", "c.tif"} {
		files["top/"+name] = contentOf(t, filepath.Join(dir, name))
	}
	s := startApart(t, files, "", folder("carry cookie")+"file_server")
	link := "/vsicurl/" + s.url + "/top/mosaic.vrt?download_token=" + mint(t, claims{"scope": "folder:top"})
	if said := inDir("gdal_translate", "-q", link, "blank.tif"); !strings.Contains(said, "401") {
		t.Errorf("without a file for cookies: %s", said)
	}
	before := strings.Count(s.logs(), `"status":401`)
	var command string
	for _, b := range blocksOf(t, "../docs/carry.md") {
		if strings.Contains(b.text, "gdal_translate") {
			command = strings.ReplaceAll(b.text, "/vsicurl/$link", link)
		}
	}
	if said := inDir("sh", "-euc", command); strings.Contains(said, "ERROR") {
		t.Error(said)
	}
	if refused := strings.Count(s.logs(), `"status":401`) - before; refused > 0 {
		t.Errorf("%d requests refused", refused)
	}
	if said := inDir("gdalinfo", "-stats", "picture.tif"); !strings.Contains(said, "STATISTICS_MEAN=2\n") || !strings.Contains(said, "STATISTICS_MAXIMUM=3\n") {
		t.Error(said)
	}
}
