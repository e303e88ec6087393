package downloadtoken

import (
	"cmp"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// TestTerms: which grant an answer opens.
func TestTerms(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	key, press := rules.GrantKey{1}, rules.GrantKey{2}
	for name, tt := range map[string]struct {
		resume *Resume
		press  rules.GrantKey
		status int
		header http.Header
		want   *rules.Terms
	}{
		"nothing to resume": {status: 200, header: http.Header{"Etag": {`"e"`}, "Content-Length": {"10"}}},
		"resume": {
			resume: &Resume{Window: 60e9, Copies: 3}, status: 200, header: http.Header{"Etag": {`"e"`}, "Content-Length": {"10"}},
			want: &rules.Terms{Key: key, ETag: `"e"`, Size: 10, Copies: 3, Begins: now, Ends: now.Add(time.Minute)},
		},
		"no longer than the token lives": {
			resume: &Resume{Window: 3600e9, Copies: 2}, status: 206, header: http.Header{"Etag": {`"e"`}, "Content-Range": {"bytes 2-4/10"}},
			want: &rules.Terms{Key: key, ETag: `"e"`, Size: 10, Copies: 2, Begins: now, Ends: now.Add(10 * time.Minute)},
		},
		"longer than the token lives": {
			resume: &Resume{Window: 3600e9, Copies: 2, PastExp: true}, status: 200, header: http.Header{"Etag": {`"e"`}, "Content-Length": {"10"}},
			want: &rules.Terms{Key: key, ETag: `"e"`, Size: 10, Copies: 2, Begins: now, Ends: now.Add(time.Hour)},
		},
		"resume without an entity tag":  {resume: &Resume{Window: 60e9, Copies: 2}, status: 200, header: http.Header{"Content-Length": {"10"}}},
		"resume with a weak entity tag": {resume: &Resume{Window: 60e9, Copies: 2}, status: 200, header: http.Header{"Etag": {`W/"e"`}, "Content-Length": {"10"}}},
		"resume, unlike part":           {resume: &Resume{Window: 60e9, Copies: 2}, status: 206, header: http.Header{"Etag": {`"e"`}, "Content-Range": {"bytes 2-10/10"}}},
		"a press": {
			press: press, status: 200, header: http.Header{"Etag": {`"e"`}, "Content-Length": {"10"}},
			want: &rules.Terms{Key: press, ETag: `"e"`, Size: 10, Copies: 2, Begins: now, Ends: now.Add(10 * time.Second)},
		},
		"a press for what has no size": {
			press: press, status: 200, header: http.Header{"Etag": {`"e"`}},
			want: &rules.Terms{Key: press, Copies: 2, Begins: now, Ends: now.Add(10 * time.Second)},
		},
		"a press with resume": {
			resume: &Resume{Window: 60e9, Copies: 2}, press: press, status: 200, header: http.Header{"Etag": {`"e"`}, "Content-Length": {"10"}},
			want: &rules.Terms{Key: key, ETag: `"e"`, Size: 10, Copies: 2, Begins: now, Ends: now.Add(time.Minute)},
		},
		"a press with resume, for what cannot be resumed": {
			resume: &Resume{Window: 60e9, Copies: 2}, press: press, status: 200,
			want: &rules.Terms{Key: press, Copies: 2, Begins: now, Ends: now.Add(10 * time.Second)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := &Handler{oneTime: &oneTime{resume: tt.resume}, now: func() time.Time { return now }}
			v := &visit{
				h: h, oneTime: h.oneTime,
				token: &token.Token{Claims: token.Claims{ExpiresAt: now.Add(10 * time.Minute)}},
				keys:  grantKeys{resume: key, press: tt.press},
			}
			got := v.terms(tt.status, tt.header)
			if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestGate: what may go out, what it spends, and what it counts.
func TestGate(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	file := http.Header{"Etag": {`"e"`}, "Content-Length": {"10"}}
	part := func(span string) http.Header { return http.Header{"Etag": {`"e"`}, "Content-Range": {"bytes " + span}} }
	ofFile := rules.Terms{ETag: `"e"`, Size: 10, Copies: 2}
	resume := &Resume{Window: 60e9, Copies: 2}
	for name, tt := range map[string]struct {
		opening scopes.Opening
		oneTime *oneTime
		press   bool
		use     *used   // reserved
		grant   *shared // joined
		status  int
		header  http.Header
		asked   string // Range
		gone    bool   // the client

		want    error
		metered bool
		commits int
		drawn   int64
		release bool
	}{
		"a link for a time":              {status: 200, header: file},
		"only a listing, and a file":     {opening: scopes.ListingOnly, status: 200, header: file, want: errScope},
		"only a listing, not modified":   {opening: scopes.ListingOnly, status: 304, header: file, want: errScope},
		"only a listing, and a listing":  {opening: scopes.ListingOnly, status: 200, header: http.Header{"Vary": {"Accept, Accept-Encoding"}}},
		"only a listing, and an error":   {opening: scopes.ListingOnly, status: 404},
		"only a listing, once, a file":   {opening: scopes.ListingOnly, oneTime: new(oneTime), use: new(used), status: 200, header: file, want: errScope},
		"once":                           {oneTime: new(oneTime), use: new(used), status: 200, header: file, commits: 1, release: true},
		"once, nothing in it":            {oneTime: new(oneTime), use: new(used), status: 204, commits: 1, release: true},
		"once, not modified":             {oneTime: new(oneTime), use: new(used), status: 304, header: file},
		"once, a redirect":               {oneTime: new(oneTime), use: new(used), status: 308},
		"once, no file":                  {oneTime: new(oneTime), use: new(used), status: 404},
		"once, a part of a proxy":        {oneTime: new(oneTime), use: new(used), status: 206, header: part("0-4/10"), commits: 1, release: true},
		"once, the store fails":          {oneTime: new(oneTime), use: &used{err: rules.ErrUnavailable}, status: 200, header: file, want: rules.ErrUnavailable, commits: 1},
		"once, the client has gone":      {oneTime: new(oneTime), use: new(used), status: 200, header: file, gone: true, want: context.Canceled},
		"opens a grant":                  {oneTime: &oneTime{resume: resume}, use: &used{opens: new(shared)}, status: 200, header: file, commits: 1, metered: true},
		"opens a grant with a part":      {oneTime: &oneTime{resume: resume}, use: &used{opens: new(shared)}, status: 206, header: part("5-9/10"), commits: 1, metered: true},
		"no room for a grant":            {oneTime: &oneTime{resume: resume}, use: new(used), status: 200, header: file, commits: 1},
		"a part without a grant":         {oneTime: &oneTime{resume: resume}, use: new(used), status: 206, header: http.Header{"Content-Range": {"bytes 0-4/10"}}, want: response.ErrPartial},
		"a part without a grant, press":  {oneTime: &oneTime{resume: resume}, press: true, use: new(used), status: 206, header: http.Header{"Content-Range": {"bytes 0-4/10"}}, want: response.ErrPartial},
		"a whole without a grant":        {oneTime: &oneTime{resume: resume}, use: new(used), status: 200, header: http.Header{"Content-Length": {"10"}}, commits: 1, release: true},
		"a press":                        {oneTime: new(oneTime), press: true, use: &used{opens: new(shared)}, status: 200, header: file, commits: 1, metered: true},
		"a press, of unknown size":       {oneTime: new(oneTime), press: true, use: &used{opens: new(shared)}, status: 200, commits: 1},
		"joined":                         {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile, left: 22}, status: 200, header: file, metered: true, drawn: 10},
		"joined, a part":                 {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile, left: 22}, status: 206, header: part("5-9/10"), asked: "bytes=5-9", metered: true, drawn: 5},
		"joined, just enough":            {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile, left: 5}, status: 206, header: part("5-9/10"), asked: "bytes=5-9", metered: true, drawn: 5},
		"joined, not enough":             {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile, left: 4}, status: 206, header: part("5-9/10"), asked: "bytes=5-9", want: rules.ErrBudget},
		"joined, not enough for it all":  {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile, left: 4}, status: 200, header: file, want: rules.ErrBudget},
		"joined, not enough, to its end": {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile, left: 4}, status: 206, header: part("5-9/10"), asked: "bytes=5-", metered: true, drawn: 4},
		"joined, nothing left":           {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile}, status: 206, header: part("5-9/10"), asked: "bytes=5-", want: rules.ErrBudget},
		"joined, the store fails":        {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile, left: 22, err: rules.ErrUnavailable}, status: 200, header: file, want: rules.ErrUnavailable, drawn: 10},
		"joined, another file":           {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile, left: 22}, status: 200, header: http.Header{"Etag": {`"f"`}, "Content-Length": {"10"}}, want: rules.ErrReplayed},
		"joined, another size":           {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile, left: 22}, status: 200, header: http.Header{"Etag": {`"e"`}, "Content-Length": {"11"}}, want: rules.ErrReplayed},
		"joined, a part of another size": {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile, left: 22}, status: 206, header: part("5-9/11"), want: rules.ErrReplayed},
		"joined, a weak entity tag":      {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile, left: 22}, status: 200, header: http.Header{"Etag": {`W/"e"`}, "Content-Length": {"10"}}, want: rules.ErrReplayed},
		"joined, nothing in it":          {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile, left: 22}, status: 204, want: rules.ErrReplayed},
		"joined, not modified":           {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile}, status: 304, header: file},
		"joined, no file":                {oneTime: &oneTime{resume: resume}, use: new(used), grant: &shared{terms: ofFile}, status: 404},
		"joined, of unknown size":        {oneTime: new(oneTime), use: new(used), grant: &shared{terms: rules.Terms{Copies: 2}, left: 1}, status: 200, header: file},
	} {
		t.Run(name, func(t *testing.T) {
			h, logs := staged(t, &Handler{now: func() time.Time { return now }})
			h.oneTime = tt.oneTime
			v := visiting(h, nil, get("/a"))
			v.token = &token.Token{Claims: token.Claims{ExpiresAt: now.Add(time.Hour)}}
			v.opening = cmp.Or(tt.opening, scopes.Open)
			if tt.oneTime != nil {
				v.keys.resume = rules.GrantKey{1}
			}
			if tt.press {
				v.keys.press = rules.GrantKey{2}
			}
			if tt.use != nil {
				v.use = tt.use
			}
			if tt.grant != nil {
				v.grant = tt.grant
			}
			if tt.asked != "" {
				v.r.Header.Set("Range", tt.asked)
			}
			if tt.gone {
				ctx, cancel := context.WithCancel(v.r.Context())
				cancel()
				v.r = v.r.WithContext(ctx)
			}
			meter, err := gate{v}.Admit(tt.status, tt.header)
			if err != tt.want || (meter != nil) != tt.metered {
				t.Errorf("%v, metered %v", err, meter != nil)
			}
			if tt.use != nil && (len(tt.use.committed) != tt.commits || tt.use.released > 0 != tt.release) {
				t.Errorf("committed %d times, released %d times", len(tt.use.committed), tt.use.released)
			}
			if spent := logs.FilterMessage("token spent").Len(); spent > 1 || spent == 1 != (tt.commits == 1 && tt.want == nil) || v.spent != (spent == 1) {
				t.Errorf("told %d times that it was spent", spent)
			}
			if tt.grant != nil && tt.grant.drawn != tt.drawn {
				t.Errorf("%d bytes were drawn", tt.grant.drawn)
			}
		})
	}
}

// TestGateOfWhatWasSpentOnRequest: the answer opens the grant, and spends nothing more.
func TestGateOfWhatWasSpentOnRequest(t *testing.T) {
	for name, tt := range map[string]struct {
		resume  *Resume
		commits int
	}{"once": {nil, 1}, "resumable": {&Resume{Window: 60e9, Copies: 2}, 2}} {
		h, logs := staged(t, new(Handler))
		h.oneTime = &oneTime{resume: tt.resume, onRequest: true}
		v := visiting(h, nil, get("/a"))
		u := &used{opens: new(shared)}
		v.token, v.opening, v.use, v.keys.resume = new(token.Token), scopes.Open, u, rules.GrantKey{1}
		if err := v.commit(nil); err != nil {
			t.Fatal(err)
		}
		meter, err := gate{v}.Admit(200, http.Header{"Etag": {`"e"`}, "Content-Length": {"10"}})
		if err != nil || (meter != nil) != (tt.resume != nil) || len(u.committed) != tt.commits || logs.FilterMessage("token spent").Len() != 1 {
			t.Errorf("%s: %v, metered %v, committed %d times, %d lines", name, err, meter != nil, len(u.committed), logs.Len())
		}
	}
}
