package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The tests of this file are attacks that an earlier version fell for.

func TestIssuedInTheFutureWithLeeway(t *testing.T) {
	config := strings.Replace(oneTime, "one_time", "one_time\n\t\tleeway 30s", 1)
	s := start(t, map[string]string{"a.txt": "a"}, config)
	token := mint(t, claims{"jti": "j", "iat": time.Now().Unix() + 20, "exp": time.Now().Unix() + 60})
	s.get("/a.txt?download_token="+token).want(t, http.StatusUnauthorized)
}

func TestPreflightGivesNothingAway(t *testing.T) {
	s := start(t, map[string]string{"dir/a.txt": "planted-content", "a.txt": "planted-content"}, `header Access-Control-Allow-Origin https://app.example
	download_token {
		key HS256 "`+secret+`"
		scope any
	}
	handle /respond {
		respond "planted-content"
	}
	handle /method/* {
		method GET
		uri strip_prefix /method
		file_server
	}
	file_server browse`)
	var first http.Header
	for _, target := range []string{"/a.txt", "/missing.txt", "/dir/", "/dir", "/respond", "/method/a.txt"} {
		a := s.do(http.MethodOptions, target, "Origin", "https://app.example", "Access-Control-Request-Method", "GET")
		a.want(t, http.StatusNoContent)
		a.Header.Del("Date")
		if first == nil {
			first = a.Header
		} else if !reflect.DeepEqual(a.Header, first) {
			t.Errorf("%s is told from others: %v and %v", target, a.Header, first)
		}
		if a.body != "" || a.ContentLength > 0 || a.Header.Get("Etag") != "" || a.Header.Get("Content-Type") != "" {
			t.Errorf("%s: %q %v", target, a.body, a.Header)
		}
		if got := a.Header.Get("Access-Control-Allow-Origin"); got != "https://app.example" {
			t.Errorf("%s: Access-Control-Allow-Origin %q", target, got)
		}
	}
	s.do(http.MethodOptions, "/a.txt").want(t, http.StatusUnauthorized)
}

func TestAnUpstreamThatDiesBeforeItsFirstByteCostsNoToken(t *testing.T) {
	dying := true
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if dying {
			w.Header().Set("Content-Length", "10")
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "alive")
	}))
	defer upstream.Close()
	s := start(t, nil, strings.Replace(oneTime, "file_server",
		"reverse_proxy "+strings.TrimPrefix(upstream.URL, "http://")+" {\n\t\tflush_interval -1\n\t}", 1))
	query := "?download_token=" + once(t)
	req, err := http.NewRequest(http.MethodGet, s.url+"/x"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := client.Do(req); err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && resp.StatusCode == http.StatusOK {
			t.Fatal("a whole answer")
		}
	}
	dying = false
	s.get("/x"+query).wantBody(t, "alive")
	s.get("/x"+query).want(t, http.StatusUnauthorized)
}

func TestOriginalURIHasNoTokenWhenTheRequestWasCopied(t *testing.T) {
	auth := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer auth.Close()
	s := start(t, map[string]string{"a.txt": "a"}, "tracing\n\tforward_auth "+strings.TrimPrefix(auth.URL, "http://")+" {\n\t\turi /\n\t}\n"+oneTime+`
	handle_errors {
		respond "{http.request.orig_uri} {http.request.orig_uri.query} {uri} {query}"
	}`)
	token := mint(t, claims{"jti": "j", "exp": 1})
	a := s.get("/a.txt?x=1&download_token=" + token)
	if strings.Contains(a.body, "eyJ") {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
}

func TestAFailingReloadDoesNotShrinkTheStore(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, oneTime)
	kept := "?download_token=" + once(t)
	for range 5 {
		s.get("/a.txt?download_token="+mint(t, claims{"jti": time.Now().String(), "exp": time.Now().Unix() + 90})).want(t, http.StatusOK)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	globals := s.globals
	s.globals = "download_token {\n\t\tstore memory {\n\t\t\tcapacity 1\n\t\t}\n\t}"
	config := s.caddyfile(oneTime) + "\nhttp://" + taken.Addr().String() + " {\n\trespond x\n}\n"
	for range 4 {
		if err := s.post(s.adaptWhole(config)); err == nil {
			t.Fatal("a port that is taken was listened on")
		}
	}
	s.globals = globals
	s.get("/a.txt"+kept).want(t, http.StatusOK)
}

func TestHalfClosingClientGetsNoEmptyFile(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "content of a"}, withFault)
	for range 50 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "GET /a.txt?download_token=%s HTTP/1.1\r\nHost: %s\r\n\r\n", once(t), strings.TrimPrefix(s.url, "http://"))
		_ = conn.(*net.TCPConn).CloseWrite()
		all, _ := io.ReadAll(conn)
		conn.Close()
		if strings.HasPrefix(string(all), "HTTP/1.1 200") && !strings.HasSuffix(string(all), "content of a") {
			t.Fatalf("%q", all)
		}
	}
}

func TestPerPathCountsAFolderAndItsSlashOnce(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, strings.Replace(strings.Replace(oneTime, "one_time", "one_time {\n\t\t\tper path\n\t\t}", 1),
		"file_server", "file_server {\n\t\tdisable_canonical_uris\n\t}", 1))
	query := "?download_token=" + once(t)
	s.get("/a.txt"+query).want(t, http.StatusOK)
	s.get("/a.txt/"+query).want(t, http.StatusUnauthorized)
}

func TestAKeyDoesNotMoveToAnotherStoreWhileCaddyRuns(t *testing.T) {
	globals := "download_token {\n\t\tstore memory\n\t\tstore other memory\n\t}"
	s := startWith(t, map[string]string{"a.txt": "a"}, globals, oneTime)
	query := "?download_token=" + once(t)
	s.get("/a.txt"+query).want(t, http.StatusOK)
	err := s.reload(strings.Replace(oneTime, "one_time", "one_time\n\t\tstore other", 1))
	if err == nil || !strings.Contains(err.Error(), "restart Caddy to change to other") {
		t.Fatalf("%v", err)
	}
	s.get("/a.txt"+query).want(t, http.StatusUnauthorized)
}

func TestErrorRoutesThatOnlyPrepareDoNotAnswer(t *testing.T) {
	for name, route := range map[string]string{
		"a header": "header X y",
		"a root":   "root /srv\n\t\t@404 expression `{err.status_code} == 404`\n\t\thandle @404 {\n\t\t\trespond no\n\t\t}",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, nil, oneTime+"\n\thandle_errors {\n\t\t"+route+"\n\t}")
			wantProblem(t, s.get("/a.txt").want(t, http.StatusUnauthorized), "missing")
		})
	}
}

func TestHEADIsAnsweredLikeTheGETToCome(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 1<<8)
	s := start(t, map[string]string{"a.txt": large, "a.txt.gz": "gz"}, strings.Replace(oneTime, "file_server", "file_server {\n\t\tprecompressed gzip\n\t}", 1))
	query := "?download_token=" + once(t)
	head := s.do(http.MethodHead, "/a.txt"+query, "Accept-Encoding", "gzip", "Range", "bytes=0-1").want(t, http.StatusOK)
	get := s.get("/a.txt"+query, "Accept-Encoding", "gzip", "Range", "bytes=0-1").want(t, http.StatusOK)
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Accept-Ranges"} {
		if head.Header.Get(name) != get.Header.Get(name) {
			t.Errorf("%s: %q and %q", name, head.Header.Get(name), get.Header.Get(name))
		}
	}
}
