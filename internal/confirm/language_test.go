package confirm

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
)

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// TestTranslations: every language says everything, and nothing more, with the same
// placeholders as English.
func TestTranslations(t *testing.T) {
	files, err := textFiles.ReadDir("texts")
	if err != nil || len(files) != len(languages) {
		t.Errorf("%d files for %d languages, %v", len(files), len(languages), err)
	}
	for _, file := range files {
		if !slices.Contains(languages, strings.TrimSuffix(path.Base(file.Name()), ".json")) {
			t.Errorf("%s is not among the languages", file.Name())
		}
	}
	all, _ := translations()
	for i, text := range all {
		if text["lang"] != languages[i] || text["lang"] != language.MustParse(languages[i]).String() {
			t.Errorf("%s is called %s", languages[i], text["lang"])
		}
		for key, english := range english() {
			if text[key] == "" || text[key] != strings.TrimSpace(text[key]) {
				t.Errorf("%s: %s is %q", text["lang"], key, text[key])
			}
			want, got := placeholder.FindAllString(english, -1), placeholder.FindAllString(text[key], -1)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s has the placeholders %q, not %q", text["lang"], key, got, want)
			}
			if i > 0 && text[key] == english && strings.Contains(english, " ") && key != "units" && key != "byte" {
				t.Errorf("%s: %s is not translated", text["lang"], key)
			}
		}
		for key := range text {
			if english()[key] == "" {
				t.Errorf("%s: %s is superfluous", text["lang"], key)
			}
		}
		if n := len(strings.Fields(text["months"])); n != 12 {
			t.Errorf("%s: %d months", text["lang"], n)
		}
		if n := len(strings.Fields(text["units"])); n != 6 {
			t.Errorf("%s: %d units", text["lang"], n)
		}
		if want := map[bool]string{false: "ltr", true: "rtl"}[text["lang"] == "ar"]; text["dir"] != want {
			t.Errorf("%s runs %s", text["lang"], text["dir"])
		}
		for state := range maps.Keys(retried) {
			if text[state+".title"] == "" {
				t.Errorf("%s: %s can be tried again and has no title", text["lang"], state)
			}
		}
	}
}

// everyPage is each page that there can be.
func everyPage() (pages []Page) {
	for _, state := range states() {
		page := Page{State: state, Status: http.StatusForbidden, Reference: "0123456789abcdef"}
		if state == "expired" {
			page.Ends = time.Unix(1, 0)
		}
		pages = append(pages, page)
	}
	for uses := range 3 {
		pages = append(pages, Page{State: "page", Status: http.StatusOK, Name: "a.txt", Bytes: 9, Uses: uses})
	}
	return pages
}

// TestNoSentenceTwice: what a page has said, it does not say again, and it tells people
// what to do in the words of people.
func TestNoSentenceTwice(t *testing.T) {
	element := regexp.MustCompile(`(?s)<script>.*?</script>|<style>.*?</style>|<head>.*?</head>|<[^>]*>`)
	ends := regexp.MustCompile(`[.。؟!:：\n]+\s*`)
	protocol := regexp.MustCompile(`(?i)\b(token|JWT|HTTP|GET|HEAD|POST|header|claim|nonce|scope|40[0-9]|50[0-9])\b`)
	p, err := Load("", Site{Name: "Example Files", Contact: "Room 4"})
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range languages {
		for _, page := range everyPage() {
			w := httptest.NewRecorder()
			if err := p.Write(w, asking(lang), page); err != nil {
				t.Fatal(err)
			}
			text := element.ReplaceAllString(w.Body.String(), "\n")
			said := make(map[string]bool)
			for _, sentence := range ends.Split(text, -1) {
				if sentence = strings.ToLower(strings.TrimSpace(sentence)); sentence == "" {
					continue
				}
				if said[sentence] {
					t.Errorf("%s, %s: says twice %q", lang, page.State, sentence)
				}
				said[sentence] = true
			}
			if len(said) < 5 {
				t.Errorf("%s, %s: says only %v", lang, page.State, said)
			}
			if word := protocol.FindString(text); word != "" {
				t.Errorf("%s, %s: people are told of %s", lang, page.State, word)
			}
		}
	}
}

// TestDetail: programs are told what happened, and what to do.
func TestDetail(t *testing.T) {
	twoSentences := regexp.MustCompile(`^[A-Z][^.]+\. (Ask|Copy|Open|If that goes on, tell) [^.]+\.$`)
	for _, state := range states() {
		if detail := Detail(state); state != "page" && !twoSentences.MatchString(detail) {
			t.Errorf("%s: %s", state, detail)
		}
	}
}

// TestPreferred: the language that the client prefers, of those that there are.
func TestPreferred(t *testing.T) {
	for accept, want := range map[string]string{
		"": "en", "*": "en", "en": "en", "de": "de", "DE": "de", "de-AT": "de", "fr-CA,fr;q=0.8,en;q=0.5": "fr", "es-419": "es", "pt-PT": "pt", "pt-BR,en;q=0.1": "pt",
		"zh": "zh-Hans", "zh-CN": "zh-Hans", "zh-Hans-SG": "zh-Hans", "ja-JP": "ja", "ar-EG,ar;q=0.9": "ar", "en-GB, de;q=0.9": "en", "en;q=0.2, de;q=0.7": "de",
		"fi": "en", "fi,ja;q=0.5": "ja", "xx-yy": "en", "fi;q=1,de;q=0": "en", "de;q=0": "en", "zh-TW,en;q=0.8": "en",
		"not a header": "en", "de;q=x": "en", ";;;,,,": "en", strings.Repeat("x-", 2000): "en", "de," + strings.Repeat("fi,", 1000): "en",
	} {
		for _, lines := range [][]string{{accept}, strings.SplitAfter(accept, ",")} {
			header := http.Header{"Accept-Language": lines}
			if got := preferred(header)["lang"]; got != want {
				t.Errorf("%.40q: %s, want %s", lines, got, want)
			}
		}
	}
}

// TestLanguages: a page is in one language, and says which.
func TestLanguages(t *testing.T) {
	p, err := Load("", Site{})
	if err != nil {
		t.Fatal(err)
	}
	ends := time.Date(2026, time.November, 27, 23, 5, 59, 0, time.FixedZone("", 9*60*60))
	for lang, want := range map[string][2]string{
		"en": {"This link was valid until 27 November 2026, 14:05 UTC. Ask for a new one where you got it.", "1.2 MB (1234567 bytes)"},
		"de": {"Dieser Link war bis 27. November 2026, 14:05 Uhr UTC gültig. ", "1,2 MB (1234567 Bytes)"},
		"fr": {"Ce lien était valable jusqu’au 27 novembre 2026 à 14:05 UTC. ", "1,2 Mo (1234567 octets)"},
		"es": {"Este enlace fue válido hasta el 27 de noviembre de 2026, 14:05 UTC. ", "1,2 MB (1234567 bytes)"},
		"pt": {"Este link foi válido até 27 de novembro de 2026, 14:05 UTC. ", "1,2 MB (1234567 bytes)"},
		"zh": {"此链接的有效期到 2026年11月27日 14:05（UTC） 为止。", "1.2 MB (1234567 字节)"},
		"ja": {"このリンクは 2026年11月27日 14:05（UTC） まで有効でした。", "1.2 MB (1234567 バイト)"},
		"ar": {"كان هذا الرابط صالحًا حتى 27 نوفمبر 2026، الساعة 14:05 بالتوقيت العالمي. ", "1.2 ميغابايت (1234567 بايت)"},
	} {
		for i, page := range []Page{{State: "expired", Status: 401, Ends: ends}, ready} {
			w := httptest.NewRecorder()
			if err := p.Write(w, asking(lang), page); err != nil {
				t.Fatal(err)
			}
			text := preferred(asking(lang).Header)
			attributes := fmt.Sprintf("<html lang=%q dir=%q>", text["lang"], text["dir"])
			if body := w.Body.String(); !strings.Contains(body, want[i]) || !strings.Contains(body, attributes) || w.Header().Get("Content-Language") != text["lang"] {
				t.Errorf("%s: %s, %s", lang, w.Header().Get("Content-Language"), body)
			}
		}
	}
}

// TestTemplateInOneLanguage: a template that does not say which language it is in gets
// English texts, whatever the client prefers.
func TestTemplateInOneLanguage(t *testing.T) {
	p, err := load(t, `<form method=post>{{.Text.download}}</form>{{.Title}}`)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := p.Write(w, asking("de"), ready); err != nil || !strings.Contains(w.Body.String(), "Download</form>Ready to download") {
		t.Errorf("%v, %s", err, w.Body)
	}
	if w.Header().Get("Content-Language") != "en" || w.Header().Get("Vary") != "" {
		t.Errorf("%v", w.Header())
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 2: "2 bytes", 999: "999 bytes", 1000: "1.0 KB", 1_049: "1.0 KB", 1_051: "1.1 KB",
		9_949: "9.9 KB", 9_950: "10 KB", 10_400: "10 KB", 999_499: "999 KB", 999_500: "1.0 MB", 1_234_567: "1.2 MB",
		999_499_999: "999 MB", 999_500_000: "1.0 GB", 5_000_000_000_000: "5.0 TB", 7_200_000_000_000_000: "7.2 PB", 1<<63 - 1: "9.2 EB",
	} {
		if got := english().size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// BenchmarkWrite is what a page costs, with the choice of its language and without.
func BenchmarkWrite(b *testing.B) {
	p, err := Load("", Site{Name: "Example Files", Contact: "help@example.com"})
	if err != nil {
		b.Fatal(err)
	}
	for name, accept := range map[string]string{"no-language": "", "one": "ja", "usual": "de-AT,de;q=0.8,en-US;q=0.5,en;q=0.3", "long": strings.Repeat("fi,", 80)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Write(httptest.NewRecorder(), asking(accept), refusals[0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
