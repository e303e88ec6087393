package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// TestStatus: from the fingerprint in a log line or on a page to what became of the
// token, and to taking it back, in the shell.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{"a.txt": strings.Repeat("a", 1000)}, resumable("1h 1"))
	status := func(text string) (state string, told struct {
		State     string
		FirstSeen time.Time `json:"first_seen"`
		SpentAt   time.Time `json:"spent_at"`
		Grant     struct {
			Left int64 `json:"bytes_left"`
			Ends time.Time
		}
	}) {
		t.Helper()
		out := mustCommand(t, text, "status", "--address", s.admin, "--json", "-")
		if err := json.Unmarshal([]byte(out), &told); err != nil {
			t.Fatal(err)
		}
		return told.State, told
	}
	want := func(text, state string) {
		t.Helper()
		if got, told := status(text); got != state {
			t.Errorf("%s: %+v", state, told)
		}
	}
	text := once(t)
	if _, stderr, code := command(t, text, "status", "--address", s.admin, "-"); code != 1 || !strings.Contains(stderr, "was shown here lately") {
		t.Errorf("%d %s", code, stderr)
	}
	s.do(http.MethodHead, "/a.txt?download_token="+text).want(t, http.StatusOK)
	want(text, "unused")
	fingerprint := token.FingerprintOf(text).String()
	s.get("/a.txt?download_token="+text).want(t, http.StatusOK)
	if state, told := status(fingerprint); state != "open" || told.Grant.Left != 250 || told.Grant.Ends.IsZero() || told.SpentAt.Before(told.FirstSeen) {
		t.Errorf("%+v", told)
	}
	if out := mustCommand(t, "", "status", "--address", s.admin, fingerprint); !strings.Contains(out, "state       open\n") {
		t.Error(out)
	}
	for _, given := range []string{fingerprint, s.url + "/a.txt?download_token=" + text} {
		if out := mustCommand(t, "", "revoke", "--address", s.admin, given, "--for", "1d"); out != "Revoked." {
			t.Error(out)
		}
		want(text, "revoked")
		if out := mustCommand(t, "", "status", "--address", s.admin); !strings.Contains(out, "Store default\n") || !strings.Contains(out, "fingerprint  "+fingerprint) {
			t.Error(out)
		}
		if out := mustCommand(t, "", "revoke", "--address", s.admin, given, "--undo"); out != "Reinstated." {
			t.Error(out)
		}
		want(text, "open")
	}
	for _, message := range []string{"tokens revoked", "tokens reinstated"} {
		if n := strings.Count(s.logs(), `"msg":"`+message+`","by":"fingerprint","fingerprint":"`+fingerprint+`"`); n != 2 {
			t.Errorf("%s: %d lines", message, n)
		}
	}
	if _, stderr, code := command(t, "", "revoke", "--address", s.admin, fingerprint, "--undo"); code != 1 || !strings.Contains(stderr, "no such revocation") {
		t.Errorf("%d %s", code, stderr)
	}
	spent := mint(t, claims{"jti": "for somebody", "sub": "ada"})
	mustCommand(t, "", "revoke", "--address", s.admin, "--sub", "ada")
	s.get("/a.txt?download_token="+spent).want(t, http.StatusUnauthorized)
	mustCommand(t, "", "revoke", "--address", s.admin, "--sub", "ada", "--undo")
	s.get("/a.txt?download_token="+spent).want(t, http.StatusOK)
	direct := once(t)
	s.get("/a.txt?download_token="+direct).want(t, http.StatusOK)
	if _, told := status(direct); told.SpentAt.Before(told.FirstSeen) {
		t.Errorf("spent before it was seen: %+v", told)
	}
	for _, args := range [][]string{{}, {fingerprint, "--sub", "x"}, {"--issued-before", "yesterday"}, {"some text"}, {"--sub", "x", "--for", "soon"}} {
		if out, stderr, code := command(t, "", append([]string{"revoke", "--address", s.admin}, args...)...); code != 1 || out != "" || stderr == "" {
			t.Errorf("%q: %d %s%s", args, code, out, stderr)
		}
	}
}
