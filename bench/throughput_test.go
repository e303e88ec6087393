// Package bench measures the whole way of a download against bare file_server,
// interleaved in one run because machines are noisy:
//
//	go test -run '^$' -bench . ./bench
package bench

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/golang-jwt/jwt/v5"

	_ "github.com/caddy-download-token/caddy-download-token"
)

const secret = "benchmark-secret-0123456789-abcdefghijklmnopqrst"

// sites are what is compared; the first is the measure.
var sites = []struct{ name, directive string }{
	{"bare", ""},
	{"time-limited", "scope any"},
	{"one-time", "scope any\n\t\tmax_ttl 1h\n\t\tone_time {\n\t\t\tspend response\n\t\t}"},
	{"resume", "scope any\n\t\tmax_ttl 1h\n\t\tstore two\n\t\tone_time {\n\t\t\tresume 1h 1\n\t\t}"},
}

// start serves root at one address a site.
func start(b *testing.B, root string) map[string]string {
	b.Helper()
	config := fmt.Sprintf("{\n\tadmin off\n\tpersist_config off\n\tstorage file_system %q\n\tlog {\n\t\toutput discard\n\t}\n"+
		"\tdownload_token {\n\t\tstore memory\n\t\tstore two memory\n\t}\n}\n", b.TempDir())
	urls := make(map[string]string)
	for _, site := range sites {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		urls[site.name] = "http://" + l.Addr().String()
		l.Close()
		directive := ""
		if site.directive != "" {
			directive = "download_token {\n\t\tkey HS256 " + secret + "\n\t\t" + site.directive + "\n\t}"
		}
		config += fmt.Sprintf("%s {\n\troot %q\n\t%s\n\tfile_server\n}\n", urls[site.name], root, directive)
	}
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := caddy.Load(adapted, true); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = caddy.Stop() })
	return urls
}

func link(b *testing.B, url, path string) string {
	b.Helper()
	now := time.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"jti": rand.Text(), "iat": float64(now.UnixMicro()) / 1e6, "exp": now.Add(time.Hour).Unix(),
	}).SignedString([]byte(secret))
	if err != nil {
		b.Fatal(err)
	}
	return url + path + "?download_token=" + token
}

// fetch downloads and returns how long it took. It reads from the bare
// connection, so that the client costs as little as it can.
func fetch(b *testing.B, client *http.Client, link string, size int64) time.Duration {
	b.Helper()
	began := time.Now()
	resp, err := client.Get(link)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 1<<20))
	if err != nil || n != size || resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: status %d, %d bytes, %v", link[:30], resp.StatusCode, n, err)
	}
	return time.Since(began)
}

// BenchmarkThroughput reports, for each site, the median time of a large
// download as a share of the bare one's: 1 is as fast, less is slower.
func BenchmarkThroughput(b *testing.B) {
	const size = 512 << 20
	compare(b, size, "/large.bin")
}

// BenchmarkSmall is the same for files that are nothing but overhead.
func BenchmarkSmall(b *testing.B) {
	compare(b, 4<<10, "/small.bin")
}

func compare(b *testing.B, size int64, path string) {
	root := b.TempDir()
	f, err := os.Create(filepath.Join(root, path))
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		b.Fatal(err)
	}
	f.Close()
	urls := start(b, root)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, ReadBufferSize: 1 << 20}}
	took := make(map[string][]time.Duration)
	for _, site := range sites { // warm up
		fetch(b, client, link(b, urls[site.name], path), size)
	}
	for b.Loop() {
		for _, site := range sites {
			l := link(b, urls[site.name], path)
			took[site.name] = append(took[site.name], fetch(b, client, l, size))
		}
	}
	median := func(name string) float64 {
		slices.Sort(took[name])
		return float64(took[name][len(took[name])/2])
	}
	for _, site := range sites[1:] {
		b.ReportMetric(median("bare")/median(site.name), site.name+"/bare")
	}
	b.ReportMetric(float64(size)/median("bare")*1e3, "bare-MB/s")
}

// BenchmarkManyFiles: the cost of a decision does not depend on how many files
// there are.
func BenchmarkManyFiles(b *testing.B) {
	for _, files := range []int{1, 100_000} {
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			root := b.TempDir()
			for i := range files {
				if err := os.WriteFile(filepath.Join(root, fmt.Sprint(i)), []byte("x"), 0o600); err != nil {
					b.Fatal(err)
				}
			}
			urls := start(b, root)
			client := &http.Client{}
			l := link(b, urls["time-limited"], "/0")
			for b.Loop() {
				fetch(b, client, l, 1)
			}
		})
	}
}
