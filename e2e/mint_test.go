package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// mintPrograms are those of example/mint; each takes an address and prints a link.
var mintPrograms = map[string]func(t testing.TB, address string) string{
	"PyJWT": func(t testing.TB, address string) string {
		return run(t, "", python(t), "../example/mint/python/mint.py", address)
	},
	"jose":         nodeProgram("jose.mjs"),
	"jsonwebtoken": nodeProgram("jsonwebtoken.mjs"),
	"golang-jwt": func(t testing.TB, address string) string {
		return run(t, "", tool(t, "go"), "run", "../example/mint/go", address)
	},
	"PHP": func(t testing.TB, address string) string {
		return run(t, "", tool(t, "php"), "../example/mint/php/mint.php", address)
	},
	"ruby-jwt": func(t testing.TB, address string) string {
		return run(t, "", tool(t, "ruby"), "../example/mint/ruby/mint.rb", address)
	},
	"openssl": func(t testing.TB, address string) string {
		tool(t, "openssl")
		return run(t, "", tool(t, "sh"), "../example/mint/shell/mint.sh", address)
	},
	"this plugin": func(t testing.TB, address string) string {
		path := strings.SplitN(strings.TrimPrefix(address, "http://"), "/", 2)[1]
		path = strings.NewReplacer("%20", " ", "%C3%BC", "ü").Replace("/" + path)
		return mustCommand(t, "", "mint", "--key", "env:DOWNLOAD_SECRET", "--one-time", "--path", path, "--url", address)
	},
}

// nodeProgram runs one of example/mint/node where its library is found.
func nodeProgram(name string) func(testing.TB, string) string {
	return func(t testing.TB, address string) string {
		return node(t, readText(t, "../example/mint/node/"+name), address)
	}
}

// TestMintPrograms: the link of each program opens its file once, and no other.
func TestMintPrograms(t *testing.T) {
	for form, value := range map[string]string{
		"text":       secret,
		"long text":  secret + secret, // longer than a block of SHA-256
		"base64":     "base64:" + base64.StdEncoding.EncodeToString([]byte(secret[:48])),
		"with bytes": "base64:" + base64.StdEncoding.EncodeToString([]byte("\x00\n\xff\\%s\x80"+secret[:25])),
	} {
		t.Run(form, func(t *testing.T) {
			t.Setenv("DOWNLOAD_SECRET", value)
			s := start(t, map[string]string{"a b/ü.txt": "content", "other.txt": "other"}, systemDirectives(t, "mint"))
			for name, program := range mintPrograms {
				t.Run(name, func(t *testing.T) {
					s.t = t
					link := strings.TrimSpace(program(t, s.url+"/a%20b/%C3%BC.txt"))
					path, ok := strings.CutPrefix(link, s.url)
					if !ok {
						t.Fatalf("no link: %q", link)
					}
					_, query, _ := strings.Cut(path, "?")
					wantProblem(t, s.get("/other.txt?"+query).want(t, http.StatusForbidden), "forbidden")
					s.get(path).wantBody(t, "content")
					wantProblem(t, s.get(path).want(t, http.StatusUnauthorized), "used")
				})
			}
		})
	}
}

// TestMintProgramsNeedASecret: without one they print no link, which anybody could
// have signed.
func TestMintProgramsNeedASecret(t *testing.T) {
	for _, program := range [][]string{
		{python(t), "../example/mint/python/mint.py"},
		{tool(t, "sh"), "../example/mint/shell/mint.sh"},
		{tool(t, "go"), "run", "../example/mint/go"},
		{tool(t, "php"), "../example/mint/php/mint.php"},
		{tool(t, "ruby"), "../example/mint/ruby/mint.rb"},
	} {
		cmd := exec.CommandContext(t.Context(), program[0], append(program[1:], "http://localhost:8000/a.txt")...)
		cmd.Env = append(os.Environ(), "DOWNLOAD_SECRET=")
		if out, err := cmd.CombinedOutput(); err == nil || strings.Contains(string(out), "download_token=") || !strings.Contains(string(out), "DOWNLOAD_SECRET") {
			t.Errorf("%s: %v, %s", program[len(program)-1], err, out)
		}
	}
}

// TestMintShellKeepsTheSecret: the programs that the shell starts never see the
// secret among their arguments, in whatever spelling.
func TestMintShellKeepsTheSecret(t *testing.T) {
	dir := t.TempDir()
	seen := filepath.Join(dir, "arguments")
	for _, name := range []string{"openssl", "od", "tr", "date", "cat"} {
		wrapper := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' %s \"$*\" >>%q\nexec %q \"$@\"\n", name, seen, tool(t, name))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(wrapper), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	raw := []byte(secret[:48])
	t.Setenv("DOWNLOAD_SECRET", "base64:"+base64.StdEncoding.EncodeToString(raw))
	t.Setenv("PATH", dir) // so that nothing else can be started
	cmd := exec.Command("/bin/sh", "../example/mint/shell/mint.sh", "http://localhost:8000/a.txt")
	link, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(strings.TrimSpace(string(link)), "download_token=")
	if _, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return raw, nil }, jwt.WithValidMethods([]string{"HS256"})); err != nil {
		t.Fatal(err)
	}
	arguments := readText(t, seen)
	if !strings.Contains(arguments, "dgst -sha256") {
		t.Fatalf("the wrappers were not used: %q", arguments)
	}
	for name, spelling := range map[string]string{
		"text": string(raw), "base64": base64.StdEncoding.EncodeToString(raw), "hex": fmt.Sprintf("%x", raw), "token": text,
	} {
		if strings.Contains(arguments, spelling[:16]) {
			t.Errorf("the %s is an argument:\n%s", name, arguments)
		}
	}
}

// libraries mint a one-time token for each algorithm that they know, with the
// keys in a folder, and return them by algorithm.
var libraries = map[string]struct {
	knows func(alg string) bool
	mint  func(t testing.TB, dir string) map[string]string
}{
	"PyJWT": {
		func(string) bool { return true },
		func(t testing.TB, dir string) map[string]string {
			return tokensOf(t, run(t, `
import base64, json, sys, time, uuid, jwt
tokens = {}
for alg in sys.argv[2].split():
    with open(sys.argv[1] + '/' + alg + '.key') as f:
        key = f.read()
    if key.startswith('base64:'):
        key = base64.b64decode(key[7:])
    now = time.time()
    tokens[alg] = jwt.encode({'jti': str(uuid.uuid4()), 'iat': now, 'exp': int(now) + 600}, key, algorithm=alg, headers={'kid': alg})
print(json.dumps(tokens))
`, python(t), "-", dir, strings.Join(algorithms, " ")))
		},
	},
	"jose": {
		func(string) bool { return true },
		func(t testing.TB, dir string) map[string]string {
			return tokensOf(t, node(t, `
import { readFileSync } from 'node:fs'
import { importPKCS8, SignJWT } from 'jose'
const tokens = {}
for (const alg of process.argv[3].split(' ')) {
	const text = readFileSync(process.argv[2] + '/' + alg + '.key', 'utf8')
	const key = text.startsWith('base64:') ? Buffer.from(text.slice(7), 'base64') : await importPKCS8(text, alg)
	tokens[alg] = await new SignJWT({ iat: Date.now() / 1000 }).setProtectedHeader({ alg, kid: alg })
		.setJti(crypto.randomUUID()).setExpirationTime('9m').sign(key)
}
console.log(JSON.stringify(tokens))
`, dir, strings.Join(algorithms, " ")))
		},
	},
	"jsonwebtoken": {
		func(alg string) bool { return alg != "EdDSA" },
		func(t testing.TB, dir string) map[string]string {
			return tokensOf(t, node(t, `
import { readFileSync } from 'node:fs'
import jwt from 'jsonwebtoken'
const tokens = {}
for (const alg of process.argv[3].split(' ').filter(alg => alg !== 'EdDSA')) {
	const text = readFileSync(process.argv[2] + '/' + alg + '.key', 'utf8')
	const key = text.startsWith('base64:') ? Buffer.from(text.slice(7), 'base64') : text
	tokens[alg] = jwt.sign({ iat: Date.now() / 1000 }, key, { algorithm: alg, keyid: alg, jwtid: crypto.randomUUID(), expiresIn: 500 })
}
console.log(JSON.stringify(tokens))
`, dir, strings.Join(algorithms, " ")))
		},
	},
	"golang-jwt": {
		func(string) bool { return true },
		func(t testing.TB, dir string) map[string]string {
			tokens := make(map[string]string)
			for _, alg := range algorithms {
				unsigned := jwt.NewWithClaims(jwt.GetSigningMethod(alg), claims{
					"jti": "golang-" + alg, "iat": float64(time.Now().UnixMilli()) / 1000, "exp": time.Now().Add(9 * time.Minute).Unix(),
				})
				unsigned.Header["kid"] = alg
				signed, err := unsigned.SignedString(golangKey(t, alg, readText(t, filepath.Join(dir, alg+".key"))))
				if err != nil {
					t.Fatalf("%s: %v", alg, err)
				}
				tokens[alg] = signed
			}
			return tokens
		},
	},
}

func tokensOf(t testing.TB, out string) (tokens map[string]string) {
	t.Helper()
	if err := json.Unmarshal([]byte(out), &tokens); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return tokens
}

// golangKey parses what keygen wrote as golang-jwt's users do.
func golangKey(t testing.TB, alg, text string) (key any) {
	t.Helper()
	var err error
	switch alg[:2] {
	case "HS":
		key, err = token.Secret(strings.TrimSpace(text))
	case "RS", "PS":
		key, err = jwt.ParseRSAPrivateKeyFromPEM([]byte(text))
	case "ES":
		key, err = jwt.ParseECPrivateKeyFromPEM([]byte(text))
	default:
		key, err = jwt.ParseEdPrivateKeyFromPEM([]byte(text))
	}
	if err != nil {
		t.Fatalf("%s: %v", alg, err)
	}
	return key
}

// TestForeignLibraries: what the libraries of four languages mint, with the keys
// that keygen made, opens a file once.
func TestForeignLibraries(t *testing.T) {
	t.Parallel()
	dir := keys(t)
	s := startApart(t, map[string]string{"a.txt": "a"}, "",
		"download_token {\n"+keyLines(dir)+"\t\tscope any\n\t\tmax_ttl 10m\n\t\tone_time\n\t}\n\tfile_server")
	for name, library := range libraries {
		t.Run(name, func(t *testing.T) {
			tokens := library.mint(t, dir)
			for _, alg := range slices.DeleteFunc(slices.Clone(algorithms), func(alg string) bool { return !library.knows(alg) }) {
				t.Run(alg, func(t *testing.T) {
					s.t = t
					link := "/a.txt?download_token=" + tokens[alg]
					s.get(link).wantBody(t, "a")
					wantProblem(t, s.get(link).want(t, http.StatusUnauthorized), "used")
				})
			}
		})
	}
}

// TestCommandTokensElsewhere: golang-jwt and PyJWT accept what mint makes.
func TestCommandTokensElsewhere(t *testing.T) {
	t.Parallel()
	dir := keys(t)
	tokens := make(map[string]string)
	for _, alg := range algorithms {
		text := mustCommand(t, "", "mint", "--key", filepath.Join(dir, alg+".key"), "--alg", alg, "--one-time", "--sub", "ada", "--aud", "a", "--iss", "i")
		tokens[alg] = text
		public := strings.TrimSpace(readText(t, filepath.Join(dir, alg+".pub")))
		_, err := jwt.Parse(text, func(*jwt.Token) (any, error) {
			switch alg[:2] {
			case "HS":
				return token.Secret(public)
			case "RS", "PS":
				return jwt.ParseRSAPublicKeyFromPEM([]byte(public))
			case "ES":
				return jwt.ParseECPublicKeyFromPEM([]byte(public))
			}
			return jwt.ParseEdPublicKeyFromPEM([]byte(public))
		}, jwt.WithValidMethods([]string{alg}), jwt.WithAudience("a"), jwt.WithIssuer("i"), jwt.WithSubject("ada"), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
		if err != nil {
			t.Errorf("golang-jwt, %s: %v", alg, err)
		}
	}
	encoded, err := json.Marshal(tokens)
	if err != nil {
		t.Fatal(err)
	}
	out := run(t, `
import base64, json, sys, jwt
for alg, token in json.loads(sys.argv[2]).items():
    with open(sys.argv[1] + '/' + alg + '.pub') as f:
        key = f.read()
    if key.startswith('base64:'):
        key = base64.b64decode(key[7:])
    # leeway, because PyJWT 2.6 compares iat with the whole seconds of its clock
    claims = jwt.decode(token, key, algorithms=[alg], audience='a', issuer='i', leeway=1, options={'require': ['exp', 'iat', 'jti', 'sub']})
    print(alg, claims['sub'])
`, python(t), "-", dir, string(encoded))
	if got := strings.Count(out, " ada\n"); got != len(algorithms) {
		t.Errorf("PyJWT accepts %d of %d: %s", got, len(algorithms), out)
	}
}
