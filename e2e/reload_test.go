package e2e

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func TestReloadsKeepWhatWasSpent(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, oneTime)
	spent, kept := "?download_token="+once(t), "?download_token="+once(t)
	s.get("/a.txt"+spent).want(t, http.StatusOK)
	stillSpent := func(after string) {
		t.Helper()
		if a := s.get("/a.txt" + spent); a.StatusCode != http.StatusUnauthorized {
			t.Fatalf("after %s: status %d", after, a.StatusCode)
		}
	}

	if err := s.reload("header X-Changed yes\n" + oneTime); err != nil {
		t.Fatal(err)
	}
	stillSpent("a reload")

	for name, broken := range map[string]string{
		"a bad key":               strings.Replace(oneTime, secret, "short", 1),
		"a bad directive behind":  oneTime + "\nhandle /x {\n" + strings.Replace(oneTime, secret, "short", 1) + "\n}",
		"a store that is missing": strings.Replace(oneTime, "one_time", "one_time\nstore nowhere", 1),
	} {
		if err := s.reload(broken); err == nil {
			t.Fatalf("%s was loaded", name)
		}
		stillSpent("a reload that fails because of " + name)
	}

	s.globals = "download_token {\n\t\tstore memory {\n\t\t\tcapacity 100\n\t\t}\n\t}"
	if err := s.reload(oneTime); err != nil {
		t.Fatal(err)
	}
	stillSpent("a smaller capacity")
	s.get("/a.txt"+kept).want(t, http.StatusOK)

	s.globals = "download_token {\n\t\tstore memory {\n\t\t\tcapacity 1\n\t\t}\n\t}"
	if err := s.reload(oneTime); err != nil {
		t.Fatal(err)
	}
	stillSpent("a capacity that is smaller than what is remembered")
	if a := s.get("/a.txt" + kept); a.StatusCode != http.StatusUnauthorized {
		t.Fatalf("status %d", a.StatusCode)
	}

	s.globals = ""
	if err := s.reload("file_server"); err != nil {
		t.Fatal(err)
	}
	s.get("/a.txt").want(t, http.StatusOK)
	if err := s.reload(oneTime); err != nil {
		t.Fatal(err)
	}
	stillSpent("the directive was gone for a while")
}

func TestDroppingTheDirectiveWhileItsDownloadIsInFlight(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, withFault)
	query := "?download_token=" + once(t)
	begun := make(chan *http.Response)
	go func() {
		req, err := http.NewRequest(http.MethodGet, s.url+"/a.txt"+query, nil)
		if err != nil {
			t.Error(err)
		}
		req.Header.Set("Fault", "wait")
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
		}
		begun <- resp
	}()
	resp := <-begun
	defer resp.Body.Close()
	body := bufio.NewReader(resp.Body)
	if _, err := body.Peek(len("begun")); err != nil {
		t.Fatal(err)
	}
	for _, config := range []string{"file_server", withFault, "respond nothing", withFault} {
		if err := s.reload(config); err != nil {
			t.Fatal(err)
		}
		if config == withFault {
			s.get("/a.txt"+query).want(t, http.StatusUnauthorized)
		}
	}
	released <- struct{}{}
	if all, err := io.ReadAll(body); err != nil || string(all) != "begun, done" {
		t.Fatalf("body %q, %v", all, err)
	}
	s.get("/a.txt"+query).want(t, http.StatusUnauthorized)
	s.get("/a.txt?download_token="+once(t)).want(t, http.StatusOK)
}

func TestStoresAreSharedByName(t *testing.T) {
	globals := "download_token {\n\t\tstore memory\n\t\tstore other memory {\n\t\t\tcapacity 10\n\t\t}\n\t}"
	with := func(store string) string { return strings.Replace(oneTime, "one_time", "one_time\n\t\t"+store, 1) }
	s := startWith(t, map[string]string{"one/a.txt": "a", "two/a.txt": "a", "three/a.txt": "a"}, globals,
		"handle /one/* {\n"+with("")+"\n}\nhandle /two/* {\n"+with("store default")+"\n}\nhandle /three/* {\n"+with("store other")+"\n}")
	query := "?download_token=" + once(t)
	s.get("/one/a.txt"+query).want(t, http.StatusOK)
	s.get("/two/a.txt"+query).want(t, http.StatusUnauthorized)
	s.get("/three/a.txt"+query).want(t, http.StatusOK)
}

// TestAKeyDoesNotMoveToAnotherStoreByTwoReloads: both stores are there all the time,
// so the second would vouch for what was used in the first.
func TestAKeyDoesNotMoveToAnotherStoreByTwoReloads(t *testing.T) {
	globals := "download_token {\n\t\tstore memory\n\t\tstore other memory\n\t}"
	others := "handle /b/* {\n" + strings.NewReplacer(secret, strings.Repeat("b", 64), "one_time", "one_time\n\t\tstore other").Replace(oneTime) + "\n}\n"
	in := func(store string) string {
		return others + "handle /a/* {\n" + strings.Replace(oneTime, "one_time", "one_time\n\t\tstore "+store, 1) + "\n}"
	}
	s := startWith(t, map[string]string{"a/a.txt": "a"}, globals, in("default"))
	query := "?download_token=" + once(t)
	s.get("/a/a.txt"+query).want(t, http.StatusOK)
	if err := s.reload(others); err != nil {
		t.Fatal(err)
	}
	if err := s.reload(in("other")); err == nil || !strings.Contains(err.Error(), "uses the same key with another store, or one before it has") {
		t.Errorf("%v", err)
		s.get("/a/a.txt"+query).want(t, http.StatusUnauthorized)
	}
	if err := s.reload(in("default")); err != nil {
		t.Fatal(err)
	}
	s.get("/a/a.txt"+query).want(t, http.StatusUnauthorized)
}

func TestDirectivesThatDisagreeAreRefused(t *testing.T) {
	s := start(t, nil, oneTime)
	for _, other := range []string{"one_time nonce", "one_time {\nuses 2\n}", "one_time {\nper path\n}", "one_time\nmax_ttl 5m"} {
		config := "handle /a/* {\n" + oneTime + "\n}\nhandle /b/* {\n" + strings.Replace(strings.Replace(oneTime, "max_ttl 10m\n", "", 1), "one_time", other+map[bool]string{false: "\nmax_ttl 10m"}[strings.Contains(other, "max_ttl")], 1) + "\n}"
		err := s.reload(config)
		if err == nil || !strings.Contains(err.Error(), "make them equal, or give one of them a key of its own") {
			t.Errorf("%s: %v", other, err)
		}
	}
}

// TestReloadsKeepWhatWasSpentHoweverTheKeyIsSpelled: HMAC takes a secret with zero
// bytes at its end, and a long one and its hash, for the same.
func TestReloadsKeepWhatWasSpentHoweverTheKeyIsSpelled(t *testing.T) {
	long := strings.Repeat("a long secret of more than sixty-four bytes, ", 2)
	hash := sha256.Sum256([]byte(long))
	spelled := func(key []byte) string {
		return strings.Replace(oneTime, secret, "base64:"+base64.StdEncoding.EncodeToString(key), 1)
	}
	s := start(t, map[string]string{"a.txt": "a"}, spelled([]byte(long)))
	query := "?download_token=" + mintWith(t, jwt.SigningMethodHS256, []byte(long), claims{"jti": rand.Text()})
	kept := "?download_token=" + mintWith(t, jwt.SigningMethodHS256, []byte(long), claims{"jti": rand.Text()})
	s.get("/a.txt"+query).want(t, http.StatusOK)
	for _, key := range [][]byte{[]byte(long), hash[:], append(hash[:], 0), append(hash[:], 0, 0)} {
		if err := s.reload(spelled(key)); err != nil {
			t.Fatal(err)
		}
		s.get("/a.txt"+query).want(t, http.StatusUnauthorized)
	}
	s.get("/a.txt"+kept).want(t, http.StatusOK)

	// nor is it another key for the check of stores and uses
	s.globals = "download_token {\n\t\tstore memory\n\t\tstore other memory\n\t}"
	if err := s.reload(strings.Replace(spelled([]byte(long)), "one_time", "one_time\n\t\tstore other", 1)); err == nil {
		t.Error("the key has moved to another store")
	}
	if err := s.reload("handle /a/* {\n" + spelled([]byte(long)) + "\n}\nhandle /b/* {\n" + strings.Replace(spelled(hash[:]), "one_time", "one_time nonce", 1) + "\n}"); err == nil {
		t.Error("two directives use the key in different ways")
	}
}
