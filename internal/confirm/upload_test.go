package confirm

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// uploadStates are those of the page: keys that are sentences for people and programs.
func uploadStates() (states []string) {
	for key, text := range english() {
		if state, ok := strings.CutPrefix(key, "upload."); ok && strings.Contains(text, ". ") {
			states = append(states, state)
		}
	}
	return append(states, "upload", "received")
}

func writtenUpload(t *testing.T, p Upload, lang string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	w.Header().Set("Content-Disposition", "attachment")
	if err := p.Write(w, asking(lang)); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestUploadPage: in every language and state, the page says what happened, and has a form
// where another try can help.
func TestUploadPage(t *testing.T) {
	if n := len(uploadStates()); n < 15 {
		t.Errorf("only %d states", n)
	}
	protocol := regexp.MustCompile(`(?i)\b(token|JWT|HTTP|PUT|POST|header|claim|scope|40[0-9]|50[0-9])\b`)
	element := regexp.MustCompile(`(?s)<script>.*?</script>|<style>.*?</style>|<[^>]*>`)
	for _, lang := range languages {
		for _, state := range uploadStates() {
			for _, folder := range []bool{false, true} {
				w := writtenUpload(t, Upload{State: state, Status: http.StatusConflict, Folder: folder, Name: "a.txt", Bytes: 1234567, MaxSize: 50e6, Types: []string{"image/*", "text/plain"}}, lang)
				body := w.Body.String()
				text := english()
				if all, _ := translations(); lang != "en" {
					for _, one := range all {
						if one["lang"] == lang {
							text = one
						}
					}
				}
				said := html.UnescapeString(element.ReplaceAllString(body, "\n"))
				want := text["upload."+state]
				switch {
				case state == "upload":
					want = text["upload.heading"]
				case state == "exists" && !folder: // the name is that of the link
					want = text["upload.taken"]
				}
				if w.Code != http.StatusConflict || want == "" || !strings.Contains(said, want) || !strings.Contains(body, `<html lang="`+lang+`"`) {
					t.Errorf("%s, %s: %d, %s", lang, state, w.Code, said)
				}
				if word := protocol.FindString(said); word != "" {
					t.Errorf("%s, %s: people are told of %s", lang, state, word)
				}
				final := state == "received" || state == "claim" || state == "no_file_here" || !folder && (state == "forbidden" || state == "exists" || state == "name")
				renames := folder && (state == "forbidden" || state == "exists" || state == "name")
				for what, there := range map[string]bool{
					`<form method="post" enctype="multipart/form-data" data-max="50000000"`: !final, `accept="image/*,text/plain"`: !final,
					`<input name="name"`: renames, "<bdi>image/*</bdi>, <bdi>text/plain</bdi>": !final, "<bdi>a.txt</bdi>": state == "received",
				} {
					if strings.Contains(body, what) != there {
						t.Errorf("%s, %s, folder %v: %s is there: %v", lang, state, folder, what, !there)
					}
				}
			}
		}
	}
}

// TestUploadTextsAreThere: the template asks for no text that there is not.
func TestUploadTextsAreThere(t *testing.T) {
	asked := regexp.MustCompile(`Text "(\w+)"`).FindAllStringSubmatch(uploadPage, -1)
	if len(asked) < 10 {
		t.Errorf("%d texts", len(asked))
	}
	for _, match := range asked {
		if english()["upload."+match[1]] == "" {
			t.Errorf("there is no text %s", match[1])
		}
	}
}

// TestUploadHeader: the page may do nothing but send to this site, no cache keeps it, and
// what a site says of its files is not said of it.
func TestUploadHeader(t *testing.T) {
	w := writtenUpload(t, Upload{State: "received", Status: http.StatusCreated, Location: "/a/b.txt", Name: "b.txt"}, "en")
	hash := func(pattern *regexp.Regexp) (all string) {
		for _, found := range pattern.FindAllStringSubmatch(w.Body.String(), -1) {
			sum := sha256.Sum256([]byte(found[1]))
			all += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		}
		return all
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src" + hash(styleElement) + "; script-src" + hash(scriptElement) +
			"; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; connect-src 'self'",
		"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff",
		"Location": "/a/b.txt", "Content-Disposition": "", "Vary": "Accept-Language", "Content-Language": "en",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestUploadNamesAreEscaped: a name is shown as it is, and does nothing.
func TestUploadNamesAreEscaped(t *testing.T) {
	const name = `"><img src=x onerror=alert(1)>'&.txt`
	for _, state := range []string{"received", "exists"} {
		body := writtenUpload(t, Upload{State: state, Status: http.StatusOK, Folder: true, Name: name}, "en").Body.String()
		if strings.Contains(body, "<img") || !strings.Contains(html.UnescapeString(body), name) {
			t.Errorf("%s: %s", state, body)
		}
	}
}
