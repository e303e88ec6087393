package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// TestIssuerNeverExpands sends text that looks like placeholders wherever a
// request can put some.
func TestIssuerNeverExpands(t *testing.T) {
	const planted = "planted-environment-secret"
	t.Setenv("PLANTED", planted)
	s := start(t, nil, issuing(`claim sub {http.request.header.X}
			claim text "is {http.request.header.X}"
			claim list `+"`"+`[1.0, true, "{http.request.header.X}", {"{http.request.header.X}": "{http.request.uri.query.q}"}]`+"`"+`
			link https://files.example.com/?t={token}&x={http.request.header.X}&q={http.request.uri.query.q}
			user {http.auth.user.id}`))
	for _, attack := range []string{"{env.PLANTED}", "{http.request.header.Y}", "{token}", `\{env.PLANTED\}`, `","admin":true,"x":"`, "true", "42", `{"a":1}`, "null"} {
		t.Run(attack, func(t *testing.T) {
			s.t = t
			a := s.as("cube", http.MethodPost, "/tokens?q=%7Benv.PLANTED%7D", "X", attack, "Y", "{env.PLANTED}").want(t, http.StatusCreated)
			token := a.wantToken(t)
			payload := payloadOf(t, token.Token)
			text, err := json.Marshal(payload)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text)+a.body, planted) {
				t.Errorf("expanded: %s", text)
			}
			if payload["sub"] != attack || payload["text"] != "is "+attack || payload["admin"] != nil {
				t.Errorf("payload %s", text)
			}
			list := payload["list"].([]any)
			if list[0] != json.Number("1.0") || list[1] != true || list[2] != attack ||
				list[3].(map[string]any)["{http.request.header.X}"] != "{env.PLANTED}" {
				t.Errorf("list %v", list)
			}
			if strings.Count(token.Link, token.Token) != 1 || !strings.HasSuffix(token.Link, "&q=%7Benv.PLANTED%7D") {
				t.Errorf("link %s", token.Link)
			}
		})
	}
}

// TestIssuerKeepsSecrets looks for keys and tokens in the log and in the
// configuration that the admin API shows.
func TestIssuerKeepsSecrets(t *testing.T) {
	t.Setenv("SIGNING_SECRET", secret)
	t.Setenv("CLAIM", "planted-claim")
	body := strings.Replace(issuing("claim sub {env.CLAIM}\n\t\t\tone_time"), `"`+secret+`"`, "{env.SIGNING_SECRET}", 2)
	s := start(t, map[string]string{"a.txt": "a"}, body+`
	handle_errors {
		respond "{uri} {query} {err.message}"
	}`)
	token := s.as("cube", http.MethodPost, "/tokens").want(t, http.StatusCreated).wantToken(t)
	if payloadOf(t, token.Token)["sub"] != "planted-claim" {
		t.Error("the claim is not planted")
	}
	s.as("cube", http.MethodDelete, "/tokens?download_token="+token.Token).want(t, http.StatusNoContent)
	foreign := mintWith(t, jwt.SigningMethodHS256, []byte(strings.Repeat("y", 32)), claims{})
	for _, target := range []string{"/tokens?download_token=" + foreign, "/tokens?download_token=" + foreign + "&download_token=x"} {
		a := s.as("cube", http.MethodDelete, target)
		if strings.Contains(a.body, foreign) {
			t.Errorf("the error route shows the token: %q", a.body)
		}
	}
	config := run(t, "", tool(t, "curl"), "-s", "http://"+s.admin+"/config/")
	for _, planted := range []string{secret, token.Token, strings.Split(token.Token, ".")[2], foreign, "planted-claim"} {
		if strings.Contains(s.logs(), planted) {
			t.Errorf("%.20s is logged", planted)
		}
		if strings.Contains(config, planted) {
			t.Errorf("%.20s is in the configuration", planted)
		}
	}
}

// TestIssuerKeyErrors starts a real caddy with keys that must not be accepted, and
// reads everything that it prints.
func TestIssuerKeyErrors(t *testing.T) {
	path := caddyBinary(t)
	file := filepath.Join(t.TempDir(), "Caddyfile")
	write(t, file, ":0 {\n\tdownload_token_issuer {\n\t\tkey HS256 {env.PLANTED}\n\t\tttl 1m\n\t}\n}\n")
	cmd := exec.Command(path, "validate", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "PLANTED=planted-but-too-short")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "key: secret has only 21 bytes") || strings.Contains(string(out), "planted-but") {
		t.Errorf("%v: %s", err, out)
	}
}
