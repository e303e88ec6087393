package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestAGrantIsForOnePath: two folders behind handle_path have files of one name,
// and, as archives leave them, of one size and time, so of one entity tag. What one
// of them has opened must not open the other.
func TestAGrantIsForOnePath(t *testing.T) {
	site := func(options string) string {
		body := func(folder string) string {
			return "handle_path /" + folder + "/* {\n\troot {$ROOT}/" + folder + "\n\tdownload_token {\n\t\tkey HS256 \"" + secret + "\"\n\t\tscope any\n\t\tmax_ttl 10m\n\t\tpath_prefix /" +
				folder + "\n\t\t" + options + "\n\t}\n\tfile_server\n}\n"
		}
		return body("one") + body("two")
	}
	for name, options := range map[string]string{
		"resume": "one_time {\n\t\t\tresume 1h\n\t\t}",
		"press":  "confirm\n\t\tone_time",
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			t.Setenv("ROOT", root)
			for _, folder := range []string{"one", "two"} {
				file := filepath.Join(root, folder, "f.bin")
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte("content "+folder), 0o644); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(file, time.Unix(1_700_000_000, 0), time.Unix(1_700_000_000, 0)); err != nil {
					t.Fatal(err)
				}
			}
			s := start(t, nil, site(options))
			query := "/f.bin?download_token=" + once(t)
			if name == "resume" {
				s.get("/one"+query).wantBody(t, "content one")
				s.get("/two"+query).want(t, http.StatusUnauthorized)
				s.get("/one"+query).wantBody(t, "content one")
				return
			}
			page := s.open("/one" + query)
			s.pressed(page, "/one"+query).wantBody(t, "content one")
			s.pressed(page, "/two"+query).want(t, http.StatusUnauthorized)
			s.pressed(page, "/one"+query).wantBody(t, "content one")
		})
	}
}
