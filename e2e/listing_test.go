package e2e

import (
	"net/http"
	"strings"
	"testing"
)

const listingGuard = "download_token {\nkey HS256 \"" + secret + "\"\nscope path_permissions\n}\n"

// A token that may only list must get nothing but a listing, whatever stands
// between the directive and file_server.
func TestListingTokensOpenNothingButListings(t *testing.T) {
	files := map[string]string{"dir/index.html": "planted index", "list/a.txt": "planted a"}
	for name, behind := range map[string]string{
		"plain":     "file_server browse",
		"templates": "templates\nfile_server browse",
		"header":    "handle {\nheader -Etag\nheader -Accept-Ranges\nfile_server browse\n}",
		"respond":   "respond planted",
		"proxy":     "reverse_proxy " + echo(t),
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, files, listingGuard+behind)
			link := "?download_token=" + mint(t, claims{"access": access(entry("/dir", "This", []string{}, true), entry("/list", "This", []string{}, true))})
			if a := s.get("/dir/"+link).want(t, http.StatusForbidden); strings.Contains(a.body, "planted") {
				t.Errorf("body %q", a.body)
			}
			if strings.Contains(behind, "browse") {
				if a := s.get("/list/"+link).want(t, http.StatusOK); !strings.Contains(a.body, "a.txt") {
					t.Error("no listing")
				}
			}
		})
	}
}

// What reverse_proxy is not let out with is answered, not broken off.
func TestARewriteBeforeAProxyIsAnswered(t *testing.T) {
	s := start(t, nil, "download_token {\nkey HS256 \""+secret+"\"\nscope any\n}\nhandle {\nrewrite * /other\nreverse_proxy "+echo(t)+"\n}")
	s.get("/x?download_token="+mint(t, nil)).want(t, http.StatusInternalServerError)
}

// A preflight must not tell whether there is a file.
func TestPreflightsDoNotTellWhatIsThere(t *testing.T) {
	s := start(t, map[string]string{"dir/a.txt": "x"}, "download_token {\nkey HS256 \""+secret+"\"\nscope any\n}\nfile_server browse")
	ask := func(path string) string {
		a := s.do(http.MethodOptions, path, "Origin", "https://a.example", "Access-Control-Request-Method", "GET")
		a.Header.Del("Date")
		return strings.TrimSpace(a.Status) + strings.Join(a.Header.Values("Allow"), ",") + strings.Join(a.Header.Values("Vary"), ",")
	}
	for _, path := range []string{"/dir/a.txt", "/dir/", "/dir"} {
		if there, not := ask(path), ask("/none"); there != not {
			t.Errorf("%s: %q, but for what is not there %q", path, there, not)
		}
	}
}
