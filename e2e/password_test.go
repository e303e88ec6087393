package e2e

import (
	"archive/zip"
	"encoding/base64"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// password is the site of these tests: any user but for /team/, and the bearer too.
const password = `download_token /team/* {
		from basic token oauth2
		key HS256 "` + secret + `"
		scope path
	}
	@others not path /team/*
	download_token @others {
		from header Authorization
		from basic
		key HS256 "` + secret + `"
		scope path
	}
	file_server`

func TestPassword(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "content of a", "team/b.txt": "content of b"}, password)
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	good, expired := mint(t, claims{"scope": "download:/"}), mint(t, claims{"scope": "download:/", "exp": 1})
	const asked, bearer = `Basic realm="Downloads"`, "Bearer"
	for _, tt := range []struct {
		name          string
		target        string
		authorization []string
		status        int
		challenges    []string
	}{
		{"nothing", "/a.txt", nil, 401, []string{asked, bearer}},
		{"any user", "/a.txt", []string{basic("anna", good)}, 200, nil},
		{"no user", "/a.txt", []string{basic("", good)}, 200, nil},
		{"a bearer", "/a.txt", []string{"Bearer " + good}, 200, nil},
		{"both", "/a.txt", []string{basic("anna", good), "Bearer " + good}, 400, []string{`Bearer error="invalid_request"`}},
		{"no base64", "/a.txt", []string{"Basic !"}, 401, []string{asked, `Bearer error="invalid_token"`}},
		{"no colon", "/a.txt", []string{"Basic YQ=="}, 401, []string{asked, `Bearer error="invalid_token"`}},
		{"expired", "/a.txt", []string{basic("anna", expired)}, 401, []string{asked, `Bearer error="invalid_token"`}},
		{"another scheme", "/a.txt", []string{"Digest x"}, 401, []string{asked, bearer}},
		{"another path", "/a.txt", []string{basic("anna", mint(t, claims{"scope": "download:/b"}))}, 403, []string{`Bearer error="insufficient_scope"`}},

		{"one of the users", "/team/b.txt", []string{basic("oauth2", good)}, 200, nil},
		{"another user", "/team/b.txt", []string{basic("anna", good)}, 401, []string{asked}},
		{"a bearer that is no source", "/team/b.txt", []string{"Bearer " + good}, 401, []string{asked}},
		{"the user's token has expired", "/team/b.txt", []string{basic("token", expired)}, 401, []string{asked}},
		{"of a user, another path", "/team/b.txt", []string{basic("token", mint(t, claims{"scope": "download:/b"}))}, 403, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			var header []string
			for _, line := range tt.authorization {
				header = append(header, "Authorization", line)
			}
			a := s.get(tt.target, header...).want(t, tt.status)
			if got := a.Header.Values("WWW-Authenticate"); !slices.Equal(got, tt.challenges) {
				t.Errorf("challenges %q, want %q", got, tt.challenges)
			}
		})
	}
	if logs := s.logs(); strings.Contains(logs, "anna") || strings.Contains(logs, good) {
		t.Error("the log has a user name or a token")
	}
}

// TestPasswordIsTakenOut looks at what comes behind the directive.
func TestPasswordIsTakenOut(t *testing.T) {
	s := start(t, nil, `download_token {
		from basic token
		from cookie c
		key HS256 "`+secret+`"
		scope any
	}
	respond "{http.request.header.Authorization}|{http.auth.user.id}"`)
	token := mint(t, claims{"sub": "ada"})
	auth := func(user string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+token))
	}
	s.get("/", "Authorization", auth("token")).wantBody(t, "|ada")
	// somebody else's password is not ours to take
	s.get("/", "Authorization", auth("anna"), "Cookie", "c="+token).wantBody(t, auth("anna")+"|ada")
}

// TestPasswordIsAuthorization: what holds for the field holds for both schemes.
func TestPasswordIsAuthorization(t *testing.T) {
	s := start(t, map[string]string{"a.txt": "a"}, `download_token {
		from header X-Token
		from basic
		key HS256 "`+secret+`"
		scope path_permissions {
			account A1b2
		}
	}
	file_server`)
	access := map[string]any{"pathPermissions": []any{map[string]any{
		"match":       map[string]any{"path": "/a.txt", "scope": "This"},
		"permissions": map[string]any{"read": map[string]any{"file": map[string]any{"downloadFile": []string{"*"}}}},
	}}}
	auth := func(token string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(":"+token)) }
	without, with := mint(t, claims{"access": access}), mint(t, claims{"access": access, "accountId": "A1b2"})
	s.get("/a.txt", "X-Token", without).want(t, http.StatusOK)
	s.get("/a.txt", "Authorization", auth(with)).want(t, http.StatusOK)
	s.get("/a.txt", "Authorization", auth(without)).want(t, http.StatusForbidden)
}

func TestPasswordChallenge(t *testing.T) {
	for challenge, want := range map[string]string{
		"challenge Bearer Files": `Bearer realm="Files"`,
		"challenge Basic Files":  `Basic realm="Files"`,
		"challenge Basic":        `Basic realm="Downloads"`,
		"status 404":             "",
	} {
		s := start(t, nil, strings.Replace(password, "from basic\n", "from basic\n\t\t"+challenge+"\n", 1))
		if got := s.get("/a.txt").Header.Values("WWW-Authenticate"); strings.Join(got, "; ") != want {
			t.Errorf("%s: %q, want %q", challenge, got, want)
		}
	}
}

// TestPasswordClients downloads with the programs that send one, as their users
// are told to.
func TestPasswordClients(t *testing.T) {
	t.Parallel()
	repository, wheel := gitRepository(t), pipWheel(t)
	s := startApart(t, map[string]string{
		"team/a.txt":                     "content of a",
		"team/simple/guarded/index.html": `<a href="/team/guarded-1.0-py3-none-any.whl">guarded-1.0-py3-none-any.whl</a>`,
	}, "", password)
	for _, name := range []string{"repo.git", "guarded-1.0-py3-none-any.whl"} {
		from := map[string]string{"repo.git": repository}[name]
		if from == "" {
			from = wheel
		}
		if err := os.Rename(from, filepath.Join(s.root, "team", name)); err != nil {
			t.Fatal(err)
		}
	}
	token := mint(t, claims{"scope": "download:/team/", "exp": time.Now().Add(time.Hour).Unix()})
	link := s.url + "/team/a.txt"
	signedIn := strings.Replace(s.url, "http://", "http://oauth2:"+token+"@", 1)

	for name, args := range map[string][]string{
		"curl -u":                               {"curl", "-sf", "-u", "token:" + token, link},
		"curl with the password in the address": {"curl", "-sf", signedIn + "/team/a.txt"},
		"curl --anyauth":                        {"curl", "-sf", "--anyauth", "-u", "token:" + token, link},
		"wget, which waits for the challenge":   {"wget", "-qO-", "--user=token", "--password=" + token, link},
		"wget --auth-no-challenge":              {"wget", "-qO-", "--auth-no-challenge", "--user=token", "--password=" + token, link},
		"wget with the password in the address": {"wget", "-qO-", signedIn + "/team/a.txt"},
		"aria2c":                                {"aria2c", "-q", "--allow-overwrite=true", "-d", t.TempDir(), "-o", "a.txt", "--http-user=token", "--http-passwd=" + token, link},
		"aria2c --http-auth-challenge":          {"aria2c", "-q", "--http-auth-challenge=true", "-d", t.TempDir(), "-o", "a.txt", "--http-user=token", "--http-passwd=" + token, link},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, "", tool(t, args[0]), args[1:]...)
			if i := slices.Index(args, "-d"); i > 0 {
				content, err := os.ReadFile(filepath.Join(args[i+1], "a.txt"))
				if err != nil {
					t.Fatal(err)
				}
				got = string(content)
			}
			if got != "content of a" {
				t.Errorf("%q", got)
			}
		})
	}
	t.Run("git clone", func(t *testing.T) {
		to := filepath.Join(t.TempDir(), "clone")
		run(t, "", tool(t, "git"), "clone", "-q", signedIn+"/team/repo.git", to)
		if got, err := os.ReadFile(filepath.Join(to, "readme")); err != nil || string(got) != "from git" {
			t.Errorf("%q, %v", got, err)
		}
		cmd := exec.Command(tool(t, "git"), "clone", "-q", s.url+"/team/repo.git", to+"2")
		cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=")
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("without a token: %s", out)
		}
	})
	t.Run("pip download", func(t *testing.T) {
		to := t.TempDir()
		if err := exec.Command(tool(t, "python3"), "-m", "pip", "--version").Run(); err != nil {
			missing(t, "pip is not installed")
		}
		run(t, "", tool(t, "python3"), "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-cache-dir", "--no-deps",
			"--index-url", signedIn+"/team/simple/", "-d", to, "guarded")
		if _, err := os.Stat(filepath.Join(to, "guarded-1.0-py3-none-any.whl")); err != nil {
			t.Error(err)
		}
	})
	s.get("/team/a.txt").want(t, http.StatusUnauthorized)
}

// gitRepository is a bare repository that a file server can serve.
func gitRepository(t *testing.T) string {
	t.Helper()
	git, work, bare := tool(t, "git"), t.TempDir(), filepath.Join(t.TempDir(), "repo.git")
	if err := os.WriteFile(filepath.Join(work, "readme"), []byte("from git"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-C", work, "init", "-q"},
		{"-C", work, "add", "."},
		{"-C", work, "-c", "user.name=a", "-c", "user.email=a@a.example", "-c", "commit.gpgsign=false", "commit", "-q", "-m", "a"},
		{"clone", "-q", "--bare", work, bare},
		{"-C", bare, "update-server-info"},
	} {
		run(t, "", git, args...)
	}
	return bare
}

// pipWheel is the smallest package that pip takes.
func pipWheel(t *testing.T) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "wheel"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	archive := zip.NewWriter(file)
	for name, content := range map[string]string{
		"guarded-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: guarded\nVersion: 1.0\n",
		"guarded-1.0.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: a\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"guarded-1.0.dist-info/RECORD":   "",
	} {
		entry, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}
