package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestWhatNobodyAnswersSpendsNothing: without a file_server, Caddy answers with an
// empty 200, which is not a file.
func TestWhatNobodyAnswersSpendsNothing(t *testing.T) {
	for mode, config := range map[string]string{
		"one-time": oneTime, "resumable": resumable("1h"), "confirm": asking(oneTime, "always"), "time-limited": strings.Replace(oneTime, "one_time", "", 1),
	} {
		t.Run(mode, func(t *testing.T) {
			s := start(t, map[string]string{"a.txt": "content of a"}, strings.Replace(config, "file_server", "header X-Behind x", 1))
			failed := func() string {
				resp, err := http.Get("http://" + s.admin + "/metrics")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				all, _ := io.ReadAll(resp.Body)
				_, after, _ := strings.Cut(string(all), `caddy_download_token_requests_total{outcome="failed"} `)
				count, _, _ := strings.Cut(after, "\n")
				return count
			}
			link, before := "/a.txt?download_token="+once(t), failed()
			for i, method := range []string{http.MethodGet, http.MethodHead, http.MethodGet} {
				a := s.do(method, link).wantBody(t, "")
				if got := a.Header.Get("Cache-Control"); got != "no-store" {
					t.Errorf("Cache-Control %q", got)
				}
				if n := strings.Count(s.logs(), "no handler behind download_token has answered"); n != i+1 {
					t.Errorf("%d lines after %d requests", n, i+1)
				}
			}
			if after := failed(); after == before || after == "" {
				t.Errorf("failed is still %q", after)
			}
			if strings.Contains(s.logs(), "token spent") {
				t.Error("the token was spent")
			}
			if err := s.reload(oneTime); err != nil {
				t.Fatal(err)
			}
			s.get(link).wantBody(t, "content of a")
		})
	}
}

// TestWritesThatNothingTakes: without a handler that stores it, a file is not received, and
// its sender is told so, however the handler is missing.
func TestWritesThatNothingTakes(t *testing.T) {
	for name, behind := range map[string]string{
		"none": "", "for another path": "download_token_upload /srv/inbox", "in a handle": "handle {\n\t\theader X-Behind x\n\t}",
	} {
		t.Run(name, func(t *testing.T) {
			site, _, _ := strings.Cut(inbox, "download_token_upload")
			s := start(t, map[string]string{"alice/there.txt": ""}, site+behind)
			link := strings.Replace(strings.TrimPrefix(s.dropLink(t, "alice", nil), s.url), "/alice/", "/alice/new.txt", 1)
			s.send("PUT", link, "new").want(t, http.StatusNotImplemented)
			if logs := s.logs(); !strings.Contains(logs, "no handler behind it has answered a request that writes") {
				t.Error(logs)
			}
			s.send("PUT", link, "new").want(t, http.StatusUnauthorized) // what was on the way may have done something
		})
	}
}

// TestTheLogDoesNotCallASpentTokenKept: with spend request it is spent by the time at
// which nobody answers.
func TestTheLogDoesNotCallASpentTokenKept(t *testing.T) {
	config := strings.Replace(oneTime, "one_time", "one_time {\n\t\t\tspend request\n\t\t}", 1)
	s := start(t, nil, strings.Replace(config, "file_server", "header X-Behind x", 1))
	s.get("/a.txt?download_token="+once(t)).wantBody(t, "")
	if logs := s.logs(); !strings.Contains(logs, "token spent") || !strings.Contains(logs, "nothing to download") || strings.Contains(logs, "no token is spent") {
		t.Error(logs)
	}
}

// TestAcceptRanges: only what takes ranges says so.
func TestAcceptRanges(t *testing.T) {
	const hint = "one_time without resume"
	for mode, tt := range map[string]struct{ config, want string }{
		"one-time":      {oneTime, "none"},
		"spend request": {strings.Replace(oneTime, "one_time", "one_time {\n\t\t\tspend request\n\t\t}", 1), "none"},
		"resumable":     {resumable("1h"), "bytes"},
		"time-limited":  {strings.Replace(oneTime, "one_time", "", 1), "bytes"},
	} {
		t.Run(mode, func(t *testing.T) {
			s := start(t, map[string]string{"a.txt": "content of a"}, tt.config)
			link := "/a.txt?download_token=" + once(t)
			for _, method := range []string{http.MethodHead, http.MethodGet} {
				if got := s.do(method, link).want(t, http.StatusOK).Header.Get("Accept-Ranges"); got != tt.want {
					t.Errorf("%s: Accept-Ranges %q, want %q", method, got, tt.want)
				}
			}
			if got := s.get("/gone?download_token="+once(t)).want(t, http.StatusNotFound).Header.Get("Accept-Ranges"); got != "" {
				t.Errorf("404: Accept-Ranges %q", got)
			}
			if got := strings.Contains(s.logs(), hint); got != (tt.want == "none") {
				t.Errorf("hint at load: %v", got)
			}
		})
	}
}
