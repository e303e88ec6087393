package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tryExample types what the README of an example says, and returns the link that it makes.
func tryExample(t *testing.T, name string) (n *newcomer, link string, typed func(text string) string) {
	t.Helper()
	tool(t, "curl")
	document, home := "../example/"+name+"/README.md", t.TempDir()
	n = &newcomer{t: t, dir: t.TempDir(), address: freeAddress(t)}
	n.env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "CADDY_ADMIN="+freeAddress(t))
	if err := os.CopyFS(filepath.Join(n.dir, "example"), os.DirFS("../example")); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join("example", name, "Caddyfile")
	here := strings.NewReplacer("go build -o caddy ./example\n", "", "./caddy", caddyBinary(t), "localhost:8000", n.address,
		"DOWNLOAD_FILES=files ", "export DOWNLOAD_FILES=files\n")
	write(t, filepath.Join(n.dir, config), here.Replace(readText(t, filepath.Join("..", config))))
	t.Cleanup(n.serve(here.Replace(n.blockOf(document, "sh", "keygen"))))
	mint := here.Replace(n.blockOf(document, "sh", "mint"))
	link = strings.TrimSpace(n.run(mint))
	return n, link, func(text string) string { return n.run(mint + here.Replace(n.blockOf(document, "sh", text))) }
}

func TestExampleFolder(t *testing.T) {
	n, link, typed := tryExample(t, "folder")
	_, list, _ := strings.Cut(typed("application/json"), "\n")
	var items []struct{ Name, URL string }
	if err := json.Unmarshal([]byte(list), &items); err != nil || len(items) != 1 || items[0].Name != "2026/" {
		t.Fatalf("%s: %v", list, err)
	}
	if status := n.open("http://" + n.address + "/reports/" + strings.TrimPrefix(items[0].URL, "./")); status != http.StatusOK {
		t.Errorf("what is in it: %d", status)
	}
	if status := n.open(strings.Replace(link, "/reports/", "/invoices/", 1)); status != http.StatusForbidden {
		t.Errorf("another folder: %d", status)
	}
}

func TestExampleCDNI(t *testing.T) {
	n, link, typed := tryExample(t, "cdni")
	if said := typed("cookie-jar"); !strings.HasSuffix(said, "#EXT-X-ENDLIST\nthe first segment\nthe second segment\n") {
		t.Errorf("the shell: %s", said)
	}
	if said := typed("inspect"); !strings.Contains(said, "it is renewed in a cookie") || !strings.Contains(said, "opens each URI") {
		t.Errorf("inspect: %s", said)
	}
	for _, target := range []string{strings.Replace(link, "/42/", "/43/", 1), "http://" + n.address + "/films/42/000.ts"} {
		if status := n.open(target); status != http.StatusForbidden {
			t.Errorf("without a token for it: %d", status)
		}
	}
}

func TestExampleGallery(t *testing.T) {
	n, link, typed := tryExample(t, "gallery")
	if said := typed("cookie-jar"); !strings.HasSuffix(said, readText(t, "../example/gallery/albums/lake/evening.svg")) {
		t.Errorf("the shell: %s", said)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	album := "http://" + n.address + "/lake/"
	for _, file := range []string{link, album + "album.css", album + "thumbnails/morning.svg", album + "morning.svg"} {
		resp, err := browser.Get(file)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%s: %s", resp.Request.URL.Path, resp.Status)
		}
	}
	if status := n.open(album + "morning.svg"); status != http.StatusUnauthorized {
		t.Errorf("without the cookie: %d", status)
	}
}
