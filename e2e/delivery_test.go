package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// withFault is oneTime with the fault handler before file_server.
var withFault = strings.Replace(oneTime, "file_server", "fault off\n\tfile_server", 1)

func TestFailedDeliveriesKeepTheToken(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "content of a"}, withFault)
	for fault, status := range map[string]int{
		"error":              http.StatusBadGateway,
		"header, then error": http.StatusBadGateway,
		"announced body":     http.StatusInternalServerError,
		"read error":         http.StatusInternalServerError,
		"empty write":        http.StatusBadGateway,
		"flush, then error":  http.StatusBadGateway,
		"panic":              0,
		"header, then panic": 0,
		"404":                http.StatusNotFound,
		"500":                http.StatusInternalServerError,
		"302":                http.StatusFound,
		"nothing":            http.StatusOK,
		"hijack":             http.StatusBadGateway,
		"101":                http.StatusBadGateway,
	} {
		t.Run(fault, func(t *testing.T) {
			s.t = t
			query := "?download_token=" + once(t)
			for range 2 {
				if status == 0 {
					s.wantNoAnswer("/a.txt"+query, fault)
				} else if a := s.get("/a.txt"+query, "Fault", fault).want(t, status); a.ContentLength > 0 {
					t.Errorf("a body of %d bytes: %q", a.ContentLength, a.body)
				}
			}
			s.get("/a.txt"+query).wantBody(t, "content of a")
			s.get("/a.txt"+query).want(t, http.StatusUnauthorized)
		})
	}
}

// wantNoAnswer sends a request whose connection is to be closed by a panic.
func (s *server) wantNoAnswer(target, fault string) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Fault", fault)
	resp, err := client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		s.t.Errorf("%s: status %d", fault, resp.StatusCode)
	}
}

func TestDeliveriesThatSpendTheToken(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "content of a"}, withFault)
	for fault, status := range map[string]int{
		"204": http.StatusNoContent, "200": http.StatusOK, "empty answer": http.StatusOK, "byte, then panic": 0,
	} {
		t.Run(fault, func(t *testing.T) {
			s.t = t
			query := "?download_token=" + once(t)
			if status == 0 {
				s.wantNoAnswer("/a.txt"+query, fault)
			} else {
				s.get("/a.txt"+query, "Fault", fault).want(t, status)
			}
			s.get("/a.txt"+query).want(t, http.StatusUnauthorized)
		})
	}
}

func TestEarlyHintsPassAndSpendNothing(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "content of a"}, withFault)
	query := "?download_token=" + once(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /a.txt%s HTTP/1.1\r\nHost: %s\r\nFault: early hints\r\nConnection: close\r\n\r\n",
		query, strings.TrimPrefix(s.url, "http://"))
	all, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(all); !strings.HasPrefix(got, "HTTP/1.1 103 ") || !strings.Contains(got, "rel=preload") || !strings.Contains(got, "HTTP/1.1 502 ") {
		t.Fatalf("answer %q", got)
	}
	s.get("/a.txt"+query).wantBody(t, "content of a")
}

func TestAClientThatGoesAwayKeepsItsToken(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "content of a"}, withFault)
	query := "?download_token=" + once(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/a.txt"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Fault", "wait for the client to go")
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
		t.Fatal("answered")
	}
	s.eventually(func() bool { return s.get("/a.txt"+query).StatusCode == http.StatusOK })
}

// stores is what the admin API says of the stores.
func (s *server) stores() string {
	s.t.Helper()
	resp, err := http.Get("http://" + s.admin + "/download_token/stores")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

func TestASecondRequestWaitsForTheFirstByte(t *testing.T) {
	t.Parallel()
	s := startApart(t, map[string]string{"a.txt": "content of a"}, "", withFault)
	begin := func(query, fault string) chan answer {
		first := make(chan answer, 1)
		go func() { first <- s.get("/a.txt"+query, "Fault", fault) }()
		s.eventually(func() bool { return strings.Contains(s.stores(), `"reserved":1`) })
		return first
	}
	t.Run("and is told that the token was used", func(t *testing.T) {
		query := "?download_token=" + once(t)
		first, second := begin(query, "stuck"), make(chan answer, 1)
		go func() { second <- s.get("/a.txt" + query) }()
		s.goOn()
		wantProblem(t, (<-second).want(t, http.StatusUnauthorized), "used")
		(<-first).wantBody(t, "stuck")
	})
	t.Run("and gets what the first gave back", func(t *testing.T) {
		query := "?download_token=" + once(t)
		first, second := begin(query, "stuck, then error"), make(chan answer, 1)
		go func() { second <- s.get("/a.txt" + query) }()
		s.goOn()
		(<-second).wantBody(t, "content of a")
		(<-first).want(t, http.StatusBadGateway)
	})
	t.Run("for two seconds", func(t *testing.T) {
		query := "?download_token=" + once(t)
		first := begin(query, "stuck")
		second := s.get("/a.txt"+query).want(t, http.StatusServiceUnavailable)
		wantProblem(t, second, "in_use")
		if got := second.Header.Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After %q", got)
		}
		s.goOn()
		(<-first).wantBody(t, "stuck")
	})
}

func TestARewriteBehindTheDirectiveNeverServesTheOtherFile(t *testing.T) {
	files := map[string]string{"pub/x.txt": "x", "secret.txt": "planted-content", "x.txt": "root x"}
	for name, config := range map[string]string{
		"one-time":     "max_ttl 10m\n\t\tone_time",
		"time-limited": "max_ttl 10m",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, files, `download_token {
		key HS256 "`+secret+`"
		scope template pub:{name} /pub/{name}
		`+config+`
	}
	handle /pub/rewritten.txt {
		rewrite * /secret.txt
		file_server
	}
	handle /pub/listed.txt {
		rewrite * /pub/x.txt
		file_server
	}
	handle_path /pub/* {
		file_server
	}`)
			token := func(name string) string {
				return "?download_token=" + mint(t, claims{"scope": "pub:" + name, "jti": name})
			}
			for _, target := range []string{"rewritten.txt", "listed.txt"} {
				for range 2 {
					a := s.get("/pub/"+target+token(target)).want(t, http.StatusInternalServerError)
					if strings.Contains(a.body, "planted") {
						t.Errorf("body %q", a.body)
					}
					for _, field := range []string{"Content-Length", "Etag", "Last-Modified", "Content-Type"} {
						if got := a.Header.Get(field); got != "" && got != "0" {
							t.Errorf("%s %q describes the other file", field, got)
						}
					}
				}
			}
			if logs := s.logs(); !strings.Contains(logs, "put rewrite, uri and try_files before download_token") {
				t.Error("the log does not name the remedy")
			}
			// handle_path only takes off what was authorised
			s.get("/pub/x.txt"+token("x.txt")).wantBody(t, "root x")
		})
	}
}
