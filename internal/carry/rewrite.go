package carry

import (
	"bytes"
	"hash/maphash"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// maxBody is up to how many bytes a body is held back so that tokens can be put into it,
// maxSent how many it may have with them. Beyond, it goes out as it is.
const (
	maxBody = 4 << 20
	maxSent = 8 * maxBody
)

// tagSeed is of the entity tags. They are compared with those of this process only: a tag
// of another one costs a playlist that is sent once more.
var tagSeed = maphash.MakeSeed()

// Rule says how tokens are put into the body of an answer with this status, 2xx or 304,
// and header; nil: the rule does not want it. The function that it returns gives back
// what it cannot parse, or has nothing to put into, as it is.
type Rule func(status int, header http.Header) func(body []byte) []byte

// Rewrite puts tokens into what next answers to GET and HEAD, by the first rule that wants it.
// What no rule wants passes straight through.
//
// A body has to be whole and not encoded. If it is not, or HEAD asks for its length, next
// is asked again without the fields that led to this. A rewritten answer has a weak entity
// tag of what is sent (RFC 9110 section 8.8.1), cannot be asked for in parts, and is not
// kept by caches, because there are tokens in it.
func Rewrite(next caddyhttp.Handler, rules ...Rule) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		method, fields, url, before := r.Method, r.Header, *r.URL, w.Header().Clone()
		if method != http.MethodGet && method != http.MethodHead {
			return next.ServeHTTP(w, r)
		}
		defer func() { r.Method, r.Header = method, fields }()
		if isPlaylist(r.URL.Path) {
			r.Header = bare(fields) // it is likely to be wanted
		}
		a := &answer{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, rules: rules, head: method == http.MethodHead}
		err := next.ServeHTTP(a, r)
		if a.unfit {
			*r.URL = url // a later handler may have stripped a prefix
			r.Method, r.Header = http.MethodGet, bare(fields)
			restore(w.Header(), before)
			a.unfit, a.status, a.again = false, 0, true
			err = next.ServeHTTP(a, r)
		}
		r.Method, r.Header = method, fields
		if a.rewrite == nil {
			return err
		}
		if err != nil {
			restore(w.Header(), before)
			return err
		}
		return a.send(strings.Join(fields["If-None-Match"], ","))
	})
}

// bare is a request's header without what makes an answer less than the whole, identical
// file.
func bare(fields http.Header) http.Header {
	fields = fields.Clone()
	for _, name := range []string{
		"Accept-Encoding", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Range",
	} {
		fields.Del(name)
	}
	return fields
}

func restore(header, before http.Header) {
	clear(header)
	maps.Copy(header, before.Clone())
}

// answer is what next writes to.
type answer struct {
	caddyhttp.ResponseWriterWrapper
	rules []Rule
	head  bool // the client has asked for the header only
	again bool // next has been asked again

	status  int                 // 0: none yet
	unfit   bool                // a rule wants it, but not in this form: nothing of it goes out
	rewrite func([]byte) []byte // nil: the body is not held
	body    bytes.Buffer
}

// WriteHeader lets a final status out unless the body is wanted.
func (a *answer) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		a.ResponseWriter.WriteHeader(status)
		return
	}
	if a.status != 0 {
		return
	}
	a.status = status
	if a.decide(); a.rewrite == nil && !a.unfit {
		a.ResponseWriter.WriteHeader(status)
	}
}

// decide asks the rules.
func (a *answer) decide() {
	if (a.status < 200 || a.status > 299) && a.status != http.StatusNotModified {
		return
	}
	header := a.Header()
	size, err := strconv.Atoi(header.Get("Content-Length"))
	encoding := header.Get("Content-Encoding")
	fit := a.status != http.StatusPartialContent && a.status != http.StatusNotModified &&
		(encoding == "" || strings.EqualFold(encoding, "identity"))
	if fit && err == nil && size > maxBody {
		return
	}
	for _, rule := range a.rules {
		rewrite := rule(a.status, header)
		switch {
		case rewrite == nil:
			continue
		case !a.again && (!fit || a.head):
			a.unfit = true
		case fit:
			a.rewrite = rewrite
			if err == nil && size > 0 {
				a.body.Grow(size + bytes.MinRead)
			}
		}
		return
	}
}

// drops tells whether nothing that is written goes out.
func (a *answer) drops() bool { return a.unfit || a.head && a.rewrite == nil }

func (a *answer) answered() {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
}

// Write keeps p if the body is wanted and not too large.
func (a *answer) Write(p []byte) (int, error) {
	a.answered()
	if a.drops() {
		return len(p), nil
	}
	if a.rewrite != nil {
		if a.body.Len()+len(p) <= maxBody {
			return a.body.Write(p)
		}
		if err := a.letGo(); err != nil || a.head {
			return len(p), err
		}
	}
	return a.ResponseWriter.Write(p)
}

// ReadFrom keeps sendfile for what is not wanted.
func (a *answer) ReadFrom(src io.Reader) (int64, error) {
	a.answered()
	if a.drops() {
		return 0, nil
	}
	if a.rewrite == nil {
		return a.ResponseWriterWrapper.ReadFrom(src)
	}
	n, err := a.body.ReadFrom(io.LimitReader(src, int64(maxBody-a.body.Len())))
	if err != nil || a.body.Len() < maxBody {
		return n, err
	}
	more, err := io.Copy(struct{ io.Writer }{a}, src)
	return n + more, err
}

// FlushError is what http.ResponseController looks for. What is held is not flushed.
func (a *answer) FlushError() error {
	a.answered()
	if a.rewrite != nil || a.drops() {
		return nil
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Flush is FlushError for callers that know only http.Flusher.
func (a *answer) Flush() { _ = a.FlushError() }

// letGo sends what is held as it is, and holds nothing any more.
func (a *answer) letGo() error {
	a.rewrite = nil
	a.ResponseWriter.WriteHeader(a.status)
	if a.head || a.body.Len() == 0 {
		return nil
	}
	_, err := a.ResponseWriter.Write(a.body.Bytes())
	return err
}

// send puts the tokens in. The client has the answer already if its tag is in
// ifNoneMatch.
func (a *answer) send(ifNoneMatch string) error {
	header, body := a.Header(), a.body.Bytes()
	if size := header.Get("Content-Length"); size != "" && size != strconv.Itoa(len(body)) {
		return a.letGo() // it broke off, and the server will say so
	}
	body = a.rewrite(body)
	if bytes.Equal(body, a.body.Bytes()) {
		return a.letGo()
	}
	tag := `"` + strconv.FormatUint(maphash.Bytes(tagSeed, body), 16) + `"`
	for _, name := range []string{"Content-Digest", "Content-Length", "Content-Md5", "Digest", "Last-Modified", "Repr-Digest", "Trailer"} {
		header.Del(name)
	}
	response.ForbidCaching(header)
	header.Set("Cache-Control", "private, no-store")
	header.Set("Accept-Ranges", "none")
	header.Set("Etag", "W/"+tag)
	if strings.Contains(ifNoneMatch, tag) { // there are no quotes in a tag
		a.ResponseWriter.WriteHeader(http.StatusNotModified)
		return nil
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	a.ResponseWriter.WriteHeader(a.status)
	if a.head {
		return nil
	}
	_, err := a.ResponseWriter.Write(body)
	return err
}

// Interface guards
var (
	_ http.ResponseWriter = (*answer)(nil)
	_ io.ReaderFrom       = (*answer)(nil)
	_ http.Flusher        = (*answer)(nil)
)
