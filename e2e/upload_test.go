package e2e

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const account = "W142hJk"

// node runs a script that finds the packages of e2e/node.
func node(t testing.TB, script string, args ...string) string {
	t.Helper()
	path := tool(t, "node")
	if _, err := os.Stat(filepath.Join("node", "node_modules", "jose")); err != nil {
		missing(t, "the packages of e2e/node are not installed: npm install --no-package-lock")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"--input-type=module", "-"}, args...)...)
	cmd.Dir = "node"
	cmd.Stdin = strings.NewReader(script)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// certificate makes a key pair; the public half is an X.509 certificate.
func certificate(t testing.TB) (privatePEM, certificatePEM string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "upload"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// entry is one of access.pathPermissions, in the shape of the vendor's page.
func entry(path, scope string, slugs []string, list bool) map[string]any {
	return map[string]any{
		"match": map[string]any{"path": path, "scope": scope},
		"permissions": map[string]any{
			"read": map[string]any{
				"file":   map[string]any{"downloadFile": slugs, "getFileDetails": len(slugs) > 0},
				"folder": map[string]any{"getFolderDescription": true, "listFolderChildren": list},
			},
			"write": map[string]any{"file": map[string]any{"createFile": true}},
		},
	}
}

func access(entries ...map[string]any) map[string]any {
	return map[string]any{"pathPermissions": entries, "tagPermissions": map[string]any{"write": []string{"*"}}}
}

func uploadServer(t testing.TB) (s *server, private string) {
	t.Helper()
	private, cert := certificate(t)
	file := filepath.Join(t.TempDir(), "upload.pem")
	if err := os.WriteFile(file, []byte(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range []string{
		"a.jpg", "users/a.jpg", "users/user-xyz/a.jpg", "users/user-xyz/d/b.jpg", "users/user-xyz/d/e/c.jpg",
		"users/user-xyzz/a.jpg", "users/user-abc/a.jpg", "users/with-index/index.html", "deep/er/x.jpg",
	} {
		files[name] = "content of " + name
	}
	t.Setenv("UPLOAD_ACCOUNT", account)
	t.Setenv("UPLOAD_CERTIFICATE", file)
	root := t.TempDir()
	t.Setenv("UPLOAD_FILES", root)
	content, err := os.ReadFile(filepath.Join("..", "example", "upload", "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, site, _ := strings.Cut(string(content), "http://localhost:8000 {\n")
	s = start(t, nil, site[:strings.LastIndex(site, "}")])
	s.root = root
	for name, content := range files {
		s.put(name, content)
	}
	return s, private
}

func TestUpload(t *testing.T) {
	s, private := uploadServer(t)
	mintUpload := func(payload map[string]any, alg string) string {
		t.Helper()
		py := python(t)
		text, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		script := "import jwt, sys, json, time\npayload = json.loads(sys.argv[1])\n" +
			"now = int(time.time())\npayload = {'exp': now + 600, 'iat': now, 'sub': 'user-xyz', **payload}\n" +
			"payload = {k: v for k, v in payload.items() if v is not None}\n" +
			"print(jwt.encode(payload, open(sys.argv[2]).read(), algorithm=sys.argv[3]))\n"
		file := filepath.Join(t.TempDir(), "private.pem")
		if err := os.WriteFile(file, []byte(private), 0o600); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(run(t, script, py, "-", string(text), file, alg))
	}
	tree := access(
		entry("/users/user-xyz", "Children", []string{"*"}, false),
		entry("/users/user-xyz", "This", []string{}, true),
	)
	base := "/" + account + "/raw"

	t.Run("all three carriers", func(t *testing.T) {
		s.t = t
		token := mintUpload(map[string]any{"access": tree}, "RS256")
		s.get(base+"/users/user-xyz/a.jpg", "Authorization-Token", token, "Authorization", "Bearer public_12a1y").want(t, http.StatusOK)
		s.get(base+"/users/user-xyz/a.jpg", "Cookie", "access-token-"+account+"="+token).want(t, http.StatusOK)
		named := mintUpload(map[string]any{"access": tree, "accountId": account}, "RS256")
		s.get(base+"/users/user-xyz/a.jpg", "Authorization", "Bearer "+named).want(t, http.StatusOK)
		// in Authorization, accountId is required
		s.get(base+"/users/user-xyz/a.jpg", "Authorization", "Bearer "+token).want(t, http.StatusForbidden)
		s.get(base+"/users/user-xyz/a.jpg?download_token="+token).want(t, http.StatusForbidden)
		s.get(base+"/users/user-xyz/a.jpg", "Cookie", "access-token-other="+token).want(t, http.StatusForbidden)
	})
	t.Run("jose", func(t *testing.T) {
		s.t = t
		text, _ := json.Marshal(map[string]any{"access": tree, "sub": "user-xyz"})
		token := node(t, `
import { SignJWT, importPKCS8 } from 'jose';
const key = await importPKCS8(process.argv[3], 'RS256');
console.log(await new SignJWT(JSON.parse(process.argv[2]))
	.setProtectedHeader({ alg: 'RS256' }).setIssuedAt().setExpirationTime('10m').sign(key));
`, string(text), private)
		s.get(base+"/users/user-xyz/a.jpg", "Authorization-Token", token).want(t, http.StatusOK)
		s.get(base+"/users/user-abc/a.jpg", "Authorization-Token", token).want(t, http.StatusForbidden)
	})
	t.Run("claims", func(t *testing.T) {
		s.t = t
		for name, c := range map[string]map[string]any{
			"no exp":            {"exp": nil},
			"no iat":            {"iat": nil},
			"no sub":            {"sub": nil},
			"expired":           {"exp": 1615680311},
			"another account":   {"accountId": "other"},
			"no access":         {"access": nil},
			"access of a type":  {"access": "all"},
			"another origin":    {"allowedOrigins": []string{"https://app.example.com"}},
			"audience":          {"aud": "x"},
			"unknown scope":     {"access": access(entry("/users/user-xyz", "Everything", []string{"*"}, true))},
			"no download":       {"access": access(entry("/users/user-xyz", "Children", []string{}, true))},
			"another transform": {"access": access(entry("/users/user-xyz", "Children", []string{"thumbnail*"}, true))},
		} {
			payload := map[string]any{"access": tree}
			for k, v := range c {
				payload[k] = v
			}
			if a := s.get(base+"/users/user-xyz/a.jpg", "Authorization-Token", mintUpload(payload, "RS256")); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %d", name, a.StatusCode)
			}
		}
		if a := s.get(base+"/users/user-xyz/a.jpg", "Authorization-Token", mintUpload(map[string]any{"access": tree}, "RS512")); a.StatusCode != http.StatusForbidden {
			t.Errorf("RS512: %d", a.StatusCode)
		}
		if n := strings.Count(s.logs(), "a token has a match.scope other than"); n != 1 {
			t.Errorf("the unknown scope is logged %d times", n)
		}
	})
	t.Run("origins", func(t *testing.T) {
		s.t = t
		token := mintUpload(map[string]any{"access": tree, "allowedOrigins": []string{"https://app.example.com"}}, "RS256")
		for _, tt := range []struct {
			status int
			header []string
		}{
			{http.StatusOK, []string{"Origin", "https://app.example.com"}},
			{http.StatusOK, []string{"Referer", "https://app.example.com/page"}},
			{http.StatusForbidden, []string{"Origin", "https://evil.example"}},
			{http.StatusForbidden, []string{"Origin", "https://evil.example", "Referer", "https://app.example.com/"}},
			{http.StatusForbidden, []string{"Origin", "null"}},
			{http.StatusForbidden, []string{"Origin", "https://app.example.com.evil.example"}},
			{http.StatusForbidden, []string{"Sec-Fetch-Site", "same-origin"}}, // this site is another one
			{http.StatusForbidden, nil},
		} {
			if a := s.get(base+"/users/user-xyz/a.jpg", append(tt.header, "Authorization-Token", token)...); a.StatusCode != tt.status {
				t.Errorf("%q: %d, want %d", tt.header, a.StatusCode, tt.status)
			}
		}
	})

	const ok, no = http.StatusOK, http.StatusForbidden
	for _, tt := range []struct {
		name    string
		entries []map[string]any
		want    map[string]int
	}{
		{"This", []map[string]any{entry("/users/user-xyz/a.jpg", "This", []string{"raw"}, false)}, map[string]int{
			"/users/user-xyz/a.jpg": ok, "/users/user-xyz/d/b.jpg": no, "/users/a.jpg": no, "/users/user-xyz/": no,
		}},
		{"Children", []map[string]any{entry("/users/user-xyz", "Children", []string{"*"}, false)}, map[string]int{
			"/users/user-xyz/a.jpg": ok, "/users/user-xyz/d/b.jpg": no, "/users/user-xyz/d/e/c.jpg": no, "/users/user-xyz/": no,
			"/users/user-xyzz/a.jpg": no, "/users/user-abc/a.jpg": no, "/users/a.jpg": no, "/a.jpg": no,
		}},
		{"Grandchildren+", []map[string]any{entry("/users/user-xyz", "Grandchildren+", []string{"*"}, false)}, map[string]int{
			"/users/user-xyz/a.jpg": no, "/users/user-xyz/d/b.jpg": ok, "/users/user-xyz/d/e/c.jpg": ok, "/users/user-xyzz/a.jpg": no,
		}},
		{"Grandchildren+ of the root does not open /a.jpg", []map[string]any{entry("/", "Grandchildren+", []string{"*"}, false)}, map[string]int{
			"/a.jpg": no, "/users/a.jpg": ok, "/users/user-xyz/a.jpg": ok,
		}},
		{"a union", []map[string]any{
			entry("/users/user-xyz", "Children", []string{"*"}, false),
			entry("/users/user-xyz", "Grandchildren+", []string{"raw"}, false),
			entry("/users/user-xyz", "This", []string{}, true),
		}, map[string]int{
			"/users/user-xyz/a.jpg": ok, "/users/user-xyz/d/b.jpg": ok, "/users/user-xyz/": ok, "/users/user-xyz/d/": no, "/users/": no,
		}},
		{"a listing serves no index", []map[string]any{entry("/users", "Children", []string{}, true)}, map[string]int{
			"/users/user-xyz/": ok, "/users/with-index/": no, "/users/with-index/index.html": no, "/users/user-xyz/a.jpg": no,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			token := mintUpload(map[string]any{"access": access(tt.entries...)}, "RS256")
			for path, want := range tt.want {
				a := s.get(base+path, "Authorization-Token", token)
				if a.StatusCode != want {
					t.Errorf("GET %s: %d, want %d", path, a.StatusCode, want)
				}
				if want == no && strings.Contains(a.body, "content of") {
					t.Errorf("%s: %q", path, a.body)
				}
			}
		})
	}
	t.Run("details", func(t *testing.T) {
		s.t = t
		only := entry("/users/user-xyz", "Children", []string{}, false)
		only["permissions"].(map[string]any)["read"].(map[string]any)["file"] = map[string]any{"getFileDetails": true}
		token := mintUpload(map[string]any{"access": access(only)}, "RS256")
		s.do(http.MethodHead, base+"/users/user-xyz/a.jpg", "Authorization-Token", token).want(t, http.StatusOK)
		s.get(base+"/users/user-xyz/a.jpg", "Authorization-Token", token).want(t, http.StatusForbidden)
	})
}

func TestScopePath(t *testing.T) {
	s := start(t, map[string]string{"a/b/c.txt": "c", "a/bb/c.txt": "other", "a b/c.txt": "space", "x.txt": "x"}, `download_token {
		key HS256 "`+secret+`"
		scope path
		scope path scope storage.read:
		scope path file_path
	}
	file_server`)
	for _, tt := range []struct {
		name   string
		claims claims
		want   map[string]int
	}{
		{"a folder", claims{"scope": "openid download:/a/b/"}, map[string]int{"/a/b/c.txt": 200, "/a/bb/c.txt": 403, "/x.txt": 403}},
		{"a file", claims{"scope": "download:/x.txt"}, map[string]int{"/x.txt": 200, "/a/b/c.txt": 403}},
		{"another prefix", claims{"scope": "storage.read:/a/b storage.modify:/"}, map[string]int{"/a/b/c.txt": 200, "/a/bb/c.txt": 403}},
		{"escaped", claims{"scope": "download:/a%20b/"}, map[string]int{"/a%20b/c.txt": 200, "/a/b/c.txt": 403}},
		{"an array", claims{"scope": []string{"download:/x.txt", "download:/a/bb/"}}, map[string]int{"/x.txt": 200, "/a/bb/c.txt": 200, "/a/b/c.txt": 403}},
		{"a plain claim", claims{"file_path": "/a b/c.txt"}, map[string]int{"/a%20b/c.txt": 200, "/x.txt": 403}},
		{"empty", claims{"scope": "download:"}, map[string]int{"/x.txt": 403}},
		{"relative", claims{"scope": "download:x.txt", "file_path": "x.txt"}, map[string]int{"/x.txt": 403}},
		{"not normalised", claims{"scope": "download:/a/../ download:/./ download://"}, map[string]int{"/x.txt": 403}},
		{"no claim", claims{}, map[string]int{"/x.txt": 403}},
		{"everything", claims{"scope": "download:/"}, map[string]int{"/x.txt": 200, "/a/b/c.txt": 200}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			token := mint(t, tt.claims)
			for path, want := range tt.want {
				s.get(path+"?download_token="+token).want(t, want)
			}
		})
	}
}
