package downloadtoken

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Confirm answers people who open a link with a small page that names the file
// and has one button. The button sends a POST to the same URL, and only that
// starts the download, so whatever opens links ahead of people, such as the
// previews of chat programs and the scanners of mail servers, uses up none. The
// page is made of what the next handlers answer to HEAD.
//
// A GET that accepts text/html and has no Range is taken for a person. Scripts, curl
// and media players do not ask for HTML and get the file at once. So does a browser
// that can join an open grant of [Resume].
//
// The POST has to come from this site and, where the browser tells (Sec-Fetch-User
// of W3C Fetch Metadata), from a person who pressed something; otherwise it is
// refused as `unconfirmed`. For the next handlers it is a GET without a body.
//
// A press may be repeated: for ten seconds after the one that used a one-time
// token, the same page is answered again at the same address, until two copies and
// the small excess of [Resume] have been sent (two answers, where the size is not
// known); one more is refused as `budget`. People double-click, and browsers then
// drop the first answer.
type Confirm struct {
	// Ask with every GET, whatever it accepts. Scripts then have to send the POST
	// themselves. Default: false.
	Always bool `json:"always,omitempty"`

	// The absolute path of an HTML template that takes the place of the built-in
	// one, for the page and for refusals; see [Page]. It is read at load. Global
	// placeholders such as {env.X} are replaced. Default: built in.
	Template string `json:"template,omitempty"`
}

// errUnconfirmed refuses a POST that nobody has pressed a button for.
var errUnconfirmed = errors.New("POST was not sent by the button of the confirm page")

// maxForm bounds the body of the POST.
const maxForm = 64 << 10

// formTimeout is how long the body of the POST may take.
const formTimeout = 10 * time.Second

// readForm reads the body of the button's POST, before anything is judged: what
// is slow to arrive must not be served by an old judgement.
func (v *visit) readForm() error {
	r := v.r
	if r.Body == nil {
		return nil
	}
	control := http.NewResponseController(v.w)
	_ = control.SetReadDeadline(time.Now().Add(formTimeout)) // where there is a connection
	// To the end, or the server would not notice that the client goes away.
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	switch {
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		panic(http.ErrAbortHandler) // the client broke off, which is no refusal
	case err != nil, len(body) > maxForm:
		return errUnconfirmed
	}
	_ = control.SetReadDeadline(time.Time{})
	if form, err := url.ParseQuery(string(body)); err == nil {
		v.press = form.Get("press")
	}
	return nil
}

// admitMethod lets GET and HEAD through, and makes a GET of the button's POST.
func (h *Handler) admitMethod(v *visit) error {
	switch v.r.Method {
	case http.MethodGet, http.MethodHead:
		return nil
	case http.MethodPost:
		if h.Confirm != nil {
			v.confirm()
			return nil
		}
	}
	return errMethod
}

// methods is what Allow names.
func (h *Handler) methods() string {
	if h.Confirm != nil {
		return "GET, HEAD, POST"
	}
	return "GET, HEAD"
}

// confirm turns the button's POST into the GET that it stands for.
func (v *visit) confirm() {
	r := v.r
	v.confirmed, v.unpressed = true, !pressed(r)
	r.Method = http.MethodGet
	dropBody(r)
}

// asks reports whether the request is to be answered with the page.
func (h *Handler) asks(v *visit) bool {
	if h.Confirm == nil || v.confirmed || v.r.Method != http.MethodGet {
		return false
	}
	return h.Confirm.Always || v.r.Header.Get("Range") == "" && acceptsHTML(v.r.Header)
}

// pressed reports whether, as far as the browser tells, somebody has pressed the
// button on this site's page.
func pressed(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if site != "" && site != "same-origin" && site != "none" {
		return false
	}
	if site == "" && !ownOrigin(r) {
		return false
	}
	tells := slices.ContainsFunc([]string{"Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User"},
		func(name string) bool { return r.Header.Get(name) != "" })
	return !tells || r.Header.Get("Sec-Fetch-User") == "?1" || neverTellsUser(r.UserAgent())
}

// ownOrigin reports whether Origin, if there is one, is this site's. It is null
// for a form on a page with no-referrer, which is what ours is (Fetch, "append a
// request Origin header").
func ownOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || origin == "null" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// neverTellsUser recognises Safari, and the other browsers on its engine, which
// send Sec-Fetch-Site, -Mode and -Dest but never Sec-Fetch-User
// (mdn/browser-compat-data#27928). Chromium names itself after the same engine.
func neverTellsUser(userAgent string) bool {
	return strings.Contains(userAgent, "AppleWebKit/") && !strings.Contains(userAgent, "Chrome/")
}
