package confirm

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrUnconfirmed refuses a POST that was not sent by the button.
var ErrUnconfirmed = errors.New("POST was not sent by the button of the confirm page")

// maxForm bounds the body of the POST.
const maxForm = 64 << 10

// formTimeout is how long the body of the POST may take.
const formTimeout = 10 * time.Second

// ReadForm reads the body of the button's POST and returns the value of its page,
// empty if there is none. It comes before anything is judged: what is slow to arrive
// must not be served by an old judgement. A body that is too long, or too slow, is
// [ErrUnconfirmed]; a client that breaks off ends in http.ErrAbortHandler.
func ReadForm(w http.ResponseWriter, r *http.Request) (press string, err error) {
	if r.Body == nil {
		return "", nil
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(formTimeout)) // where there is a connection
	// To the end, or the server would not notice that the client goes away.
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	switch {
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		panic(http.ErrAbortHandler) // the client broke off, which is no refusal
	case err != nil, len(body) > maxForm:
		return "", ErrUnconfirmed
	}
	_ = control.SetReadDeadline(time.Time{})
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", nil
	}
	return form.Get("press"), nil
}

// Pressed reports whether, as far as the browser tells, a person has pressed the
// button on this site's page.
func Pressed(r *http.Request) bool {
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

// AcceptsHTML reports whether Accept names text/html, as browsers do for what
// a person opens (RFC 9110 section 12.5.1).
func AcceptsHTML(header http.Header) bool {
	for item := range strings.SplitSeq(strings.Join(header.Values("Accept"), ","), ",") {
		mediaType, params, _ := strings.Cut(item, ";")
		if strings.EqualFold(strings.TrimSpace(mediaType), "text/html") && !weightless(params) {
			return true
		}
	}
	return false
}

// weightless reports whether the parameters of a media range say q=0: not
// acceptable (RFC 9110 section 12.4.2).
func weightless(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return err == nil && q == 0
		}
	}
	return false
}
