package e2e

import (
	"net/http"
	"testing"
	"time"
)

// retries are programs that try again, told to or by themselves.
var retries = map[string]func(u *usage) error{
	"curl --retry": func(u *usage) error {
		return u.wants(tool(u.t, "curl"), "-sf", "--retry", "5", "-o", "out", u.link)
	},
	"wget --retry-on-http-error": func(u *usage) error {
		return u.wants(tool(u.t, "wget"), "-q", "-t5", "--retry-on-http-error=503", "-O", "out", u.link)
	},
	"aria2c --retry-wait": func(u *usage) error {
		return u.wants(tool(u.t, "aria2c"), "-q", "--no-conf", "--retry-wait=1", "-m5", "-o", "out", u.link)
	},
	"lftp": func(u *usage) error {
		return u.wants(tool(u.t, "lftp"), "-c", "set net:reconnect-interval-base 1; get '"+u.link+"' -o out")
	},
	"urllib3": func(u *usage) error {
		return u.wants(python(u.t), "-c", `
import sys
try:
    import urllib3
except ImportError:
    sys.exit("urllib3 is not installed")
answer = urllib3.PoolManager().request("GET", sys.argv[1])
if answer.status == 200:
    open("out", "wb").write(answer.data)
`, u.link)
	},
}

// TestRetries: a link that another request is trying to use is not lost for
// programs that try again. The other fails after longer than anybody waits.
func TestRetries(t *testing.T) {
	content := random(t, 10_000)
	s := start(t, map[string]string{"f.bin": content}, withFault)
	names := make([]string, 0, len(retries))
	for name := range retries {
		names = append(names, name)
	}
	abreast(t, len(names), names, func(t *testing.T, name string) {
		u := &usage{t: t, dir: t.TempDir(), link: s.url + "/f.bin?download_token=" + once(t), content: content, patience: 20 * time.Second}
		other := make(chan int)
		go func() {
			req, err := http.NewRequest(http.MethodGet, u.link, nil)
			if err != nil {
				panic(err)
			}
			req.Header.Set("Fault", "3500ms")
			resp, err := client.Do(req)
			if err != nil {
				other <- 0
				return
			}
			resp.Body.Close()
			other <- resp.StatusCode
		}()
		defer func() {
			if status := <-other; status != http.StatusBadGateway {
				t.Errorf("the other request was answered with %d", status)
			}
		}()
		time.Sleep(200 * time.Millisecond)
		if err := retries[name](u); err != nil {
			t.Error(err)
		}
	})
}
