package e2e

import (
	"net/http"
	"testing"
	"time"
)

func TestOneTimeTokenOpensAFileOnce(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "content of a"}, oneTime)
	token := once(t)
	s.get("/a.txt?download_token="+token).wantBody(t, "content of a")
	again := s.get("/a.txt?download_token="+token).want(t, http.StatusUnauthorized)
	if got := again.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	s.get("/a.txt").want(t, http.StatusUnauthorized)
}

func TestTimeLimitedTokenOpensAFileAgainAndAgain(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "content of a"}, `download_token {
		key HS256 "`+secret+`"
		scope any
	}
	file_server`)
	token := mint(t, nil)
	for range 3 {
		s.get("/a.txt?download_token="+token).wantBody(t, "content of a")
	}
	s.get("/a.txt?download_token="+mint(t, claims{"exp": time.Now().Unix() - 1})).want(t, http.StatusUnauthorized)
}
