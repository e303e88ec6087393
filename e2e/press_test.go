package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
)

var pressField = regexp.MustCompile(`name="press" value="([^"]*)"`)

// pressed is what the button of a page sends, with the value of that page.
func (s *server) pressed(page answer, target string, header ...string) answer {
	s.t.Helper()
	value := pressField.FindStringSubmatch(page.body)
	if value == nil {
		s.t.Fatalf("no value in %s", page.body)
	}
	return s.submit("press="+url.QueryEscape(value[1]), target, header...)
}

// submit sends a form.
func (s *server) submit(form, target string, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.url+target, strings.NewReader(form))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept", accepted)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp, string(body)}
}

// trusting lets the test say which address it has.
const trusting = "servers {\n\t\ttrusted_proxies static 127.0.0.1\n\t}"

func TestTheButtonMayBePressedTwice(t *testing.T) {
	const content = "content of a"
	for name, config := range map[string]string{
		"once":            oneTime,
		"spend request":   strings.Replace(oneTime, "one_time", "one_time {\n\t\t\tspend request\n\t\t}", 1),
		"an unknown size": strings.Replace(oneTime, "file_server", "header -Etag\n\ttemplates {\n\t\tmime text/plain\n\t}\n\tfile_server", 1),
	} {
		t.Run(name, func(t *testing.T) {
			s := startWith(t, map[string]string{"a.txt": content, "b.txt": content}, trusting, asking(config, ""))
			link := "/a.txt?download_token=" + once(t)
			page, other := s.open(link).wantPage(t, http.StatusOK, ready), s.open(link).wantPage(t, http.StatusOK, ready)
			s.pressed(page, link).wantBody(t, content)
			s.pressed(other, link).wantPage(t, http.StatusUnauthorized, "Already used") // a page of its own
			s.press(link).wantPage(t, http.StatusUnauthorized, "Already used")
			s.open(link).wantPage(t, http.StatusUnauthorized, "Already used")
			s.get(link).want(t, http.StatusUnauthorized)
			s.pressed(page, strings.Replace(link, "a.txt", "b.txt", 1)).want(t, http.StatusUnauthorized)
			s.pressed(page, link, "X-Forwarded-For", "192.0.2.1").want(t, http.StatusUnauthorized)
			s.pressed(page, link).wantBody(t, content)
			s.pressed(page, link).wantPage(t, http.StatusUnauthorized, "Already used") // two copies have been sent
			if !strings.Contains(s.logs(), `"reason":"budget"`) {
				t.Error("the documents say that the reason is budget then")
			}
			if n := strings.Count(s.logs(), "token spent"); n != 1 {
				t.Errorf("spent %d times", n)
			}
		})
	}
	t.Run("not with a value that was made up", func(t *testing.T) {
		s := start(t, map[string]string{"a.txt": content}, asking(oneTime, ""))
		token := once(t)
		link := "/a.txt?download_token=" + token
		value := pressField.FindStringSubmatch(s.open("/a.txt?download_token=" + once(t)).body)[1] // of another token
		for _, form := range []string{"press=", "press=x", "press=" + strings.Repeat("A", 54), "press=" + value, "press=%zz", "a=b&press", strings.Repeat("x", 60<<10)} {
			s.submit(form, link, "Sec-Fetch-Site", "cross-site").want(t, http.StatusForbidden)
		}
		s.submit("press="+value, link).wantBody(t, content) // pressed, whatever the value says
		s.submit("press="+value, link).want(t, http.StatusUnauthorized)
	})
	t.Run("and must be pressed to begin with", func(t *testing.T) {
		s := start(t, map[string]string{"a.txt": content}, asking(oneTime, ""))
		link := "/a.txt?download_token=" + once(t)
		page := s.open(link)
		for range 3 {
			s.pressed(page, link, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate").wantPage(t, http.StatusForbidden, "Not started yet")
		}
		s.pressed(page, link).wantBody(t, content)
		s.press(link, "Sec-Fetch-Site", "cross-site").wantPage(t, http.StatusUnauthorized, "Already used") // the store was asked
	})
	t.Run("and gets the whole of what cannot be resumed", func(t *testing.T) {
		weak := "route {\n" + strings.Replace(resumable("1h"), "file_server", "header Etag W/\"x\"\n\tfile_server", 1) + "\n}"
		s := start(t, map[string]string{"a.txt": content}, asking(weak, ""))
		link := "/a.txt?download_token=" + once(t)
		page := s.open(link)
		s.pressed(page, link, "Range", "bytes=0-3").wantBody(t, content)
		s.pressed(page, link).wantBody(t, content)
		s.pressed(page, link).want(t, http.StatusUnauthorized)
	})
	t.Run("not for more bytes than two copies", func(t *testing.T) {
		large := random(t, 8<<20)
		s := start(t, map[string]string{"a.bin": large}, asking(oneTime, ""))
		link := "/a.bin?download_token=" + once(t)
		page := s.open(link)
		var mu sync.Mutex
		sent := 0
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				value := pressField.FindStringSubmatch(page.body)[1]
				resp, err := client.Post(s.url+link, "application/x-www-form-urlencoded", bytes.NewReader([]byte("press="+value)))
				if err != nil {
					return
				}
				defer resp.Body.Close()
				n, _ := io.Copy(io.Discard, resp.Body)
				if resp.StatusCode == http.StatusOK {
					mu.Lock()
					sent += int(n)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if most := 2*len(large) + 1<<20; sent > most || sent < len(large) {
			t.Errorf("%d bytes of %d", sent, most)
		}
	})
}

// TestPressesThatOvertakeEachOther: a second press while the first is on its way
// waits for it; where the first comes to nothing, the second has the token.
func TestPressesThatOvertakeEachOther(t *testing.T) {
	t.Parallel()
	s := startApart(t, map[string]string{"a.txt": "content of a"}, "", asking(withFault, ""))
	for i := range 10 {
		link := "/a.txt?download_token=" + once(t)
		page := s.open(link)
		fault, want := "stuck", http.StatusOK
		if i%2 == 0 {
			fault, want = "stuck, then error", http.StatusBadGateway
		}
		first, second := make(chan answer, 1), make(chan answer, 1)
		go func() { first <- s.pressed(page, link, "Fault", fault) }()
		s.eventually(func() bool { return strings.Contains(s.stores(), `"reserved":1`) })
		go func() { second <- s.pressed(page, link) }()
		s.goOn()
		(<-second).wantBody(t, "content of a")
		(<-first).want(t, want)
	}
}

// TestAFormThatBreaksOff is no refusal: the client went away.
func TestAFormThatBreaksOff(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "content of a"}, asking(oneTime, ""))
	link := "/a.txt?download_token=" + once(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 100\r\n\r\npress=", link, strings.TrimPrefix(s.url, "http://"))
	_ = conn.(*net.TCPConn).CloseWrite()
	if all, _ := io.ReadAll(conn); len(all) > 0 {
		t.Errorf("answered with %q", all)
	}
	conn.Close()
	if strings.Contains(s.logs(), "unconfirmed") {
		t.Error("told as a refusal")
	}
	s.press(link).wantBody(t, "content of a")
}
