package downloadtoken

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// Source is a place of the request in which a token may be carried.
type Source struct {
	// The part of the request: `query`, `path`, `header`, `cookie` or `basic`.
	//
	// `path` is a path-style parameter (RFC 6570 section 3.2.7), as in /file.mp4;name=token,
	// in any segment of the path. The path is matched and served without it.
	//
	// A header named Authorization counts only if its scheme is Bearer (RFC 6750
	// section 2.1); any other header holds the bare token. `basic` is the password
	// of HTTP Basic authentication (RFC 7617).
	In string `json:"in"`

	// The names of the parameters, header fields or cookies, in the order of
	// precedence. Names of parameters and cookies are case-sensitive.
	//
	// For `basic`, the user names that the token may come with; credentials for
	// another user are as good as none. Default for `basic`: any, the empty one too.
	Name []string `json:"name,omitempty"`
}

// Sources are the places that this means, in the order of precedence.
func (s Source) Sources() []token.Source {
	kind := token.Kind(s.In)
	if kind == token.Basic && len(s.Name) == 0 {
		return []token.Source{{Kind: kind}}
	}
	sources := make([]token.Source, 0, len(s.Name))
	for _, name := range s.Name {
		if kind == token.Header {
			name = http.CanonicalHeaderKey(name) // found without allocation
		}
		sources = append(sources, token.Source{Kind: kind, Name: name})
	}
	return sources
}

// OneTime makes tokens usable once.
//
// The promise: a one-time token is never honoured twice, not by parallel
// requests, a config reload, a restart, a crash, a full store, a changed
// configuration or a clock set back. Its twin: a token is not spent unless
// bytes were served. Where the store cannot show that a token is unused, it is
// refused as `unproven`.
type OneTime struct {
	// The claims that may hold the nonce, the value that makes a token unique;
	// the first that is present counts. It must be a string of 1 to 256 bytes.
	// Default: `jti`, `nonce`.
	Claim []string `json:"claim,omitempty"`

	// When a token is spent: `response`, when the first byte of a 2xx answer to
	// GET is about to go out, or a request that writes is answered with 2xx, so that a
	// failure costs nobody a token; or `request`, as soon as it has been authorised.
	// Default: `response`.
	Spend string `json:"spend,omitempty"`

	// If set, a download that was cut off can be resumed, and be made in parts,
	// with the same token. Default: not.
	Resume *Resume `json:"resume,omitempty"`

	// How often a token may be used. Default: 1, or 100 with `uses_claim`.
	Uses int `json:"uses,omitempty"`

	// A claim that says how often the token may be used; `uses` is then the most
	// that it can say. It must be a whole number of at least 1; a token without the
	// claim can be used once. Default: none.
	UsesClaim string `json:"uses_claim,omitempty"`

	// What a token can be used once for: `token`, or `path`, once for each file
	// that its scope opens (RFC 9246 section 2.1.7). Default: `token`.
	Per string `json:"per,omitempty"`

	// With `per` set to `path`, the index files of `file_server`: they count as the
	// folder in which they are, since they are served for it. Default: `index.html`,
	// `index.txt`.
	Index []string `json:"index,omitempty"`

	profiled bool // a profile asks for it, so tokens without a nonce come, too
}

// Resume lets the first GET with a token open a grant, from which further GETs
// for the same file are served, in parts (RFC 9110 section 14), in parallel or
// not, as browsers, players and download managers do it.
//
// A grant is pinned to the path, to the strong entity tag and the size of the
// file, and to the client's address (IPv6: to its /64). It ends with the
// window, which is never longer than the token lives unless PastExp says so, or with
// the budget of bytes
// that may be sent in all: copies times the size of the file, and min(1 MiB, a
// quarter of the file) more. That every byte was sent does not end it, because
// what was sent has not always arrived. It serves 16 connections at a time and
// 10,000 requests in all. What is more than the budget is refused as `budget`,
// whatever else no grant serves as `replayed`.
//
// Requests that come while the grant is being opened wait for it, up to two
// seconds, and join it.
//
// Files without a strong entity tag or a length, and empty ones, are served
// once, whole.
type Resume struct {
	// How long after its first use the token can be used to resume.
	Window caddy.Duration `json:"window"`

	// How often the file may be sent in all. Clients that cancel connections ask
	// for bytes that never arrive, so 1 is too few for most, and those that read
	// here and there, such as h5py or a video that is scrubbed, need many: `random`
	// in a Caddyfile is 20. Default: 2.
	Copies int `json:"copies,omitempty"`

	// Do not pin the grant to the client's address. Default: false.
	Roam bool `json:"roam,omitempty"`

	// Let an open grant outlive its token: exp bounds when a download begins, the
	// window when it must end. From exp on the token opens nothing new, and is refused
	// as `expired` wherever it joins no open grant; revocations and all other checks go
	// on as before. The window is then 30 days at most. Default: false, a grant ends
	// with its token.
	PastExp bool `json:"past_exp,omitempty"`
}

// RandomCopies is what `random` stands for in `resume <window> random`: so many
// copies may be sent to a client that reads here and there.
const RandomCopies = 20

// Attachment asks the client to save the file instead of showing it (RFC 6266).
type Attachment struct {
	// The name that the file is saved under; placeholders are replaced. Default:
	// the last segment of the path.
	Filename string `json:"filename,omitempty"`
}

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
	// one, for the page and for refusals; see [confirm.Page]. It is read at load. Global
	// placeholders such as {env.X} are replaced. Default: built in.
	Template string `json:"template,omitempty"`
}

// Page is what the pages that people see say of the site: the page of [Confirm], and
// those that say why there is no file. Global placeholders such as {env.X} are replaced
// at load.
type Page struct {
	// The name of the site. Default: none.
	Title string `json:"title,omitempty"`

	// Where people get help: a text, or, as a link, an address for mail or a URL with
	// the scheme mailto, https or http. Default: none.
	Contact string `json:"contact,omitempty"`
}

// Challenge is what WWW-Authenticate asks for (RFC 9110 section 11.6.1).
type Challenge struct {
	// The authentication scheme. Bearer has the error codes of RFC 6750 section
	// 3.1, other schemes have none.
	Scheme string `json:"scheme,omitempty"`

	// The protection space, sent as the parameter `realm`. Default: none, but for
	// Basic, which must have one (RFC 7617 section 2), `Downloads`.
	Realm string `json:"realm,omitempty"`
}

// Status replaces the status code of refusals.
type Status struct {
	// The status code, 400 to 599.
	Code int `json:"code"`

	// The reasons that it is for (see [Reasons]). Default: every reason that is
	// otherwise answered with 401 or 403.
	Reason []string `json:"reason,omitempty"`
}
