//go:build unix

package e2e

import (
	"bufio"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

var windowWaits = flag.Bool("window.waits", false, "wait 75 seconds, instead of setting the server's clock ahead")

// TestWindow: whoever has a part of a file can have the rest of it for as long as
// the window says. That everything has left the server, for the buffers of a
// kernel or a proxy, does not say that it has arrived.
func TestWindow(t *testing.T) {
	t.Parallel()
	files := map[string]string{"1.5MB": random(t, 1_500_000), "40MB": random(t, 40_000_000)}
	p := newSkewedProcess(t, files, strings.Replace(resumable("30m"), "max_ttl 10m", "max_ttl 2h", 1))
	p.start()
	places := map[string]string{"direct": p.url}
	if _, err := exec.LookPath("nginx"); err == nil {
		places["nginx"] = nginx(t, p.url)
	}
	type download struct {
		what, link, content string
		cut                 bool
		conn                net.Conn
	}
	var all []*download
	for place, base := range places {
		for name, content := range files {
			for _, cut := range []bool{true, false} {
				token := mint(t, claims{"jti": rand.Text(), "exp": time.Now().Add(time.Hour).Unix()})
				all = append(all, &download{
					what: fmt.Sprintf("%s, %s, cut %v", place, name, cut),
					link: base + "/" + name + "?download_token=" + token, content: content, cut: cut,
				})
			}
		}
	}
	const got = 64 << 10
	for _, d := range all {
		d.conn = readSome(t, d.link, d.content[:got])
		defer d.conn.Close()
	}
	time.Sleep(3 * time.Second) // for everything to leave that can
	for _, d := range all {
		if d.cut {
			d.conn.Close()
		}
	}
	time.Sleep(500 * time.Millisecond)
	began := time.Now()
	after := func(d time.Duration) {
		if *windowWaits && d < 2*time.Minute {
			time.Sleep(time.Until(began.Add(d)))
			return
		}
		p.setClock(d - time.Since(began))
	}
	continued := func(when string, missing func(d *download) int, want int) {
		var wg sync.WaitGroup
		for _, d := range all {
			wg.Add(1)
			go func() {
				defer wg.Done()
				req, err := http.NewRequest(http.MethodGet, d.link, nil)
				if err != nil {
					t.Error(err)
					return
				}
				from := len(d.content) - missing(d)
				req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
				resp, err := restless.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if resp.StatusCode != want {
					t.Errorf("%s, %s: status %d, want %d", d.what, when, resp.StatusCode, want)
				} else if want == http.StatusPartialContent && (err != nil || string(body) != d.content[from:]) {
					t.Errorf("%s, %s: %d bytes, %v", d.what, when, len(body), err)
				}
			}()
		}
		wg.Wait()
	}
	rest := func(d *download) int { return len(d.content) - got }
	end := func(*download) int { return 1000 }
	after(75 * time.Second)
	continued("after 75 seconds", rest, http.StatusPartialContent)
	after(29 * time.Minute)
	continued("after 29 minutes", end, http.StatusPartialContent)
	after(31 * time.Minute)
	continued("after 31 minutes", end, http.StatusUnauthorized)
	if len(places) < 2 {
		missing(t, "nginx is not installed")
	}
}

// readSome begins a download, reads what begins with want, and reads no more.
func readSome(t testing.TB, link, want string) net.Conn {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.RequestURI(), u.Host)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(resp.Body, got); err != nil || resp.StatusCode != http.StatusOK || string(got) != want {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return conn
}
