package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// retries are programs that try again, told to or by themselves; LINK stands for
// the link.
var retries = map[string][]string{
	"curl --retry":               {"curl", "-sf", "--retry", "5", "-o", "out", "LINK"},
	"wget --retry-on-http-error": {"wget", "-q", "-t5", "--retry-on-http-error=503", "-O", "out", "LINK"},
	"aria2c --retry-wait":        {"aria2c", "-q", "--no-conf", "--retry-wait=1", "-m5", "-o", "out", "LINK"},
	"lftp":                       {"lftp", "-c", "set net:reconnect-interval-base 1; get 'LINK' -o out"},
	"urllib3": {debianPython, "-c", `
import urllib3
with open("out", "wb") as out:
    out.write(urllib3.PoolManager().request("GET", "LINK").data)
`},
}

// TestRetries: a link that another request is trying to use is not lost for
// programs that try again. The other fails after longer than the server has others wait.
func TestRetries(t *testing.T) {
	t.Parallel()
	content := random(t, 10_000)
	s := startApart(t, map[string]string{"f.bin": content}, "", withFault)
	names := slices.Sorted(maps.Keys(retries))
	links, others := make(map[string]string), make(map[string]chan int)
	for i, name := range names {
		link, other := s.url+"/f.bin?download_token="+once(t), make(chan int, 1)
		links[name], others[name] = link, other
		go func() {
			req, err := http.NewRequest(http.MethodGet, link, nil)
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
		s.eventually(func() bool { return strings.Contains(s.stores(), fmt.Sprintf(`"reserved":%d`, i+1)) })
	}
	abreast(t, len(retries), names, func(t *testing.T, name string) {
		command := slices.Clone(retries[name])
		tool(t, command[0])
		if name == "urllib3" && exec.Command(debianPython, "-c", "import urllib3").Run() != nil {
			missing(t, "python3-urllib3 is not installed")
		}
		u := &usage{t: t, dir: t.TempDir(), link: links[name], content: content, patience: patience}
		for i := range command {
			command[i] = strings.ReplaceAll(command[i], "LINK", u.link)
		}
		if err := u.wants(command[0], command[1:]...); err != nil {
			t.Error(err)
		}
		if status := <-others[name]; status != http.StatusBadGateway {
			t.Errorf("the other request was answered with %d", status)
		}
	})
}
