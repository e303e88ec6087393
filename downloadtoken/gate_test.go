package downloadtoken

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
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
				h:     h,
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
