package downloadtoken

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// destination is the path to which the request copies or moves something (RFC 4918
// section 10.3), spelled as that of the request is here. It must be on this host, and
// there must be only one way to read it. asked is the path that the client asked for,
// without the token, of which a handler in front may have taken something off.
func destination(r *http.Request, asked string) (path string, err error) {
	fields := r.Header.Values("Destination")
	if len(fields) != 1 {
		return "", badDestination("it must be there once")
	}
	u, err := url.Parse(fields[0])
	switch {
	case err != nil:
		return "", badDestination("it is no URI")
	case strings.Contains(fields[0], "#"), u.User != nil:
		return "", badDestination("it has a fragment or a user name")
	case u.Scheme == "" && u.Host == "": // a path
	case u.Scheme != "http" && u.Scheme != "https" || !sameHost(u, r.Host):
		return "", badDestination("it is not on this host")
	}
	if path, err = scope.Path(u); err != nil {
		return "", err
	}
	taken, ok := strings.CutSuffix(asked, r.URL.Path)
	if !ok {
		return "", badDestination("a rewrite in front of download_token has changed the path of the request, and where it leads cannot be told")
	}
	path, ok = strings.CutPrefix(path, taken)
	if !ok || !strings.HasPrefix(path, "/") {
		return "", badDestination("it is not below the path that was taken off that of the request")
	}
	return path, nil
}

func badDestination(why string) error { return fmt.Errorf("%w: Destination: %s", errRequest, why) }

// sameHost compares the host of a URL with one that a client asks: a port that is left
// out is that of the scheme.
func sameHost(u *url.URL, host string) bool {
	own := &url.URL{Scheme: u.Scheme, Host: host}
	return u.Hostname() != "" && strings.EqualFold(u.Hostname(), own.Hostname()) && portOf(u) == portOf(own)
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// stripReferences takes the token out of the fields for which clients make URLs of their
// own: Destination, and the tagged lists of If (RFC 4918 section 10.4).
func stripReferences(header http.Header, sources []token.Source) {
	for i, field := range header["Destination"] {
		header["Destination"][i] = stripReference(field, sources)
	}
	for i, field := range header["If"] {
		header["If"][i] = codedURL.ReplaceAllStringFunc(field, func(u string) string {
			return "<" + stripReference(u[1:len(u)-1], sources) + ">"
		})
	}
}

func stripReference(uri string, sources []token.Source) string {
	for _, source := range sources {
		switch names := []string{source.Name}; source.Kind {
		case token.Query:
			uri = token.StripURI(uri, names)
		case token.Path:
			path, query, found := strings.Cut(uri, "?")
			if uri = token.StripPath(path, names); found {
				uri += "?" + query
			}
		}
	}
	return uri
}

var codedURL = regexp.MustCompile(`<[^<>]*>`)

// apply makes the request say what was judged, in a form that can be read in one way
// only: a path-absolute reference is a URI to all readers (RFC 4918 section 8.3).
func (e errand) apply(header http.Header) {
	if e.plan.creates {
		header.Set("If-None-Match", "*") // RFC 9110 section 13.1.2
	}
	if e.plan.fresh {
		header.Set("Overwrite", "F") // RFC 4918 section 10.6
	}
	if e.destination != "" {
		u := url.URL{Path: e.destination}
		if _, query, _ := strings.Cut(header.Get("Destination"), "?"); query != "" {
			u.RawQuery = query
		}
		header.Set("Destination", u.String())
	}
}

// end lets go of the paths, and takes back a condition that only the next handlers are to
// keep to: an error route would leave out its page for it.
func (e errand) end(header http.Header) {
	if e.plan.creates {
		header.Del("If-None-Match")
	}
	if e.unlock != nil {
		e.unlock()
	}
}
