package command

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/internal/rehearsal"
)

func init() {
	caddy.RegisterModule(tripwire{"http.handlers.tripwire"})
	caddy.RegisterModule(tripwire{"tripwire"})
	caddy.RegisterModule(tripwire{"caddy.storage.tripwire"})
	caddy.RegisterModule(tripwire{"caddy.logging.writers.tripwire"})
}

// tripped has the IDs of those that were provisioned.
var tripped []caddy.ModuleID

// tripwire is a module that must be left alone.
type tripwire struct{ id caddy.ModuleID }

func (m tripwire) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: m.id, New: func() caddy.Module { return &m }}
}

func (m *tripwire) Provision(caddy.Context) error {
	tripped = append(tripped, m.id)
	return nil
}

func (*tripwire) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error { return nil }

// TestRehearsalLeavesOthersAlone: of a configuration nothing is provisioned that
// the rehearsal does not need, not even handlers that the request comes to.
func TestRehearsalLeavesOthersAlone(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.json")
	err := os.WriteFile(config, []byte(`{
		"storage": {"module": "tripwire"},
		"logging": {"logs": {"default": {"writer": {"output": "tripwire"}}}},
		"apps": {
			"tripwire": {},
			"http": {"servers": {
				"a": {"listen": [":80"], "routes": [
					{"handle": [
						{"handler": "tripwire"},
						{"handler": "download_token", "key": [{"alg": "HS256", "key": "`+testSecret+`"}], "scope": [{"type": "any"}]},
						{"handler": "tripwire"}
					]}
				], "errors": {"routes": [{"handle": [{"handler": "tripwire"}]}]}}
			}}
		}
	}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	text := mustExecute(t, testSecret, "mint", "--key", "-")
	r, err := inspectJSON(t, text, "--config", config, "--url", "http://a.example/f")
	if err != nil || r.Verdict != rehearsal.Passed || len(r.Assumed) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if len(tripped) > 0 {
		t.Errorf("provisioned: %q", tripped)
	}
}
