package confirm

import (
	"bytes"
	_ "embed" // of the template
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

//go:embed pages/upload.html
var uploadPage string

// Upload is the page by which people send a file, and what they are told afterwards. It
// is sent to the address that it is shown at, which is the only place where the token
// stands.
type Upload struct {
	// `upload` before a file was sent, `received` when it was stored, else the reason why
	// it was not.
	State string

	// The status code of the answer.
	Status int

	// The name is chosen by who sends the file; else the address has it.
	Folder bool

	// The name of the file, as far as it is known.
	Name string

	// The size of the stored file, in bytes.
	Bytes int64

	// The largest file in bytes, 0: any.
	MaxSize int64

	// The media types that are accepted, none: all.
	Types []string

	// The URL of a file that was created.
	Location string
}

// uploadTemplate has the styles of the confirm page, and some of its own.
var uploadTemplate = template.Must(template.New("upload").Funcs(template.FuncMap{
	"look": func() template.HTML { return template.HTML(styleElement.FindString(defaultPage)) }, //nolint:gosec // a part of the program
}).Parse(uploadPage))

// uploadPolicy is the Content-Security-Policy of the page, which does not depend on what
// it says.
var uploadPolicy = func() string {
	body, err := (&Upload{}).render(english())
	if err != nil {
		panic(err) // the template is a part of the program
	}
	var styles, scripts sources
	styles.add(styleElement, body)
	scripts.add(scriptElement, body)
	return policyOf(styles, scripts) + "; connect-src 'self'"
}()

// Text is what the page says; key is without `upload.`.
func (p *uploadView) Text(key string) string { return p.texts["upload."+key] }

// Why is what the page says of a refusal. The name that a link has cannot be chosen.
func (p *uploadView) Why() string {
	if p.State == "exists" && !p.Folder {
		return p.Text("taken")
	}
	return p.Text(p.State)
}

// Size writes a number of bytes.
func (p *uploadView) Size(n int64) string { return p.texts.size(n) }

// Again tells whether it makes sense to send a file once more, with this page.
func (p *uploadView) Again() bool {
	switch p.State {
	case "received", "claim", "forbidden", "no_file_here":
		return p.State == "forbidden" && p.Folder
	case "exists", "name":
		return p.Folder
	}
	return true
}

// Renames tells whether the page asks for another name.
func (p *uploadView) Renames() bool {
	return p.Folder && (p.State == "exists" || p.State == "name" || p.State == "forbidden")
}

// Accept is for the attribute of that name.
func (p *uploadView) Accept() string { return strings.Join(p.Types, ",") }

type uploadView struct {
	*Upload
	texts texts
	Lang  string
	Dir   string
}

func (p *Upload) render(t texts) ([]byte, error) {
	var b bytes.Buffer
	err := uploadTemplate.Execute(&b, &uploadView{p, t, t["lang"], t["dir"]})
	return b.Bytes(), err
}

// Write answers r with the page.
func (p *Upload) Write(w http.ResponseWriter, r *http.Request) error {
	t := preferred(r.Header)
	body, err := p.render(t)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("download_token_upload: page: %w", err))
	}
	response.DropBodyFields(w.Header()) // which a site may set for all its answers
	response.Vary(w.Header(), "Accept-Language")
	if p.Location != "" {
		w.Header().Set("Location", p.Location)
	}
	writePage(w, t, uploadPolicy, p.Status, body)
	return nil
}

// UploadDetail is what programs are told of a file that was not stored, in English.
func UploadDetail(reason string) string { return english()["upload."+reason] }
