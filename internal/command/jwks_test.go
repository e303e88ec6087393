package command

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/internal/rehearsal"
)

// TestRehearsalWithJWKS: a key set in a file is read, one at an address is not.
func TestRehearsalWithJWKS(t *testing.T) {
	dir := t.TempDir()
	private, public := filepath.Join(dir, "private"), filepath.Join(dir, "public")
	mustExecute(t, "", "keygen", "ES256", "--jwk", "--kid", "2027", "--out", private, "--public", public)
	text := mustExecute(t, "", "mint", "--key", private)
	set := `{"keys":[` + readFile(t, public) + `]}`
	file := filepath.Join(dir, "set.json")
	if err := os.WriteFile(file, []byte(set), 0o600); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(set))
	}))
	defer origin.Close()
	rehearseWith := func(location string) *rehearsal.Rehearsal {
		config := writeConfig(t, site("\tdownload_token {\n\t\tjwks "+location+"\n\t\tscope any\n\t}\n\tfile_server"))
		r, err := inspectJSON(t, text, "--config", config, "--url", "http://a.example/f")
		if r == nil {
			t.Fatal(err)
		}
		return r
	}
	if r := rehearseWith(filepath.ToSlash(file)); r.Verdict != rehearsal.Passed {
		t.Errorf("file: %+v", r)
	}
	r := rehearseWith(origin.URL)
	if r.Verdict != rehearsal.Refused || r.Checks[0].Reason != "unknown_key" || !strings.Contains(r.Checks[0].Remedy, "not fetched here") {
		t.Errorf("address: %+v", r)
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the origin was asked %d times", n)
	}
}
