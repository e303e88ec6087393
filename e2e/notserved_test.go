package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestNotServed: what an accepted token gets if the site answers with an error, and
// what it leaves behind.
func TestNotServed(t *testing.T) {
	const noFile, failed = "There is no such file", "This did not work"
	for name, config := range map[string]string{"one time": withFault, "limited": strings.Replace(withFault, "\n\t\tone_time", "", 1), "confirm": asking(withFault, "")} {
		t.Run(name, func(t *testing.T) {
			s := start(t, map[string]string{"a.txt": "a"}, strings.Replace(config, "file_server", "error /gone 410\n\terror /forbidden 403\n\tfile_server", 1))
			for _, tt := range []struct {
				target, fault string
				status        int
				heading       string // empty: the answer is the site's own
			}{
				{"/none.txt", "", http.StatusNotFound, noFile},
				{"/gone", "", http.StatusGone, noFile},
				{"/forbidden", "", http.StatusForbidden, failed},
				{"/a.txt", "error", http.StatusBadGateway, failed},
				{"/a.txt", "404", http.StatusNotFound, ""},
				{"/a.txt", "500", http.StatusInternalServerError, ""},
			} {
				before := s.outcomes()
				lines := strings.Count(s.logs(), `"not served"`)
				link := tt.target + "?download_token=" + once(t)
				program := s.get(link, "Fault", tt.fault).want(t, tt.status)
				if program.body != "" {
					t.Errorf("%s %s: a program got %q", tt.target, tt.fault, program.body)
				}
				person := s.open(link, "Fault", tt.fault).want(t, tt.status)
				if tt.heading == "" && person.body != "" {
					t.Errorf("%s %s: %q", tt.target, tt.fault, person.body)
				}
				if tt.heading != "" {
					person.wantPage(t, tt.status, tt.heading)
					if strings.Contains(person.body, "still works") || strings.Contains(person.body, "eyJ") {
						t.Errorf("the page says too much: %s", person.body)
					}
				}
				s.do(http.MethodHead, link, "Accept", accepted, "Fault", tt.fault).want(t, tt.status)
				s.eventually(func() bool { return strings.Count(s.logs(), `"not served"`) == lines+3 })
				line := s.line("msg", "not served")
				if line["level"] != "info" || line["status"] != float64(tt.status) || line["path"] != tt.target ||
					line["fingerprint"] != fingerprint(link[strings.Index(link, "eyJ"):]) || line["client_ip"] != "127.0.0.1" {
					t.Errorf("logged: %v", line)
				}
				after, outcome := s.outcomes(), "site_error"
				if tt.status == http.StatusNotFound || tt.status == http.StatusGone {
					outcome = "not_found"
				}
				if after[outcome] != before[outcome]+3 || after["failed"] != before["failed"] || after["served"] != before["served"] {
					t.Errorf("%s %s: counted %v, then %v", tt.target, tt.fault, before, after)
				}
			}
			if name != "limited" { // nothing has gone out
				link := "/a.txt?download_token=" + once(t)
				s.get(link, "Fault", "header, then error").want(t, http.StatusBadGateway)
				s.open(link, "Fault", "header, then error").wantPage(t, http.StatusBadGateway, failed)
			}
			// ours
			before := s.outcomes()
			if name != "limited" {
				s.get("/a.txt?download_token="+once(t), "Fault", "announced body").want(t, http.StatusInternalServerError)
				if after := s.outcomes(); after["failed"] != before["failed"]+1 || after["site_error"] != before["site_error"] {
					t.Errorf("counted %v, then %v", before, after)
				}
			}
			// the link was not used up by all this
			link := "/a.txt?download_token=" + once(t)
			s.open(link, "Fault", "error").want(t, http.StatusBadGateway)
			s.get(link).wantBody(t, "a")
		})
	}
	t.Run("a site with an error route", func(t *testing.T) {
		s := start(t, nil, oneTime+"\n\thandle_errors 404 {\n\t\trespond \"mine {uri}\"\n\t}")
		if a := s.open("/none?download_token="+once(t)).want(t, http.StatusNotFound); a.body != "mine /none" {
			t.Errorf("body %q", a.body)
		}
		s.line("msg", "not served")
	})
	t.Run("a server error is still said", func(t *testing.T) {
		s := start(t, nil, strings.Replace(oneTime, "file_server", "reverse_proxy "+freeAddress(t), 1))
		s.open("/x?download_token="+once(t)).wantPage(t, http.StatusBadGateway, failed)
		if line := s.line("msg", "the site failed"); line["level"] != "error" || !strings.Contains(line["error"].(string), "connection refused") {
			t.Errorf("logged: %v", line)
		}
	})
	t.Run("an error that quotes a claim", func(t *testing.T) {
		s := start(t, nil, strings.Replace(oneTime, "file_server", "reverse_proxy {http.download_token.sub}.invalid:80", 1))
		s.open("/x?download_token="+mint(t, claims{"jti": "planted-nonce", "sub": "planted-subject"})).wantPage(t, http.StatusBadGateway, failed)
		line := s.line("msg", "the site failed")
		if text := line["error"].(string); strings.Contains(text, "planted") || !strings.Contains(text, "{http.download_token.sub}.invalid") {
			t.Errorf("logged: %v", line)
		}
	})
}

// TestUnprovenIsNotUsed: nobody is told of a use that nobody knows of.
func TestUnprovenIsNotUsed(t *testing.T) {
	before := once(t)
	s := start(t, map[string]string{"a.txt": "a"}, oneTime)
	target := "/a.txt?download_token=" + before
	a := s.get(target).want(t, http.StatusUnauthorized)
	wantProblem(t, a, "unproven")
	for _, a := range []answer{a, s.open(target).wantPage(t, http.StatusUnauthorized, "This link cannot be checked")} {
		if !strings.Contains(a.body, "The server no longer knows enough about this link to accept it. Ask for a new one where you got it.") || strings.Contains(a.body, "used") {
			t.Errorf("body %s", a.body)
		}
	}
}
