//go:build unix

package e2e

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
)

// scrape is what Prometheus would read: each series with its value.
type scrape map[string]float64

const ours = "caddy_download_token_"

// scrape reads the metrics of this plugin.
func (p *process) scrape() (s scrape, names []string) {
	resp, err := restless.Get("http://" + p.admin + "/metrics")
	if err != nil {
		return nil, nil
	}
	defer resp.Body.Close()
	s = make(scrape)
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "# TYPE "+ours); ok {
			names = append(names, strings.Fields(name)[0])
		}
		if series, ok := strings.CutPrefix(lines.Text(), ours); ok {
			at := strings.LastIndex(series, " ")
			if s[series[:at]], err = strconv.ParseFloat(series[at+1:], 64); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	return s, names
}

// outcomes are those of requests that were counted.
func (s scrape) outcomes() map[string]float64 {
	counted := make(map[string]float64)
	for series, n := range s {
		if outcome, ok := strings.CutPrefix(series, `requests_total{outcome="`); ok && n != 0 {
			counted[strings.TrimSuffix(outcome, `"}`)] = n
		}
	}
	return counted
}

// observable is a site whose requests can end in any way, and what stands behind it.
type observable struct {
	*process
	keys, upstream *httptest.Server

	arrived chan struct{} // a request has come to the upstream, and waits
	goes    chan int      // with this status
	keysOff atomic.Bool

	bytes int // of files that were delivered, in an orderly way
}

// secretOf is a secret for one directive only.
func secretOf(name string) string { return name + secret }

func newObservable(t testing.TB) *observable {
	t.Helper()
	o := &observable{arrived: make(chan struct{}), goes: make(chan int)}
	key := newECKey(t, "k")
	o.keys = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if o.keysOff.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, `{"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "k", "x": %q, "y": %q}]}`, key.jwk["x"], key.jwk["y"])
	}))
	t.Cleanup(o.keys.Close)
	o.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case o.arrived <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		select {
		case status := <-o.goes:
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "upstream")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(o.upstream.Close)
	directive := func(name, lines string) string {
		return "download_token {\n key HS256 " + strconv.Quote(secretOf(name)) + "\n max_ttl 10m\n" + lines + "\n}\n"
	}
	body := ""
	for name, site := range map[string]string{
		"strict": directive("strict", `key HS256 "`+secretOf("two")+`" {
			kid two
			issuer https://two.example
		}
		issuer https://one.example https://two.example
		audience files
		header_typ dl+jwt
		require typ download
		ip_claim ip
		scope template folder:{name} /{name}/*
		one_time`) + "file_server",
		"plain": directive("plain", "scope any\njwks "+o.keys.URL+"/keys?secret=planted") + "file_server",
		"ask":   directive("ask", "scope any\nconfirm\ncache off\none_time {\nresume 1h 1\n}") + "file_server",
		"open":  directive("open", "scope any\noptional") + "file_server",
		"small": directive("small", "scope any\none_time\nstore small") + "file_server",
		"lost":  directive("lost", "scope any\none_time\nstore lost") + "file_server",
		"up":    directive("up", "scope any\none_time") + "reverse_proxy " + o.upstream.URL,
		"cdn":   directive("cdn", "profile rfc9246") + "file_server",
		"big":   directive("big", "scope any\none_time") + "file_server",
		"write": directive("write", "from query download_token\nfrom cookie token\nscope any {\nallow modify\n}\nmethods COPY") + "file_server",
		"other": directive("other", "scope any\none_time") + "rewrite * /plain/a.txt\nfile_server",
	} {
		body += "handle /" + name + "/* {\nroute {\n" + site + "\n}\n}\n"
	}
	o.process = newProcess(t, nil, body+`handle /tokens {
		download_token_issuer {
			key HS256 "`+secretOf("plain")+`"
			ttl 10m
			anonymous
		}
	}`)
	o.globals = "download_token {\nstore small memory {\ncapacity 1\n}\nstore lost memory\n}"
	for _, name := range []string{"strict", "plain", "ask", "open", "small", "lost", "other", "big"} {
		if err := os.MkdirAll(o.root+"/"+name, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(o.root+"/"+name+"/a.txt", []byte("content of a"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(o.root+"/big/b.bin", make([]byte, 16<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	return o
}

// ask sends a request with a token, and counts what a 2xx answer to GET delivers.
func (o *observable) ask(ctx context.Context, method, path, token string, header ...string) int {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(o.url+path+"?download_token="+token, "?download_token="), nil)
	if err != nil {
		o.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	response, err := o.do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode < 300 && !strings.Contains(string(body), "<form") {
		o.bytes += len(body)
	}
	return response.StatusCode
}

// token is a new one for the directive of a path.
func (o *observable) token(directive string, c claims) string {
	all := claims{"jti": rand.Text()}
	maps.Copy(all, c)
	return mintHeader(o.t, secretOf(directive), nil, all)
}

// spawned starts the program without sending the site a request.
func (o *observable) spawned() (s scrape, names []string) {
	o.t.Helper()
	o.spawn()
	eventually(o.t, func() bool {
		s, names = o.scrape()
		return len(s) > 0 && s[`jwks_last_success_timestamp_seconds{jwks="`+o.keys.URL+`/keys"}`] > 0 &&
			o.answers("http://"+o.admin+"/download_token/stores") == http.StatusOK
	})
	return s, names
}

// TestMetrics: a fresh start shows every documented metric, at zero; after a run that
// produces every outcome each has counted what happened, and a reload takes nothing away.
func TestMetrics(t *testing.T) {
	o := newObservable(t)
	fresh, names := o.spawned()
	var documented []string
	_, table, _ := strings.Cut(readText(t, "../docs/operations.md"), "\n## Metrics\n")
	table, _, _ = strings.Cut(table, "\nPreflights")
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-z_]+_[a-z_]+(?:\\{.*?\\})?`.*?) \\| [^|]*\\|$").FindAllStringSubmatch(table, -1) {
		for _, name := range regexp.MustCompile("`([a-z_]+)").FindAllStringSubmatch(row[1], -1) {
			documented = append(documented, name[1])
		}
	}
	slices.Sort(documented)
	if !slices.Equal(documented, names) {
		t.Errorf("operations.md has the metrics %q, a scrape has %q", documented, names)
	}
	outcomes := append(downloadtoken.Reasons(), "served", "spent", "asked", "passed", "not_found", "site_error", "failed")
	for _, outcome := range outcomes {
		if n, ok := fresh[`requests_total{outcome="`+outcome+`"}`]; !ok || n != 0 {
			t.Errorf("%s begins with %v, %v", outcome, n, ok)
		}
	}
	for _, store := range []string{"default", "small", "lost"} {
		for _, series := range []string{"store_errors_total{", "store_entries{", `store_evictions_total{live="true",`, `store_evictions_total{live="false",`} {
			if n, ok := fresh[series+`store="`+store+`"}`]; !ok || n != 0 {
				t.Errorf("%s of %s begins with %v, %v", series, store, n, ok)
			}
		}
	}
	for _, series := range []string{
		"issued_total", "delivered_bytes_total", "verified_cache_entries", "verified_cache_hits_total", "verified_cache_misses_total",
		`jwks_errors_total{jwks="` + o.keys.URL + `/keys"}`, `verify_duration_seconds_count{alg="HS256",cache="off"}`,
		`grants_open{store="default"}`, `uri_signing_total{code="000"}`, `uri_signing_total{code="200"}`, `uri_signing_total{code="411"}`, `store_duration_seconds_count{op="admit",store="default"}`, `store_duration_seconds_count{op="commit",store="lost"}`,
	} {
		if n, ok := fresh[series]; !ok || n != 0 {
			t.Errorf("%s begins with %v, %v", series, n, ok)
		}
	}

	want := o.everyOutcome()
	if len(want) != len(outcomes) {
		t.Errorf("%d outcomes are produced, of %d", len(want), len(outcomes))
	}
	var after scrape
	defer func() {
		if t.Failed() {
			t.Logf("outcomes %v\nwant %v\n%v bytes, want %d", after.outcomes(), want, after["delivered_bytes_total"], o.bytes)
		}
	}()
	eventually(t, func() bool { // a request ends after its answer
		after, _ = o.scrape()
		return maps.Equal(after.outcomes(), want) && after["delivered_bytes_total"] == float64(o.bytes)
	})
	for series, want := range map[string]float64{
		"issued_total":                  1,
		`store_capacity{store="small"}`: 1, `store_entries{store="small"}`: 1,
		`store_evictions_total{live="true",store="small"}`:        1,
		`store_errors_total{store="lost"}`:                        1,
		`store_errors_total{store="default"}`:                     0,
		`store_duration_seconds_count{op="admit",store="small"}`:  3,
		`store_duration_seconds_count{op="commit",store="small"}`: 2,
		`uri_signing_total{code="402"}`:                           1,
		"verified_cache_hits_total":                               1,
		`verify_duration_seconds_count{alg="HS256",cache="hit"}`:  1,
	} {
		if after[series] != want {
			t.Errorf("%s is %v, want %v", series, after[series], want)
		}
	}
	for _, series := range []string{`jwks_errors_total{jwks="` + o.keys.URL + `/keys"}`, "verified_cache_entries"} {
		if after[series] < 1 {
			t.Errorf("%s is %v", series, after[series])
		}
	}
}

// everyOutcome produces each outcome, and clients that go away, and says how often.
func (o *observable) everyOutcome() map[string]float64 {
	t, ctx := o.t, o.t.(*testing.T).Context()
	want := make(map[string]float64)
	before, _ := o.scrape()
	good := func() claims {
		return claims{"iss": "https://one.example", "aud": "files", "typ": "download", "ip": "127.0.0.0/8", "scope": "folder:strict", "jti": rand.Text()}
	}
	sign := func(header map[string]any, key, name string, value any) string {
		c, h := good(), map[string]any{"typ": "dl+jwt"}
		maps.Copy(h, header)
		if name != "" {
			c[name] = value
		}
		return mintHeader(t, secretOf(key), h, c)
	}
	now := time.Now().Unix()
	spent := sign(nil, "strict", "", nil)
	revoked := good()
	revoked["jti"] = "revoked"
	resp, err := restless.Post("http://"+o.admin+"/download_token/revoke", "application/json", strings.NewReader(`{"nonce": "revoked"}`))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(err)
	}
	resp.Body.Close()
	const file = "/strict/a.txt"
	for _, tt := range []struct {
		outcome, path, token string
		method               string
		header               []string
	}{
		{"spent", file, spent, "", nil},
		{"replayed", file, spent, "", nil},
		{"served", file, sign(nil, "strict", "", nil), http.MethodHead, nil},
		{"missing", file, "", "", nil},
		{"ambiguous", file, "a&download_token=b", "", nil},
		{"too_large", file, strings.Repeat("A", 9000), "", nil},
		{"malformed", file, "a.b", "", nil},
		{"critical", file, sign(map[string]any{"crit": []string{"exp"}}, "strict", "", nil), "", nil},
		{"unknown_key", file, sign(map[string]any{"kid": "three"}, "strict", "", nil), "", nil},
		{"algorithm", file, sign(map[string]any{"alg": "HS512"}, "strict", "", nil), "", nil},
		{"signature", file, sign(nil, "forged", "", nil), "", nil},
		{"claim", file, sign(nil, "strict", "typ", "access"), "", nil},
		{"expired", file, sign(nil, "strict", "exp", now-1), "", nil},
		{"not_yet_valid", file, sign(nil, "strict", "nbf", now+100), "", nil},
		{"issuer", file, sign(nil, "strict", "iss", "https://other.example"), "", nil},
		{"audience", file, sign(nil, "strict", "aud", "other"), "", nil},
		{"header_typ", file, sign(map[string]any{"typ": "JWT"}, "strict", "", nil), "", nil},
		{"too_long_lived", file, sign(nil, "strict", "exp", now+3600), "", nil},
		{"method", file, sign(nil, "strict", "", nil), http.MethodDelete, nil},
		{"cross_origin", "/write/a", "", "COPY", []string{"Cookie", "token=" + o.token("write", nil), "Sec-Fetch-Site", "cross-site"}},
		{"bad_request", "/write/a", o.token("write", nil), "COPY", []string{"Destination", "http://other.example/b"}},
		{"bad_path", "/strict/a%5Cb", sign(nil, "strict", "", nil), "", nil},
		{"scope", file, sign(nil, "strict", "scope", "folder:other"), "", nil},
		{"client_ip", file, sign(nil, "strict", "ip", "10.0.0.0/8"), "", nil},
		{"revoked", file, sign(nil, "strict", "jti", "revoked"), "", nil},
		{"prefetch", file, sign(nil, "strict", "", nil), "", []string{"Sec-Purpose", "prefetch"}},
		{"early_data", file, sign(nil, "strict", "", nil), "", []string{"Early-Data", "1"}},
		{"not_found", "/strict/gone", sign(nil, "strict", "", nil), "", nil},
		{"failed", "/other/a.txt", o.token("other", nil), "", nil},
		{"version", "/cdn/a.txt", "&URISigningPackage=" + o.token("cdn", claims{"cdniv": 2}), "", nil},
		{"subject", "/cdn/a.txt", "&URISigningPackage=" + o.token("cdn", claims{"sub": "in plain text"}), "", nil},
		{"renewal", "/cdn/a.txt", "&URISigningPackage=" + o.token("cdn", claims{"cdniets": 30}), "", nil},
		{"asked", "/ask/a.txt", o.token("ask", nil), "", []string{"Accept", "text/html"}},
		{"passed", "/open/gone", "", "", nil},
		{"unconfirmed", "/ask/a.txt", o.token("ask", nil), http.MethodPost, []string{"Sec-Fetch-Site", "cross-site"}},
	} {
		o.ask(ctx, tt.method, tt.path, tt.token, tt.header...)
		want[tt.outcome]++
		if got, _ := o.scrape(); got.outcomes()[tt.outcome]-before.outcomes()[tt.outcome] != want[tt.outcome] {
			t.Errorf("%s is counted as %v", tt.outcome, got.outcomes())
		}
	}
	if resp, err := restless.Post(o.url+"/tokens", "", nil); err != nil || resp.StatusCode != 201 || resp.Body.Close() != nil {
		t.Fatal(err)
	}

	plain := o.token("plain", nil)
	for range 2 {
		o.ask(ctx, "", "/plain/a.txt", plain)
		want["served"]++
	}
	o.keysOff.Store(true)
	o.ask(ctx, "", "/plain/a.txt", mintHeader(t, secret, map[string]any{"kid": "new"}, nil))
	want["unknown_key"]++

	once := o.token("ask", nil) // one copy, and a little more
	for _, outcome := range []string{"spent", "budget"} {
		o.ask(ctx, "", "/ask/a.txt", once)
		want[outcome]++
	}

	for _, tt := range []struct {
		expires int64
		outcome string
	}{{300, "spent"}, {400, "spent"}, {200, "unproven"}} {
		o.ask(ctx, "", "/small/a.txt", o.token("small", claims{"exp": now + tt.expires}))
		want[tt.outcome]++
	}

	o.waiting(want)

	if err := os.Rename(o.storage, o.storage+".gone"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.storage, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.ask(ctx, "", "/lost/a.txt", o.token("lost", nil))
	want["store_unavailable"]++
	return want
}

// waiting has requests wait for an upstream, for each other, and for nothing any more.
func (o *observable) waiting(want map[string]float64) {
	ctx := o.t.(*testing.T).Context()
	begin := func(ctx context.Context, token string) (answered chan int) {
		answered = make(chan int, 1)
		go func() { answered <- o.ask(ctx, "", "/up/a", token) }()
		return answered
	}
	token := o.token("up", nil)
	first := begin(ctx, token)
	<-o.arrived
	if status := o.ask(ctx, "", "/up/a", token); status != http.StatusServiceUnavailable {
		o.t.Errorf("status %d while the token is in use", status)
	}
	want["in_use"]++
	o.goes <- http.StatusInternalServerError
	<-first
	want["site_error"]++

	gone, leave := context.WithCancel(ctx)
	left := begin(gone, o.token("up", nil))
	<-o.arrived
	leave() // before the first byte: not counted
	<-left

	first = begin(ctx, token)
	<-o.arrived
	second := begin(ctx, token)
	time.Sleep(200 * time.Millisecond) // it may also come later, and be judged as late
	loaded := make(chan error)
	go func() { loaded <- o.load(o.body) }() // it waits for the requests of the old configuration
	eventually(o.t, func() bool { return strings.Contains(string(o.log()), "servers shutting down") })
	o.goes <- http.StatusNotFound
	<-first
	want["not_found"]++
	<-second
	want["reloaded"]++
	if err := <-loaded; err != nil {
		o.t.Fatal(err)
	}
	o.ask(ctx, "", "/plain/a.txt", o.token("plain", nil)) // remembered by the new configuration
	want["served"]++
}

const observability = "../example/observability"

// TestRules: promtool accepts the example's files, and its rules fire in its cases only.
func TestRules(t *testing.T) {
	promtool := tool(t, "promtool")
	run(t, "", promtool, "check", "config", observability+"/prometheus.yml")
	run(t, "", promtool, "check", "rules", observability+"/rules.yml")
	run(t, "", promtool, "test", "rules", observability+"/rules_test.yml")
}

// prometheus is one that scrapes a process each second, by the example's configuration.
type prometheus struct {
	t   testing.TB
	url string
}

func (o *observable) startPrometheus() *prometheus {
	t := o.t
	program := tool(t, "prometheus")
	address, dir := steadyAddress(t), t.TempDir()
	config := strings.NewReplacer("localhost:2019", o.admin, "15s", "1s").Replace(readText(t, observability+"/prometheus.yml"))
	for name, content := range map[string]string{"prometheus.yml": config, "rules.yml": readText(t, observability+"/rules.yml")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data",
		"--web.listen-address="+address, "--log.level=error")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	p := &prometheus{t, "http://" + address}
	eventually(t, func() bool { return o.answers(p.url+"/-/ready") == http.StatusOK })
	return p
}

// query is how many series an expression has at this moment.
func (p *prometheus) query(expression string) int {
	p.t.Helper()
	resp, err := restless.PostForm(p.url+"/api/v1/query", url.Values{"query": {expression}})
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []any }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Status != "success" {
		p.t.Fatalf("%s: %v %s", expression, err, answer.Error)
	}
	return len(answer.Data.Result)
}

// scraped waits for so many more scrapes.
func (p *prometheus) scraped(more string) {
	p.t.Helper()
	since := time.Now()
	eventually(p.t, func() bool {
		return p.query(fmt.Sprintf(`up == 1 and count_over_time(up[%ds]) > %s`, int(time.Since(since).Seconds())+1, more)) == 1
	})
}

// rules are the expressions of the alerts, by name, as Prometheus has read them.
func (p *prometheus) rules() map[string]string {
	p.t.Helper()
	resp, err := restless.Get(p.url + "/api/v1/rules")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Query string }
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Data.Groups) != 1 {
		p.t.Fatal(err, answer)
	}
	rules := make(map[string]string)
	for _, rule := range answer.Data.Groups[0].Rules {
		rules[rule.Name] = rule.Query
	}
	return rules
}

// TestDashboard: every query of the dashboard shows something for a real scrape, and the
// rules hold for what they name and for no client that went away.
func TestDashboard(t *testing.T) {
	o := newObservable(t)
	o.spawned()
	p := o.startPrometheus()
	rules := p.rules()
	if len(rules) < 9 {
		t.Errorf("%d rules", len(rules))
	}
	p.scraped("2")

	var leaving sync.WaitGroup
	for range 60 {
		ctx, leave := context.WithCancel(t.Context())
		token := o.token("up", nil)
		leaving.Go(func() { o.ask(ctx, "", "/up/a", token) })
		<-o.arrived
		leaving.Go(func() { o.ask(ctx, "", "/up/a", token) })
		time.Sleep(20 * time.Millisecond) // it waits for the first, if it has come by now
		leave()
		leaving.Wait()
	}
	for range 60 { // during the answer
		conn, err := net.Dial("tcp", strings.TrimPrefix(o.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /big/b.bin?download_token=%s HTTP/1.1\r\nHost: %s\r\n\r\n", o.token("big", nil), strings.TrimPrefix(o.url, "http://"))
		if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	eventually(t, func() bool { s, _ := o.scrape(); return s.outcomes()["spent"] == 60 })
	p.scraped("3")
	for name, expression := range rules {
		if n := p.query(expression); n != 0 {
			t.Errorf("%s holds after clients went away: %v", name, n)
		}
	}

	for range 60 {
		o.ask(t.Context(), "", "/plain/a.txt", o.token("forged", nil))
	}
	o.everyOutcome()
	for _, name := range []string{
		"DownloadTokenSignatureSpike", "DownloadTokenStoreNearlyFull", "DownloadTokenStoreForgets", "DownloadTokenStoreDown",
	} {
		eventually(t, func() bool { return p.query(rules[name]) > 0 })
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(readText(t, observability+"/dashboard.json")), &dashboard); err != nil || len(dashboard.Panels) < 10 {
		t.Fatal(err, dashboard)
	}
	shown := readText(t, observability+"/dashboard.json") + readText(t, observability+"/rules.yml")
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			if p.query(strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")) == 0 {
				t.Errorf("%s shows nothing: %s", panel.Title, target.Expr)
			}
		}
	}
	_, names := o.scrape()
	for _, name := range names {
		if !strings.Contains(shown, ours+name) {
			t.Errorf("neither dashboard nor rules have %s", name)
		}
	}
}

// TestMetricsOfWhatIsGone: after a reload, a scrape has nothing of the stores and sets of
// keys that are not used any more, and has forgotten no request.
func TestMetricsOfWhatIsGone(t *testing.T) {
	o := newObservable(t)
	o.spawned()
	o.ask(t.Context(), "", "/small/a.txt", o.token("small", nil))
	if err := o.load("download_token {\nkey HS256 " + strconv.Quote(secretOf("strict")) + "\nscope any\nmax_ttl 10m\none_time\n}"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { // the old one lets go after the new one is there
		s, _ := o.scrape()
		for series := range s {
			if strings.HasPrefix(series, "jwks_last") || strings.HasPrefix(series, "store_entries") && !strings.Contains(series, "default") {
				return false
			}
		}
		_, kept := s[`store_entries{store="default"}`]
		return kept && s.outcomes()["spent"] == 1
	})
}
