package upload

import (
	"errors"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
	"github.com/caddy-download-token/caddy-download-token/internal/ticket"
)

func init() {
	caddy.RegisterModule(Upload{})
}

// Upload stores the files that a token of download_token, in front of it, permits to
// create or to overwrite. It asks that directive about the very file that it is going
// to write, and writes nothing without it.
//
// PUT stores its body at its path. POST with multipart/form-data stores the first file
// of the form: at its path or, where that ends in a slash, in that folder, under the
// name that the form has in the field `name`, else under the name of the file. GET and
// HEAD of a browser with a token that may only write are answered with a page by which
// people can send a file. Every other request goes on to the next handler.
//
// A file appears under its name when it is complete, checked and on the disk, and not
// before; what is broken off, too large or refused leaves nothing behind. Creating
// never overwrites, whatever happens at the same time.
//
// The answer is 201 with Location, the URL without the token, for a file that was
// created, and 204 for one that was overwritten, or a small page for a browser. The
// claims `max_size` (bytes, a positive whole number), `content_type` (one media type
// or several, such as `image/*`) and `sha256` (of the content, hexadecimal or
// base64url) limit what the token may store, beside the settings here; one that cannot
// be read is refused. Content-Digest and Repr-Digest with sha-256 (RFC 9530) are
// verified. Refusals are problem details (RFC 9457), or errors if the server has an
// error route for them; people get the page again, with what was wrong.
type Upload struct {
	// The folder that paths are looked up in, which must be there. Placeholders are
	// replaced. Nothing outside it is written, whatever symbolic links it has.
	// Default: `{http.vars.root}`.
	Root string `json:"root,omitempty"`

	// The largest file in bytes. Without it, and without a claim `max_size`, one token
	// can fill the disk. Default: 0, no limit.
	MaxSize int64 `json:"max_size,omitempty"`

	// The media types that are stored, such as `application/pdf` or `image/*`. The type
	// of the extension, by which file_server serves, must be among them, and the type
	// that the request declares, if it does; and the first bytes must not show another.
	// Default: all.
	ContentType []string `json:"content_type,omitempty"`

	// Make the folders of the path that are missing, where the token permits to create
	// each of them. Default: false, a missing folder is refused with 409.
	Mkdir bool `json:"mkdir,omitempty"`

	types  types
	logger *zap.Logger
	ctx    caddy.Context
}

// CaddyModule returns the Caddy module information.
func (Upload) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.download_token_upload",
		New: func() caddy.Module { return new(Upload) },
	}
}

// Provision prepares the handler. It does no network I/O and writes nothing.
func (u *Upload) Provision(ctx caddy.Context) (err error) {
	u.ctx, u.logger = ctx, ctx.Logger()
	if u.Root == "" {
		u.Root = "{http.vars.root}"
	}
	if u.MaxSize < 0 {
		return errSizeSetting
	}
	u.types, err = parseTypes(u.ContentType)
	if none := u.types.unserved(); len(none) > 0 {
		u.logger.Warn("content_type: no extension has these types, so no file of them is stored; correct them (it is image/jpeg, not image/jpg), "+
			"or install media-types or mailcap", zap.Strings("types", none))
	}
	return err
}

// ServeHTTP stores a file, shows the page, or asks the next handler.
func (u *Upload) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := &exchange{u: u, w: w, r: r, ticket: ticket.Of(r)}
	switch {
	case r.Method == http.MethodPut, r.Method == http.MethodPost && isForm(r.Header):
		return x.conclude(x.store())
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		x.ticket != nil && x.ticket.PageOnly && confirm.AcceptsHTML(r.Header):
		return x.conclude(x.ask())
	}
	return next.ServeHTTP(w, r)
}

var errNoRoot = errors.New("there is no folder for the files; write root, for the site or for download_token_upload")

func isForm(header http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && mediaType == "multipart/form-data"
}

// exchange is one request, and the answer to it.
type exchange struct {
	u      *Upload
	w      http.ResponseWriter
	r      *http.Request
	ticket *ticket.Ticket
	root   *os.Root
	path   string // of the file; of the folder until the name is known
	limits limits
	page   confirm.Upload
	bytes  int64 // of the file
	failed error // what the log says beside the reason
}

// begin makes the checks that have nothing to do with the file.
func (x *exchange) begin() error {
	if x.ticket == nil {
		return refusedUnchecked
	}
	var err error
	if x.path, err = scope.Path(x.r.URL); err != nil {
		return x.because(refusedPath, err)
	}
	if x.limits, err = x.u.limit(x.ticket.Claims); err != nil {
		return x.because(refusedClaim, err)
	}
	x.page.MaxSize, x.page.Types, x.page.Folder = x.limits.maxSize, x.limits.names(), strings.HasSuffix(x.path, "/")
	root := replacerOf(x.r).ReplaceAll(x.u.Root, "")
	if root == "" {
		return x.because(refusedInternal, errNoRoot)
	}
	if x.root, err = os.OpenRoot(root); err != nil {
		return x.because(refusedInternal, err)
	}
	return nil
}

// ask answers with the page, which also says what is wrong with the token.
func (x *exchange) ask() error {
	x.ticket.Page = true
	if err := x.begin(); err != nil {
		return err
	}
	x.page.State, x.page.Status = "upload", http.StatusOK
	if !x.page.Folder {
		if info, err := x.root.Lstat(local(x.path)); err == nil && (!info.Mode().IsRegular() || !x.ticket.Permits(scope.OverwriteFile, x.path)) {
			x.page.State = refusedExists.Reason
		}
	}
	return x.page.Write(x.w, x.r)
}

// store stores the file, and answers.
func (x *exchange) store() error {
	if err := x.begin(); err != nil {
		return err
	}
	receive := x.receiveBody
	if x.r.Method == http.MethodPost {
		receive = x.receiveForm
	}
	created, err := receive()
	if err != nil {
		return err
	}
	x.u.logger.Info("file received",
		zap.String("path", token.Redact(x.path)),
		zap.Int64("bytes", x.bytes),
		zap.Bool("created", created),
		zap.String("fingerprint", replacerOf(x.r).ReplaceAll("{http.download_token.fingerprint}", "")),
		zap.String("client_ip", problem.ClientIP(x.r)))
	x.page.State, x.page.Status, x.page.Bytes = "received", http.StatusOK, x.bytes
	if created {
		x.page.Status, x.page.Location = http.StatusCreated, x.location()
	}
	if confirm.AcceptsHTML(x.r.Header) {
		return x.page.Write(x.w, x.r)
	}
	response.ForbidCaching(x.w.Header())
	if !created {
		x.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	x.w.Header().Set("Location", x.page.Location)
	x.w.WriteHeader(http.StatusCreated)
	return nil
}

// location is the URL of the file, as the client knows it, without a query.
func (x *exchange) location() string {
	asked := response.AskedPath(x.r)
	if x.page.Folder {
		name, _ := ownName(x.path)
		asked = strings.TrimSuffix(asked, "/") + "/" + escaped(name)
	}
	return asked
}

func replacerOf(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Upload)(nil)
	_ caddyhttp.MiddlewareHandler = (*Upload)(nil)
)
