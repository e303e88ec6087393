package e2e

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestParallelRequestsShareOneUse(t *testing.T) {
	const tokens, requests = 50, 200
	s := start(t, map[string]string{"a.txt": "content of a"}, oneTime)

	// Reloads go on until all requests are answered.
	stop, reloads := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				reloads <- n
				return
			default:
				if err := s.reload(fmt.Sprintf("header X-Reload %d\n%s", n, oneTime)); err != nil {
					t.Errorf("reload: %v", err)
				}
				n++
				time.Sleep(20 * time.Millisecond)
			}
		}
	}()

	var wg sync.WaitGroup
	var opened [tokens]atomic.Int32
	var others, resets atomic.Int32
	limit := make(chan struct{}, 64)
	for i := range tokens {
		link := s.url + "/a.txt?download_token=" + once(t)
		for range requests {
			wg.Add(1)
			limit <- struct{}{}
			go func() {
				defer wg.Done()
				defer func() { <-limit }()
				status, reset := fetch(link)
				resets.Add(reset)
				switch status {
				case http.StatusOK:
					opened[i].Add(1)
				case http.StatusUnauthorized, http.StatusServiceUnavailable: // used, in use, or reloaded meanwhile
				default:
					others.Add(1)
				}
			}()
		}
	}
	wg.Wait()
	close(stop)
	t.Logf("%d reloads meanwhile, %d connections reset by them", <-reloads, resets.Load())
	for i := range opened {
		if n := opened[i].Load(); n != 1 {
			t.Errorf("token %d opened the file %d times", i, n)
		}
	}
	if n := others.Load(); n > 0 {
		t.Errorf("%d answers of another kind", n)
	}
}

// fetch sends a GET until it is answered, and returns the status. When Caddy
// reloads, it closes listening sockets whose queue may hold connections that
// nobody has looked at yet; those are reset.
func fetch(link string) (status int, resets int32) {
	for ; resets < 100; resets++ {
		resp, err := client.Get(link)
		if err != nil {
			continue
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			return 0, resets // an answer that broke off is not one
		}
		return resp.StatusCode, resets
	}
	return 0, resets
}

func TestForgedTokenSpendsNothing(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, oneTime)
	token := mint(t, claims{"jti": "victim"})
	forged := mintWith(t, jwt.SigningMethodHS256, []byte("another key that is long enough for HS256"), claims{"jti": "victim"})
	s.get("/a.txt?download_token="+forged).want(t, http.StatusUnauthorized)
	expired := mint(t, claims{"jti": "victim", "exp": time.Now().Unix() - 10})
	s.get("/a.txt?download_token="+expired).want(t, http.StatusUnauthorized)
	s.get("/a.txt?download_token="+token).want(t, http.StatusOK)
}

func TestWhatSpendsAToken(t *testing.T) {
	files := map[string]string{"a.txt": "content of a", "empty.txt": "", "dir/index.html": "index"}
	s := start(t, files, oneTime)
	etag := s.get("/a.txt?download_token=" + once(t)).Header.Get("Etag")
	for name, send := range map[string]func(token string) answer{
		"HEAD": func(q string) answer { return s.do(http.MethodHead, "/a.txt"+q).want(t, http.StatusOK) },
		"404":  func(q string) answer { return s.get("/b.txt"+q).want(t, http.StatusNotFound) },
		"308":  func(q string) answer { return s.get("/dir"+q).want(t, http.StatusPermanentRedirect) },
		"304":  func(q string) answer { return s.get("/a.txt"+q, "If-None-Match", etag).want(t, http.StatusNotModified) },
		"412": func(q string) answer {
			return s.get("/a.txt"+q, "If-Match", `"x"`).want(t, http.StatusPreconditionFailed)
		},
		"POST":      func(q string) answer { return s.do(http.MethodPost, "/a.txt"+q).want(t, http.StatusMethodNotAllowed) },
		"bad path":  func(q string) answer { return s.raw("/x/../a.txt"+q).want(t, http.StatusBadRequest) },
		"ambiguous": func(q string) answer { return s.get("/a.txt"+q+"&"+q[1:]).want(t, http.StatusBadRequest) },
		"preflight": func(q string) answer {
			return s.do(http.MethodOptions, "/a.txt"+q, "Origin", "https://a.example", "Access-Control-Request-Method", "GET")
		},
	} {
		t.Run(name+" keeps it", func(t *testing.T) {
			s.t = t
			query := "?download_token=" + once(t)
			for range 3 {
				send(query)
			}
			s.get("/a.txt"+query).wantBody(t, "content of a")
		})
	}
	t.Run("Range is answered whole", func(t *testing.T) {
		s.t = t
		query := "?download_token=" + once(t)
		s.get("/a.txt"+query, "Range", "bytes=0-0").wantBody(t, "content of a")
		s.get("/a.txt"+query, "Range", "bytes=1-").want(t, http.StatusUnauthorized)
	})
	t.Run("an empty file spends it", func(t *testing.T) {
		s.t = t
		query := "?download_token=" + once(t)
		s.get("/empty.txt"+query).wantBody(t, "")
		s.get("/a.txt"+query).want(t, http.StatusUnauthorized)
	})
	t.Run("an index spends it", func(t *testing.T) {
		s.t = t
		query := "?download_token=" + once(t)
		s.get("/dir/"+query).wantBody(t, "index")
		s.get("/dir/"+query).want(t, http.StatusUnauthorized)
	})
}

func TestSpendRequestUsesAndPer(t *testing.T) {
	directive := func(options string) string {
		return `download_token {
		key HS256 "` + secret + `"
		scope any
		max_ttl 10m
		one_time {
			` + options + `
		}
	}
	file_server`
	}
	files := map[string]string{"a.txt": "a", "b.txt": "b"}
	t.Run("spend request", func(t *testing.T) {
		s := start(t, files, directive("spend request"))
		query := "?download_token=" + once(t)
		s.do(http.MethodHead, "/a.txt"+query).want(t, http.StatusOK)
		s.get("/missing.txt"+query).want(t, http.StatusNotFound)
		s.get("/a.txt"+query).want(t, http.StatusUnauthorized)
	})
	t.Run("uses 3", func(t *testing.T) {
		s := start(t, files, directive("uses 3"))
		query := "?download_token=" + once(t)
		for range 3 {
			s.get("/a.txt"+query).want(t, http.StatusOK)
		}
		s.get("/a.txt"+query).want(t, http.StatusUnauthorized)
	})
	t.Run("per path", func(t *testing.T) {
		s := start(t, files, directive("per path"))
		query := "?download_token=" + once(t)
		s.get("/a.txt"+query).want(t, http.StatusOK)
		s.get("/a.txt"+query).want(t, http.StatusUnauthorized)
		s.get("/b.txt"+query).want(t, http.StatusOK)
		// what was used under one rule is not unused under another
		if err := s.reload(directive("per token")); err != nil {
			t.Fatal(err)
		}
		s.get("/a.txt"+query).want(t, http.StatusUnauthorized)
		if err := s.reload(directive("per path")); err != nil {
			t.Fatal(err)
		}
		s.get("/b.txt"+query).want(t, http.StatusUnauthorized)
	})
	t.Run("per path, a folder and its index file", func(t *testing.T) {
		s := start(t, map[string]string{"d/index.html": "i", "d/home.htm": "h"}, directive("per path"))
		for _, order := range [][]string{{"/d/", "/d/index.html"}, {"/d/index.html", "/d/"}} {
			query := "?download_token=" + once(t)
			s.get(order[0]+query).wantBody(t, "i")
			s.get(order[1]+query).want(t, http.StatusUnauthorized)
			s.get("/d/home.htm"+query).wantBody(t, "h")
		}
		if err := s.reload(strings.Replace(directive("per path home.htm"), "file_server", "file_server {\nindex home.htm\n}", 1)); err != nil {
			t.Fatal(err)
		}
		query := "?download_token=" + mint(t, claims{"jti": rand.Text(), "exp": time.Now().Add(2 * time.Minute).Unix()})
		s.get("/d/"+query).wantBody(t, "h")
		s.get("/d/home.htm"+query).want(t, http.StatusUnauthorized)
		s.get("/d/index.html"+query).wantBody(t, "i")
	})
	t.Run("a name with a space and two names", func(t *testing.T) {
		named := func(names string) string {
			return strings.Replace(directive("uses 1"), "one_time", "one_time "+names, 1)
		}
		s := start(t, files, named(`"a b"`))
		query := "?download_token=" + mint(t, claims{"a b": rand.Text(), "a": rand.Text()})
		s.get("/a.txt"+query).want(t, http.StatusOK)
		if err := s.reload(named("a b")); err != nil {
			t.Fatal(err)
		}
		s.get("/a.txt"+query).want(t, http.StatusUnauthorized)
	})
}

func TestTwoIssuersDoNotCollide(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, `download_token {
		key HS256 "`+secret+`"
		key HS256 "another-planted-secret-0123456789-abcdefgh" {
			kid two
		}
		scope any
		max_ttl 10m
		one_time
	}
	file_server`)
	one := mint(t, claims{"jti": "same", "iss": "one"})
	two := mint(t, claims{"jti": "same", "iss": "two"})
	s.get("/a.txt?download_token="+one).want(t, http.StatusOK)
	s.get("/a.txt?download_token="+two).want(t, http.StatusOK)
	s.get("/a.txt?download_token="+two).want(t, http.StatusUnauthorized)
}

func TestTokensIssuedBeforeTheStartAreUnproven(t *testing.T) {
	before := once(t)
	s := start(t, map[string]string{"a.txt": "a"}, oneTime)
	wantProblem(t, s.get("/a.txt?download_token="+before).want(t, http.StatusUnauthorized), "unproven")
	s.wantLog("unproven")
}
