package downloadtoken

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/internal/confirm"
)

// navigation is what a browser accepts of a page.
const navigation = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// TestWantsPage: who is asked before a download starts.
func TestWantsPage(t *testing.T) {
	for name, tt := range map[string]struct {
		method, accept, ranges string
		pressed                bool
		plain, always          bool // what is answered with `confirm`, with `confirm always`
	}{
		"a browser":               {http.MethodGet, navigation, "", false, true, true},
		"curl":                    {http.MethodGet, "*/*", "", false, false, true},
		"wget, no Accept":         {http.MethodGet, "", "", false, false, true},
		"a part for a browser":    {http.MethodGet, navigation, "bytes=0-3", false, false, true},
		"a media player":          {http.MethodGet, "*/*", "bytes=0-", false, false, true},
		"HTML is refused":         {http.MethodGet, "text/html;q=0, */*", "", false, false, true},
		"HEAD":                    {http.MethodHead, navigation, "", false, false, false},
		"the button":              {http.MethodGet, navigation, "", true, false, false},
		"the button, in a script": {http.MethodGet, "*/*", "", true, false, false},
	} {
		for c, want := range map[*Confirm]bool{nil: false, new(Confirm): tt.plain, {Always: true}: tt.always} {
			v := &visit{h: &Handler{Confirm: c}, r: get("/a", "Accept", tt.accept), confirmed: tt.pressed}
			v.r.Method = tt.method
			if tt.ranges != "" {
				v.r.Header.Set("Range", tt.ranges)
			}
			if got := v.wantsPage(); got != want {
				t.Errorf("%s, %+v: %v", name, c, got)
			}
		}
	}
}

// TestAdmit: what the store is asked, and who gets what. HEAD, the page and whoever has
// not pressed the button leave no trace, unless they join a grant that is open.
func TestAdmit(t *testing.T) {
	const (
		page     = "page"
		button   = "button"
		unbidden = "button that no person has pressed"
	)
	far := time.Now().Add(time.Hour)
	open := func() *used { return &used{grant: &shared{terms: rules.Terms{Size: 10, Ends: far}, left: 10}} }
	for name, tt := range map[string]struct {
		timed bool // no one_time
		spend string
		kind  string // default: a GET of a program
		head  bool
		more  string // a header field that is 1
		joins bool   // a grant is open when the store is asked to look
		use   *used  // that Admit gives
		err   error  // of the store

		asked   string
		want    error
		asks    bool
		commits int
	}{
		"for a time":                         {timed: true, asked: "revoked"},
		"for a time, revoked":                {timed: true, err: rules.ErrRevoked, asked: "revoked", want: rules.ErrRevoked},
		"for a time, prefetched":             {timed: true, more: "prefetch", asked: "revoked"},
		"for a time, the page":               {timed: true, kind: page, asked: "revoked", asks: true},
		"for a time, the page, revoked":      {timed: true, kind: page, err: rules.ErrRevoked, asked: "revoked", want: rules.ErrRevoked, asks: true},
		"for a time, the button":             {timed: true, kind: button, asked: "revoked"},
		"for a time, unbidden":               {timed: true, kind: unbidden, asked: "revoked", want: confirm.ErrUnconfirmed},
		"once":                               {asked: "admit"},
		"once, used":                         {err: rules.ErrReplayed, asked: "admit", want: rules.ErrReplayed},
		"once, HEAD":                         {head: true, asked: "look"},
		"once, HEAD, used":                   {head: true, err: rules.ErrReplayed, asked: "look", want: rules.ErrReplayed},
		"once, HEAD, prefetched":             {head: true, more: "prefetch", asked: "look"},
		"once, prefetched":                   {more: "prefetch", want: errPrefetch},
		"once, early":                        {more: "early", want: errEarly},
		"once, the page":                     {kind: page, asked: "look", asks: true},
		"once, the page, prefetched":         {kind: page, more: "prefetch", want: errPrefetch, asks: true},
		"once, the page, used":               {kind: page, err: rules.ErrReplayed, asked: "look", want: rules.ErrReplayed, asks: true},
		"once, the page, it is open":         {kind: page, joins: true, use: open(), asked: "look, admit"},
		"once, the page, just ended":         {kind: page, joins: true, asked: "look, admit", want: confirm.ErrUnconfirmed},
		"once, the button":                   {kind: button, asked: "admit"},
		"once, unbidden":                     {kind: unbidden, asked: "look", want: confirm.ErrUnconfirmed},
		"once, unbidden, used":               {kind: unbidden, err: rules.ErrReplayed, asked: "look", want: rules.ErrReplayed},
		"once, unbidden, it is open":         {kind: unbidden, joins: true, use: open(), asked: "look, admit"},
		"once, unbidden, just ended":         {kind: unbidden, joins: true, asked: "look, admit", want: confirm.ErrUnconfirmed},
		"joined":                             {use: open(), asked: "admit"},
		"joined, its window has ended":       {use: &used{grant: &shared{terms: rules.Terms{Size: 10, Ends: time.Now().Add(-time.Second)}}}, asked: "admit", want: rules.ErrReplayed},
		"on request":                         {spend: "request", asked: "admit", commits: 1},
		"on request, HEAD":                   {spend: "request", head: true, asked: "look"},
		"on request, the page":               {spend: "request", kind: page, asked: "look", asks: true},
		"on request, unbidden":               {spend: "request", kind: unbidden, asked: "look", want: confirm.ErrUnconfirmed},
		"on request, the button":             {spend: "request", kind: button, asked: "admit", commits: 1},
		"on request, joined":                 {spend: "request", use: open(), asked: "admit"},
		"on request, and the store fails":    {spend: "request", use: &used{err: rules.ErrUnavailable}, asked: "admit", want: rules.ErrUnavailable, commits: 1},
		"on request, unbidden, a grant ends": {spend: "request", kind: unbidden, joins: true, asked: "look, admit", want: confirm.ErrUnconfirmed},
	} {
		t.Run(name, func(t *testing.T) {
			p := &patient{use: tt.use, err: tt.err, joins: tt.joins}
			h := &Handler{store: p, Confirm: new(Confirm)}
			if !tt.timed {
				h.OneTime = &OneTime{Spend: tt.spend, Resume: &Resume{Window: caddy.Duration(time.Hour)}}
			}
			h, _ = staged(t, h)
			r := get("/a?download_token=" + signed(t, nil))
			switch tt.kind {
			case page:
				r.Header.Set("Accept", navigation)
			case button, unbidden:
				r.Method = http.MethodPost
				if tt.kind == unbidden {
					r.Header.Set("Sec-Fetch-Site", "cross-site")
				}
			}
			if tt.head {
				r.Method = http.MethodHead
			}
			switch tt.more {
			case "prefetch":
				r.Header.Set("Sec-Purpose", "prefetch")
			case "early":
				r.Header.Set("Early-Data", "1")
			}
			v := visiting(h, httptest.NewRecorder(), r)
			err := v.receive()
			if err == nil {
				err = v.judge()
			}
			if err != nil {
				t.Fatal(err)
			}
			h.now = func() time.Time { return v.judged } // it did not wait
			if err := v.admit(); err != tt.want {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if got := joined(p.asked); got != tt.asked || v.asks != tt.asks {
				t.Errorf("the store is asked to %q, want %q; the page %v", got, tt.asked, v.asks)
			}
			if p.use != nil && len(p.use.committed) != tt.commits {
				t.Errorf("committed %d times", len(p.use.committed))
			}
			if p.holds != 1 {
				t.Errorf("held %d times", p.holds)
			}
			v.leave()
			if p.holds != 0 || p.use != nil && v.use != nil && p.use.released == 0 {
				t.Errorf("held %d times after it left, released %+v", p.holds, p.use)
			}
		})
	}
}

func joined(words []string) (all string) {
	for i, word := range words {
		if i > 0 {
			all += ", "
		}
		all += word
	}
	return all
}

// TestOneTimeDropsWhatCannotBeResumed: parts that do not belong together, and a part that
// would spend the whole.
func TestOneTimeDropsWhatCannotBeResumed(t *testing.T) {
	for name, tt := range map[string]struct {
		resume bool
		ranges []string
		kept   bool
	}{
		"once":           {false, []string{"bytes=0-9"}, false},
		"resumable":      {true, []string{"bytes=0-9"}, true},
		"several parts":  {true, []string{"bytes=0-1,4-"}, false},
		"several fields": {true, []string{"bytes=0-1", "bytes=4-"}, false},
		"no range":       {true, nil, true},
	} {
		header := http.Header{"Accept-Encoding": {"gzip"}, "If-Range": {`"e"`}, "Accept": {"*/*"}}
		want := http.Header{"Accept": {"*/*"}}
		if tt.ranges != nil {
			header["Range"] = tt.ranges
		}
		if tt.kept {
			want["If-Range"] = header["If-Range"]
			if tt.ranges != nil {
				want["Range"] = tt.ranges
			}
		}
		dropUnresumable(header, tt.resume)
		if len(header) != len(want) || !slices.Equal(header["Range"], want["Range"]) || !slices.Equal(header["If-Range"], want["If-Range"]) {
			t.Errorf("%s: %v, want %v", name, header, want)
		}
	}
}

// TestJudge: in which order a request that is wrong in several ways is refused, and for
// what alone.
func TestJudge(t *testing.T) {
	for name, tt := range map[string]struct {
		h       Handler
		method  string
		target  string // default: /a
		scopes  []scopes.Opening
		want    error
		methods string
	}{
		"right":                           {want: nil},
		"HEAD":                            {method: http.MethodHead, want: nil},
		"POST":                            {method: http.MethodPost, want: errMethod},
		"POST, with confirm":              {h: Handler{Confirm: new(Confirm)}, method: http.MethodPost, want: nil},
		"PUT, with confirm":               {h: Handler{Confirm: new(Confirm)}, method: http.MethodPut, want: errMethod},
		"CONNECT":                         {method: http.MethodConnect, want: errMethod},
		"OPTIONS":                         {method: http.MethodOptions, want: errMethod},
		"get in small letters":            {method: "get", want: errMethod},
		"the method comes before a path":  {method: http.MethodPut, target: "//a", want: errMethod},
		"a path":                          {target: "//a", want: scope.ErrPath},
		"the path comes before the scope": {target: "/a/../b", scopes: []scopes.Opening{scopes.Closed}, want: scope.ErrPath},
		"closed":                          {scopes: []scopes.Opening{scopes.Closed}, want: errScope},
		"closed, and open":                {scopes: []scopes.Opening{scopes.Closed, scopes.Open}},
		"open, and closed":                {scopes: []scopes.Opening{scopes.Open, scopes.Closed}},
		"a listing":                       {scopes: []scopes.Opening{scopes.ListingOnly, scopes.Closed}},
		"the scope comes before address":  {h: Handler{IPClaim: "none"}, scopes: []scopes.Opening{scopes.Closed}, want: errScope},
		"an address that is not there":    {h: Handler{IPClaim: "none"}, want: errClientIP},
	} {
		if tt.scopes != nil {
			for _, o := range tt.scopes {
				tt.h.scopes = append(tt.h.scopes, opening(o))
			}
		}
		h, _ := staged(t, &tt.h)
		r := get("/a?download_token=" + signed(t, nil))
		if tt.method != "" {
			r.Method = tt.method
		}
		if tt.target != "" {
			r.URL.Path = tt.target
		}
		v := visiting(h, httptest.NewRecorder(), r)
		if err := v.receive(); err != nil {
			t.Fatal(err)
		}
		if err := v.judge(); err != tt.want && (tt.want == nil || !isErr(err, tt.want)) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if tt.want == nil && tt.method == http.MethodPost && (v.r.Method != http.MethodGet || v.r.ContentLength != 0 || !v.confirmed) {
			t.Errorf("%s: the next handlers get a %s of %d bytes", name, v.r.Method, v.r.ContentLength)
		}
	}
}

func isErr(err, want error) bool { return err != nil && denialOf(err) == denialOf(want) }

// TestAdmitsClient: the client's address as the server knows it must be the one in the
// token, or lie in its range.
func TestAdmitsClient(t *testing.T) {
	for name, tt := range map[string]struct {
		claim  any
		client string
		want   bool
	}{
		"the same":                 {"192.0.2.7", "192.0.2.7", true},
		"another":                  {"192.0.2.7", "192.0.2.8", false},
		"in its range":             {"192.0.2.0/24", "192.0.2.8", true},
		"outside":                  {"192.0.2.0/24", "192.0.3.8", false},
		"a range of one":           {"192.0.2.8/32", "192.0.2.8", true},
		"bits behind the range":    {"192.0.2.9/24", "192.0.2.8", true},
		"IPv6":                     {"2001:db8::7", "2001:db8:0::7", true},
		"IPv6, in its range":       {"2001:db8::/64", "2001:db8::9:9", true},
		"IPv6, with a zone":        {"fe80::1", "fe80::1%eth0", true},
		"IPv4 in IPv6, the client": {"192.0.2.7", "::ffff:192.0.2.7", true},
		"IPv4 in IPv6, the claim":  {"::ffff:192.0.2.7", "192.0.2.7", true},
		"everything of IPv4":       {"0.0.0.0/0", "192.0.2.7", true},
		"the other family":         {"0.0.0.0/0", "2001:db8::7", false},
		"no claim":                 {nil, "192.0.2.7", false},
		"a number":                 {7, "192.0.2.7", false},
		"a list":                   {[]string{"192.0.2.7"}, "192.0.2.7", false},
		"no address":               {"somewhere", "192.0.2.7", false},
		"empty":                    {"", "192.0.2.7", false},
		"a client without one":     {"192.0.2.7", "", false},
		"with a port":              {"192.0.2.7:80", "192.0.2.7", false},
	} {
		h, _ := staged(t, &Handler{IPClaim: "ip"})
		v := visiting(h, httptest.NewRecorder(), get("/a?download_token="+signed(t, map[string]any{"ip": tt.claim})))
		caddyhttp.SetVar(v.r.Context(), caddyhttp.ClientIPVarKey, tt.client)
		if err := v.receive(); err != nil {
			t.Fatal(err)
		}
		err := v.judge()
		if (err == nil) != tt.want || err != nil && err != errClientIP {
			t.Errorf("%s: %v", name, err)
		}
	}
}
