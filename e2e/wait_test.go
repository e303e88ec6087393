package e2e

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestAMomentTooEarly: what is valid in a moment is waited for, and never
// honoured before its time.
func TestAMomentTooEarly(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "content of a"}, oneTime)
	ahead := func(d time.Duration, claim string) string {
		at := time.Now().Add(d)
		return mint(t, claims{"jti": rand.Text(), claim: float64(at.UnixMicro()) / 1e6})
	}
	for _, claim := range []string{"iat", "nbf"} {
		t.Run(claim, func(t *testing.T) {
			var wg sync.WaitGroup
			for range 40 { // 50 ms between the clocks, with a fraction
				wg.Go(func() {
					begun := time.Now()
					s.get("/a.txt?download_token="+ahead(50*time.Millisecond, claim)).wantBody(t, "content of a")
					if time.Since(begun) < 49*time.Millisecond {
						t.Error("honoured before its time")
					}
				})
			}
			wg.Wait()
		})
	}
}

// TestWhatChangedWhileARequestWaited: it is judged again before its first byte.
func TestWhatChangedWhileARequestWaited(t *testing.T) {
	// waiting begins a request that holds the token, and one that waits for it.
	t.Parallel()
	waiting := func(t *testing.T, s *server, link, fault string) (first, second chan answer) {
		first, second = make(chan answer, 1), make(chan answer, 1)
		go func() { first <- s.get(link, "Fault", fault) }()
		s.eventually(func() bool { return strings.Contains(s.stores(), `"reserved":1`) })
		go func() { second <- s.get(link) }()
		time.Sleep(50 * time.Millisecond) // it may also come later, and be judged as late
		return first, second
	}
	t.Run("it was revoked", func(t *testing.T) {
		s := startApart(t, map[string]string{"a.txt": "content of a"}, "", withFault)
		for try := 1; ; try++ {
			token := once(t)
			first, second := waiting(t, s, "/a.txt?download_token="+token, "stuck, then error")
			resp, err := http.Post("http://"+s.admin+"/download_token/revoke", "application/json", strings.NewReader(fmt.Sprintf(`{"token":%q}`, token)))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			s.goOn()
			waited := <-second
			<-first
			if waited.StatusCode == http.StatusServiceUnavailable && try < 5 { // on a busy machine it was revoked after two seconds
				wantProblem(t, waited, "in_use")
				continue
			}
			waited.want(t, http.StatusUnauthorized)
			s.wantLog("revoked")
			return
		}
	})
	t.Run("it expired", func(t *testing.T) {
		s := startApart(t, map[string]string{"a.txt": "content of a"}, "", withFault)
		soon := time.Now().Add(time.Second)
		token := mint(t, claims{"jti": "soon", "exp": float64(soon.UnixMilli()) / 1e3})
		first, second := waiting(t, s, "/a.txt?download_token="+token, "1500ms")
		wantProblem(t, (<-second).want(t, http.StatusUnauthorized), "expired")
		<-first
	})
	t.Run("the configuration was replaced", func(t *testing.T) {
		s := startApart(t, map[string]string{"a.txt": "content of a"}, "", withFault)
		first, second := waiting(t, s, "/a.txt?download_token="+once(t), "stuck, then error")
		go func() { // the old server waits for its requests, and the reload for the old server
			s.eventually(func() bool { return strings.Contains(s.logs(), "servers shutting down") })
			s.get("/a.txt?download_token="+mintWith(t, jwt.SigningMethodHS256, []byte(secret+"-another"), claims{"jti": "go on"}), "Fault", "go on")
		}()
		if err := s.reload(strings.Replace(withFault, secret, secret+"-another", 1)); err != nil {
			t.Fatal(err)
		}
		wantProblem(t, (<-second).want(t, http.StatusServiceUnavailable), "reloaded")
		<-first
		s.wantLog("reloaded")
	})
}

// TestTheBudgetDoesNotEndSilently: what cannot be sent whole is refused before
// its first byte; where a download breaks off, one line says so.
func TestTheBudgetDoesNotEndSilently(t *testing.T) {
	const size = 1 << 20
	s := start(t, map[string]string{"f.bin": random(t, size)}, resumable("1h 1"))
	query := "?download_token=" + once(t)
	for range 5 { // 5/4 of the file
		s.get("/f.bin"+query, "Range", "bytes=0-262143").want(t, http.StatusPartialContent)
	}
	refused := s.get("/f.bin"+query, "Range", "bytes=0-262143", "Accept", accepted).want(t, http.StatusUnauthorized)
	if !strings.Contains(refused.body, "As much has been downloaded with this link as it allows") {
		t.Error(refused.body)
	}
	s.wantLog("budget")

	t.Run("but is refused where nothing was sent", func(t *testing.T) {
		query := "?download_token=" + once(t)
		for range 4 {
			s.get("/f.bin"+query, "Range", "bytes=0-262143").want(t, http.StatusPartialContent)
		}
		s.get("/f.bin"+query).want(t, http.StatusUnauthorized)                              // a quarter is left
		s.get("/f.bin"+query, "Range", "bytes=0-262144").want(t, http.StatusUnauthorized)   // one byte too many
		s.get("/f.bin"+query, "Range", "bytes=1000000-").want(t, http.StatusPartialContent) // an end
		s.get("/f.bin"+query, "Range", "bytes=0-99999").want(t, http.StatusPartialContent)  // still
		if resp, err := client.Get(s.url + "/f.bin" + query); err != nil || resp.StatusCode != http.StatusUnauthorized {
			t.Error(resp, err)
		}
		if !strings.Contains(s.logs(), `"copies_sent":1`) {
			t.Error("no line says how much was sent")
		}
	})
	t.Run("and tells once that it broke off", func(t *testing.T) {
		query := "?download_token=" + once(t)
		cut := 0
		for range 3 { // open-ended, as players ask
			req, err := http.NewRequest(http.MethodGet, s.url+"/f.bin"+query, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Range", "bytes=0-")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if err != nil && n == size/4 {
				cut++
			}
		}
		if lines := strings.Count(s.logs(), "broken off"); cut != 1 || lines != 1 {
			t.Errorf("%d were cut, %d lines", cut, lines)
		}
	})
}
