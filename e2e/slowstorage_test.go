package e2e

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

func init() { caddy.RegisterModule(slowStorage{}) }

// slowStorage is Caddy's file storage, on a disk that can be made to hang.
type slowStorage struct {
	Root string `json:"root,omitempty"`
}

// slowMarks, if set, is waited for by whoever writes marks.
var slowMarks atomic.Pointer[chan struct{}]

// slowMarksWait counts how often it was waited for.
var slowMarksWait atomic.Int64

func (slowStorage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.test_slow", New: func() caddy.Module { return new(slowStorage) }}
}

func (s *slowStorage) CertMagicStorage() (certmagic.Storage, error) {
	return slowFiles{&certmagic.FileStorage{Path: s.Root}}, nil
}

type slowFiles struct{ *certmagic.FileStorage }

func (s slowFiles) Store(ctx context.Context, key string, value []byte) error {
	if wait := slowMarks.Load(); wait != nil && strings.HasSuffix(key, "/marks") {
		slowMarksWait.Add(1)
		<-*wait
	}
	return s.FileStorage.Store(ctx, key, value)
}

// outcomes reads the metric.
func (s *server) outcomes() map[string]float64 {
	s.t.Helper()
	resp, err := restlessly().Get("http://" + s.admin + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	counts := make(map[string]float64)
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		rest, ours := strings.CutPrefix(lines.Text(), `caddy_download_token_requests_total{outcome="`)
		outcome, value, _ := strings.Cut(rest, `"} `)
		if n, err := strconv.ParseFloat(value, 64); ours && err == nil {
			counts[outcome] = n
		}
	}
	return counts
}

// leave sends a request and goes away when ready returns.
func (s *server) leave(target string, ready func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	go func() { ready(); cancel() }()
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
		s.t.Fatalf("answered with %s", resp.Status)
	}
}
