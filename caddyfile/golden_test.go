package caddyfile_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-download-token/caddy-download-token"
)

var update = flag.Bool("update", false, "write the files in testdata anew")

const separator = "----------\n"

// TestGolden reads each file of testdata: a Caddyfile, a line of dashes, and
// what becomes of it. For good_* that is the JSON, which must load as well; for
// bad_* the error.
func TestGolden(t *testing.T) {
	t.Setenv("DOWNLOAD_SECRET", "0123456789abcdef0123456789abcdef")
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TESTDATA", testdata)
	files, err := filepath.Glob(filepath.Join("testdata", "*.caddyfiletest"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddyfiletest")
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(content), separator)
			if strings.HasPrefix(name, "good_") && string(caddyfile.Format([]byte(input))) != input {
				t.Error("caddy fmt would change it")
			}
			got, failed := load(t, input)
			if failed != strings.HasPrefix(name, "bad_") {
				t.Fatalf("failed: %v; %s", failed, got)
			}
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// load adapts and validates a Caddyfile. It returns the JSON, or the error and
// true.
func load(t *testing.T, input string) (string, bool) {
	t.Helper()
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err.Error() + "\n", true
	}
	for _, w := range warnings {
		t.Errorf("warning: %v", w)
	}
	var config caddy.Config
	if err := caddy.StrictUnmarshalJSON(adapted, &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		text := err.Error()
		if i := strings.Index(text, "http.handlers.download_token"); i >= 0 {
			text = text[i:]
		}
		return text + "\n", true
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, adapted, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return pretty.String() + "\n", false
}

// TestEverySubdirectiveHasAGoodAndABadCase keeps the files complete.
func TestEverySubdirectiveHasAGoodAndABadCase(t *testing.T) {
	count := 0
	for file, of := range map[string]string{
		"directive.go":    "",
		"verification.go": "",
		"issuer.go":       "download_token_issuer_",
		"session.go":      "download_token_session_",
		"upload.go":       "download_token_upload_",
	} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, table, _ := strings.Cut(string(source), "ubdirectives = map[string]")
		table, _, _ = strings.Cut(table, "\n}\n")
		for _, line := range strings.Split(table, "\n") {
			name, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), `"`), `"`)
			if !ok || !strings.HasPrefix(strings.TrimSpace(line), `"`) {
				continue
			}
			count++
			for _, kind := range []string{"good_", "bad_"} {
				if found, _ := filepath.Glob(filepath.Join("testdata", kind+of+name+"*.caddyfiletest")); len(found) == 0 {
					t.Errorf("there is no testdata/%s%s%s*.caddyfiletest", kind, of, name)
				}
			}
		}
	}
	if count < 29 {
		t.Errorf("only %d subdirectives found: the table has another form", count)
	}
}
