package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestOpeningTogether: requests that open a grant at the same time share it. One
// of them spends the token; the others wait for it and join.
func TestOpeningTogether(t *testing.T) {
	for _, tt := range []struct {
		links, requests int
		apart           time.Duration
		size            int
	}{
		{1000, 2, 500 * time.Microsecond, 2_000},
		{200, 8, 0, 200_000},
		{50, 8, 500 * time.Microsecond, 200_000},
	} {
		t.Run(fmt.Sprintf("%d times %d, %v apart", tt.links, tt.requests, tt.apart), func(t *testing.T) {
			content := random(t, tt.size)
			s := start(t, map[string]string{"f.bin": content}, resumable(fmt.Sprintf("1h %d", tt.requests)))
			statuses := make(map[int]int)
			for range tt.links {
				for status, n := range together(t, s.url+"/f.bin?download_token="+once(t), tt.requests, tt.apart, content) {
					statuses[status] += n
				}
			}
			if statuses[http.StatusOK] != tt.links*tt.requests {
				t.Errorf("statuses: %v", statuses)
			}
			if spent := strings.Count(s.logs(), "token spent"); spent != tt.links {
				t.Errorf("%d tokens were spent, of %d", spent, tt.links)
			}
		})
	}
}

// together sends GETs on connections of their own and counts the statuses.
func together(t testing.TB, link string, requests int, apart time.Duration, content string) map[int]int {
	t.Helper()
	statuses := make(map[int]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	for i := range requests {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for time.Since(began) < time.Duration(i)*apart { // more exact than a sleep
			}
			resp, err := client.Get(link)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode == http.StatusOK && string(body) != content {
				t.Errorf("status %d, %d bytes, %v", resp.StatusCode, len(body), err)
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[resp.StatusCode]++
		}()
	}
	wg.Wait()
	return statuses
}
