package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestIssuerRevokes(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, issuing("claim sub {http.auth.user.id}\n\t\t\tone_time")+`
	handle_path /api/* {
		download_token_issuer {
			key HS256 "`+secret+`"
			ttl 10m
			claim aud someone
			anonymous
		}
	}
	handle /broken* {
		download_token_issuer {
			key HS256 "`+secret+`"
			ttl 10m
			store nowhere
			anonymous
		}
	}`)
	mintFor := func(user string) issuedToken {
		s.t.Helper()
		return s.as(user, http.MethodPost, "/tokens").want(s.t, http.StatusCreated).wantToken(s.t)
	}
	file := func(i issuedToken) string { return "/a.txt?download_token=" + i.Token }

	t.Run("by the token, whoever holds it", func(t *testing.T) {
		s.t = t
		for _, name := range []string{"download_token", "token"} {
			token, kept := mintFor("cube"), mintFor("cube")
			s.as("chris", http.MethodDelete, "/tokens?"+name+"="+token.Token).want(t, http.StatusNoContent)
			wantProblem(t, s.get(file(token)).want(t, http.StatusUnauthorized), "invalid")
			s.get(file(kept)).want(t, http.StatusOK)
		}
	})
	t.Run("by Location, as the same user", func(t *testing.T) {
		s.t = t
		token := mintFor("cube")
		s.as("chris", http.MethodDelete, token.location).want(t, http.StatusNotFound)
		s.as("", http.MethodDelete, token.location).want(t, http.StatusUnauthorized)
		flipped := token.location[:len(token.location)-5] + flip(token.location[len(token.location)-5:])
		s.as("cube", http.MethodDelete, flipped).want(t, http.StatusNotFound)
		s.as("cube", http.MethodDelete, token.location).want(t, http.StatusNoContent)
		s.as("cube", http.MethodDelete, token.location).want(t, http.StatusNoContent)
		s.get(file(token)).want(t, http.StatusUnauthorized)
	})
	t.Run("what is revoked already is not written again", func(t *testing.T) {
		s.t = t
		token := mintFor("cube")
		s.as("cube", http.MethodDelete, token.location).want(t, http.StatusNoContent)
		s.as("cube", http.MethodDelete, "/tokens?download_token="+token.Token).want(t, http.StatusNoContent) // perhaps a second longer
		written := func() time.Time {
			files, err := filepath.Glob(filepath.Join(s.dir, "storage", "download_token", "*", "default", "revocations"))
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			info, err := os.Stat(files[0])
			if err != nil {
				t.Fatal(err)
			}
			return info.ModTime()
		}
		before := written()
		for range 3 {
			s.as("cube", http.MethodDelete, token.location).want(t, http.StatusNoContent)
			s.as("chris", http.MethodDelete, "/tokens?download_token="+token.Token).want(t, http.StatusNoContent)
		}
		if after := written(); !after.Equal(before) {
			t.Errorf("written at %v and %v", before, after)
		}
	})
	t.Run("a used token", func(t *testing.T) {
		s.t = t
		token := mintFor("cube")
		s.get(file(token)).want(t, http.StatusOK)
		s.as("cube", http.MethodDelete, token.location).want(t, http.StatusNoContent)
		s.as("cube", http.MethodDelete, "/tokens?download_token="+token.Token).want(t, http.StatusNoContent)
	})
	t.Run("tokens of others", func(t *testing.T) {
		s.t = t
		signedElsewhere := mintWith(t, jwt.SigningMethodHS256, []byte(strings.Repeat("y", 32)), claims{"sub": "cube"})
		s.as("cube", http.MethodDelete, "/tokens?download_token="+signedElsewhere).want(t, http.StatusNotFound)
		none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims{"exp": 9999999999}).SignedString(jwt.UnsafeAllowNoneSignatureType)
		if err != nil {
			t.Fatal(err)
		}
		s.as("cube", http.MethodDelete, "/tokens?download_token="+none).want(t, http.StatusNotFound)
		// with our key, whoever has signed it
		for _, c := range []claims{{"sub": "chris"}, {"exp": 1}, {"exp": time.Now().Unix() - 5}, {"aud": "x"}, {"nbf": time.Now().Unix() + 60}} {
			s.as("cube", http.MethodDelete, "/tokens?download_token="+mint(t, c)).want(t, http.StatusNoContent)
		}
	})
	t.Run("tokens of others who asked for the same", func(t *testing.T) {
		s.t = t
		seen := make(map[string]bool)
		for range 20 { // some within one second
			token := s.do(http.MethodPost, "/api/tokens/").want(t, http.StatusCreated).wantToken(t)
			if print := fingerprint(token.Token); seen[print] {
				t.Fatal("two users have the same token, and each can revoke it")
			} else {
				seen[print] = true
			}
		}
	})
	t.Run("behind handle_path, with an audience", func(t *testing.T) {
		s.t = t
		token := s.do(http.MethodPost, "/api/tokens/").want(t, http.StatusCreated).wantToken(t)
		if !strings.HasPrefix(token.location, "/api/tokens/") || !strings.HasSuffix(token.location, "/") {
			t.Fatalf("Location %s", token.location)
		}
		s.do(http.MethodDelete, token.location).want(t, http.StatusNoContent)
		s.do(http.MethodDelete, "/api/x?token="+token.Token).want(t, http.StatusNoContent)
	})
	t.Run("Location leads to no other host", func(t *testing.T) {
		s.t = t
		for _, target := range []string{"//evil.example/tokens", "/%5Cevil.example/tokens"} {
			a := s.do(http.MethodPost, "/api"+target).want(t, http.StatusCreated)
			location := a.Header.Get("Location")
			if strings.HasPrefix(location, "//") || strings.Contains(location, `\`) {
				t.Errorf("%s: Location %s", target, location)
			}
		}
	})
	t.Run("no such store", func(t *testing.T) {
		s.t = t
		token := s.do(http.MethodPost, "/broken").want(t, http.StatusCreated).wantToken(t)
		a := s.do(http.MethodDelete, token.location).want(t, http.StatusServiceUnavailable)
		wantProblem(t, a, "unavailable")
		if a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})
}
