package e2e

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestASlowFormAndAReload: the configuration that runs when the form is whole has
// to judge it, not the one that was running when it began.
func TestASlowFormAndAReload(t *testing.T) {
	config := asking(oneTime, "")
	s := start(t, map[string]string{"a.txt": "content of a"}, config)
	r, w := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, s.url+"/a.txt?download_token="+once(t), r)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 7
	done := make(chan answer, 1)
	go func() {
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			close(done)
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		done <- answer{resp, string(body)}
	}()
	_, _ = io.WriteString(w, "press=")
	time.Sleep(100 * time.Millisecond) // for the server to read it
	go func() {
		// The old server waits for its requests, and the reload for the old server.
		for range 180 {
			if logged, _ := os.ReadFile(s.logFile()); strings.Contains(string(logged), "servers shutting down") {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		_, _ = io.WriteString(w, "x")
		w.Close()
	}()
	if err := s.reload(strings.Replace(config, secret, secret+"-another", 1)); err != nil {
		t.Fatal(err)
	}
	late, ok := <-done
	if ok {
		wantProblem(t, late.want(t, http.StatusServiceUnavailable), "reloaded")
	}
}
