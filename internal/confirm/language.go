package confirm

import (
	"embed"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/text/language"
)

//go:embed texts/*.json
var textFiles embed.FS

// texts are what pages say in one language: a file of the folder texts, and its name
// as `lang`.
type texts map[string]string

// languages are the names of the files (RFC 5646). The first is for clients that want
// none of them.
var languages = []string{"en", "de", "fr", "es", "pt", "zh-Hans", "ja", "ar"}

// translations are the texts of each of languages, and what chooses among them.
var translations = sync.OnceValues(func() (all []texts, matcher language.Matcher) {
	tags := make([]language.Tag, len(languages))
	for i, name := range languages {
		content, err := textFiles.ReadFile("texts/" + name + ".json")
		var t texts
		if err == nil {
			err = json.Unmarshal(content, &t)
		}
		if err != nil {
			panic(err) // the files are a part of the program
		}
		t["lang"] = name
		all = append(all, t)
		tags[i] = language.MustParse(name)
	}
	return all, language.NewMatcher(tags)
})

// english are the texts for programs, and for everyone whose language there is not.
func english() texts {
	all, _ := translations()
	return all[0]
}

// maxAcceptLanguage bounds what is read of Accept-Language. Browsers send less than 100
// bytes.
const maxAcceptLanguage = 256

// preferred are the texts that Accept-Language asks for (RFC 9110 section 12.5.4).
func preferred(header http.Header) texts {
	accept := strings.Join(header.Values("Accept-Language"), ",")
	if accept == "" || len(accept) > maxAcceptLanguage {
		return english()
	}
	wanted, _, err := language.ParseAcceptLanguage(accept)
	all, matcher := translations()
	_, i, confidence := matcher.Match(wanted...)
	if err != nil || confidence == language.No {
		return english()
	}
	return all[i]
}

// Detail is what programs are told of a refusal, in English: what happened, and what
// to do.
func Detail(state string) string { return english()[state+".detail"] }

// states are those that a page can have.
func states() []string {
	var all []string
	for key := range english() {
		if state, ok := strings.CutSuffix(key, ".title"); ok {
			all = append(all, state)
		}
	}
	slices.Sort(all)
	return all
}

// complete adds to a page what is said in this language.
func (t texts) complete(p *Page) {
	p.Lang, p.Dir, p.Text = t["lang"], t["dir"], t
	p.Title = t[p.State+".title"]
	p.Retry = retried[p.State]
	detail := p.State + ".detail"
	switch {
	case p.State == "expired" && !p.Ends.IsZero():
		detail += "_until"
	case p.State == "page" && p.Uses == 1:
		detail += "_once"
	case p.State == "page" && p.Uses > 1:
		detail += "_some"
	}
	p.Detail = strings.ReplaceAll(t[detail], "{date}", t.date(p.Ends))
	if p.State == "page" && p.Bytes >= 0 {
		p.Size = t.size(p.Bytes)
	}
}

// date writes a time to the minute.
func (t texts) date(at time.Time) string {
	at = at.UTC()
	return strings.NewReplacer(
		"{day}", strconv.Itoa(at.Day()),
		"{month}", strings.Fields(t["months"])[at.Month()-1],
		"{year}", strconv.Itoa(at.Year()),
		"{time}", at.Format("15:04"),
	).Replace(t["date"])
}

// size writes a number of bytes with two or three digits.
func (t texts) size(n int64) string {
	if n == 1 {
		return t["byte"]
	}
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " " + t["bytes"]
	}
	size, unit := float64(n)/1000, 0
	for size >= 999.5 {
		size, unit = size/1000, unit+1
	}
	digits := 0
	if size < 9.95 {
		digits = 1
	}
	number := strings.Replace(strconv.FormatFloat(size, 'f', digits, 64), ".", t["decimal"], 1)
	return number + " " + strings.Fields(t["units"])[unit]
}
