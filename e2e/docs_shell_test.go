package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// notTyped are the commands of the documents that TestDocsShell does not run, and why.
// Where the reason is the name of a test, that one runs them.
var notTyped = map[string]string{
	// README.md
	"go run ./example":                         "TestDemonstrationInChromium",
	"go test ./...":                            "this is a part of it",
	"mkdir -p files":                           "TestDocsQuickStart",
	`echo "Hello" >files/report.pdf`:           "TestDocsQuickStart",
	"openssl rand -hex 32 >secret.txt":         "TestDocsQuickStart",
	"export DOWNLOAD_SECRET=$(cat secret.txt)": "TestDocsQuickStart",
	"go run ./example run --config Caddyfile":  "TestDocsQuickStart",
	"link=$(go run ./example download-token mint --key env:DOWNLOAD_SECRET --one-time --scope file:report.pdf --url http://localhost:8080/report.pdf)": "TestDocsQuickStart",
	`curl "$link"`: "TestDocsQuickStart",

	// example/mint/README.md
	"./caddy download-token keygen HS256 --out secret.txt --force":                "TestDocsMintQuickStart",
	"DOWNLOAD_FILES=example/site ./caddy run --config example/mint/Caddyfile":     "TestDocsMintQuickStart",
	"link=$(python3 example/mint/python/mint.py http://localhost:8000/hello.txt)": "TestDocsMintQuickStart",

	// example/folder/README.md, example/gallery/README.md
	"mkdir -p files/reports/2026 files/invoices":                         "TestExampleFolder",
	`echo "All is well" >files/reports/2026/q1.txt`:                      "TestExampleFolder",
	`echo "100" >files/invoices/1.txt`:                                   "TestExampleFolder",
	"DOWNLOAD_FILES=files ./caddy run --config example/folder/Caddyfile": "TestExampleFolder",
	`curl -H "Accept: application/json" "$link"`:                         "TestExampleFolder",
	"./caddy run --config example/gallery/Caddyfile":                     "TestExampleGallery",
	`curl --cookie-jar cookies.txt "$link"`:                              "TestExampleGallery",
	"curl --cookie cookies.txt http://localhost:8000/lake/evening.svg":   "TestExampleGallery",
	`echo "$link"`: "TestExampleFolder",
	"link=$(./caddy download-token mint --key env:DOWNLOAD_SECRET --scope folder:reports --url http://localhost:8000/reports/)": "TestExampleFolder",
	"link=$(./caddy download-token mint --key env:DOWNLOAD_SECRET --scope album:lake --url http://localhost:8000/lake/)":        "TestExampleGallery",

	// example/inbox/README.md
	"mkdir -p files/alice": "TestExampleInbox",
	"DOWNLOAD_FILES=files ./caddy run --config example/inbox/Caddyfile":             "TestExampleInbox",
	`curl -F file=@LICENSE "$link"`:                                                 "TestExampleInbox",
	`curl -T README.md "$(printf %s "$link" | sed 's|/alice/|/alice/readme.txt|')"`: "TestExampleInbox",
	"ls files/alice": "TestExampleInbox",
	"link=$(./caddy download-token mint --key env:DOWNLOAD_SECRET --one-time --ttl 24h --scope inbox:alice --claim max_size:=1000000 --url http://localhost:8000/alice/)": "TestExampleInbox",
	// example/cdni/README.md
	"./caddy download-token keygen ES256 --out private.pem --public ucdn.pem --force":                       "TestExampleCDNI",
	"export UCDN_KEY=$(cat ucdn.pem)":                                                                       "TestExampleCDNI",
	"export CDN_RENEWAL_SECRET=$(./caddy download-token keygen HS256)":                                      "TestExampleCDNI",
	"mkdir -p files/films/42":                                                                               "TestExampleCDNI",
	`printf '#EXTM3U\n#EXTINF:4,\n000.ts\n#EXTINF:4,\n001.ts\n#EXT-X-ENDLIST\n' >files/films/42/index.m3u8`: "TestExampleCDNI",
	`echo "the first segment" >files/films/42/000.ts`:                                                       "TestExampleCDNI",
	`echo "the second segment" >files/films/42/001.ts`:                                                      "TestExampleCDNI",
	"DOWNLOAD_FILES=files ./caddy run --config example/cdni/Caddyfile":                                      "TestExampleCDNI",
	`curl --silent --cookie-jar jar.txt "$link"`:                                                            "TestExampleCDNI",
	"curl --silent --cookie jar.txt --cookie-jar jar.txt http://localhost:8000/films/42/000.ts":             "TestExampleCDNI",
	"curl --silent --cookie jar.txt --cookie-jar jar.txt http://localhost:8000/films/42/001.ts":             "TestExampleCDNI",
	`./caddy download-token inspect "$link"`:                                                                "TestExampleCDNI",
	`link=$(./caddy download-token mint --key private.pem --kid 2027 --iss "uCDN Inc" --profile rfc9246 --ttl 30s --renew 30s --claim cdnistd:=2 --regex 'http://localhost:8000/films/42/[a-z0-9]+\.(m3u8|ts)' --url http://localhost:8000/films/42/index.m3u8)`: "TestExampleCDNI",

	// example/video/README.md
	"example/video/make":                                    "TestStreamExample",
	"export VIDEO_SECRET=$(openssl rand -hex 32)":           "TestStreamExample",
	"export VIDEO_SITE=$PWD/example/video/site":             "TestStreamExample",
	"go run ./example run --config example/video/Caddyfile": "TestStreamExample",
	"token=$(go run ./example download-token mint --key env:VIDEO_SECRET --scope video:demo --ttl 4h)": "TestStreamExample",
	`echo "http://localhost:8080/videos/demo/?download_token=$token"`:                                  "TestStreamExample",
	`ffplay "http://localhost:8080/videos/demo/master.m3u8?download_token=$token"`:                     "it takes a screen; TestStreamPrograms",
	`vlc "http://localhost:8080/videos/demo/manifest.mpd?download_token=$token"`:                       "it takes a screen; TestStreamPrograms",

	// xcaddy.md, CONTRIBUTING.md, docs/releasing.md
	"go build -o caddy ./example":                                            "the program of all these tests is built that way",
	"go build -C tools -o ../dist/ github.com/caddyserver/xcaddy/cmd/xcaddy": ".ci/run does it",
	"./dist/xcaddy build v2.11.9 --with github.com/caddy-download-token/caddy-download-token@v0.0.0=./ --output ./caddy": ".ci/run does it",
	"xcaddy build v2.11.9 --with github.com/caddy-download-token/caddy-download-token@v1.2.3":                            "there is no such version yet",
	"./caddy build-info | grep caddy-download-token":                                                                     "it is about a released version",
	`CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o caddy ./example`:                                               "a second build of everything takes minutes",
	"cd e2e/node && npm install --no-package-lock":                                                                       ".ci/run does it",
	"DOWNLOAD_TOKEN_STRICT=1 go test -race -shuffle=on ./...":                                                            ".ci/run does it",
	"go test ./e2e -run TestChaos -chaos.rounds 50 -timeout 2h":                                                          "it takes an hour",
	"go test ./e2e -run TestDoubleClick -doubleclick.rounds 10 -timeout 1h":                                              "it takes half an hour",
	"go test ./e2e -run TestPastExp -pastexp.bytes 1073741824 -pastexp.takes 60s -pastexp.lasts 4s":                      "it takes minutes",
	"go test ./e2e -run TestStream -stream.seconds 120 -stream.whole -timeout 1h":                                        "it takes minutes",
	"go test ./e2e -run 'TestRandomWrites|TestWritesInARace' -writes.operations 10000":                                   "TestRandomWrites, with fewer",
	"go test ./e2e -run TestWindow -window.waits":                                                                        "it takes minutes",
	"go test ./downloadtoken/scope -run '^$' -fuzz '^FuzzPath$' -fuzztime 1m":                                            ".ci/run does it, for a shorter time",
	"go test ./downloadtoken/store/memory -run '^$' -bench . -benchmem":                                                  "it measures, and wants the machine for itself",
	"go run ./bench": "it measures, and wants the machine for itself",
	"go run ./bench -case '^1KiB/h1/' -rounds 20": "it measures, and wants the machine for itself",
	"go build -C tools -o ../dist/ tool":          ".ci/run does it",
	"./dist/golangci-lint run":                    ".ci/run does it",
	"./dist/govulncheck ./...":                    ".ci/run does it",
	`git tag -s v1.2.3 -m "v1.2.3"`:               "it releases",
	"git push origin v1.2.3":                      "it releases",
	"GOPROXY=https://proxy.golang.org go list -m github.com/caddy-download-token/caddy-download-token@v1.2.3": "there is no such version yet",

	// docs
	"export GDAL_HTTP_COOKIEFILE=cookies.txt GDAL_HTTP_COOKIEJAR=cookies.txt":                                                 "TestMosaicWithGDAL",
	`gdal_translate "/vsicurl/$link" picture.tif`:                                                                             "TestMosaicWithGDAL",
	"caddy download-token keygen <alg> [--out <file>] [--public <file>] [--bits <n>] [--jwk] [--kid <id>] [--force] [--json]": "it is a synopsis",
	"caddy download-token mint --key <file>|env:<name>|- [options]":                                                           "it is a synopsis",
	"caddy download-token revoke <token>|<link>|<fingerprint>|- [options]":                                                    "it is a synopsis",
	"caddy download-token revoke --nonce|--sub|--kid|--issued-before <value> [options]":                                       "it is a synopsis",
	"caddy download-token status [<token>|<link>|<fingerprint>|-] [--address <host:port>]":                                    "it is a synopsis",
	"caddy download-token status 2d711642b726b044":                                                                            "the token is one of the past; TestStatus",
	"caddy download-token inspect [<token>|<link>|-] [--config <file> --url <url>] [options]":                                 "it is a synopsis",
	"curl -u alice:cube1234 -X DELETE http://localhost:8080/tokens/u5kB2gYw3pYAAAAAam8VmEDJt3kzBGf7m2KfGk0dDyo/":              "the token is one of the past; TestIssuerRevokes",
	`git clone "https://oauth2:$TOKEN@files.example.com/repo.git"`:                                                            "TestPasswordClients",
	`pip download --index-url "https://oauth2:$TOKEN@files.example.com/simple/" package`:                                      "TestPasswordClients",
	`curl -u "oauth2:$TOKEN" -O https://files.example.com/data.zip`:                                                           "TestPasswordClients",
	`wget --user=oauth2 --password="$TOKEN" https://files.example.com/data.zip`:                                               "TestPasswordClients",
	`curl -H "Authorization: Bearer $token" -T report.pdf https://files.example.com/users/ada/report.pdf`:                     "TestWebDAVPrograms",
	`rclone copy report.pdf :webdav:/users/ada --webdav-url https://files.example.com --webdav-bearer-token "$token"`:         "TestWebDAVPrograms",
	"sudo chown root:caddy /etc/caddy/download.key":                                                                           "there is no user caddy",
	"strace -f -c -e trace=sendfile,read,write caddy file-server --listen :8080 --root /srv":                                  "it opens a port to the network",
	"curl -so /dev/null http://localhost:8080/1GiB":                                                                           "it belongs to the line before",
	`journalctl -u caddy --since "1 hour ago" | grep '"request refused"'`:                                                     "there is no journal",

	// example/deploy, xcaddy.md
	"sudo systemctl daemon-reload":                                               "systemd does not run here; TestDeployService",
	"sudo systemctl enable --now caddy":                                          "systemd does not run here; TestDeployService",
	"sudo chown 1000 download.key":                                               "it takes root",
	"docker build --file example/deploy/Dockerfile --tag caddy-download-token .": "there is no Docker; TestDeployDockerfile",
	"docker compose up --detach --build":                                         "there is no Docker; TestDeployCompose",
	"docker compose exec caddy caddy download-token mint --config /etc/caddy/Caddyfile --url https://download.example.com/report.pdf": "there is no Docker; TestDeployCompose",
}

// shellCommands are the commands of a document, each in one line.
func shellCommands(t *testing.T, file string) (commands []string) {
	t.Helper()
	indented := regexp.MustCompile("(?ms)^ *```sh\n(.*?)^ *```$")
	for _, match := range indented.FindAllStringSubmatch(readText(t, file), -1) {
		text := regexp.MustCompile(` \\\n +`).ReplaceAllString(match[1], " ")
		for line := range strings.Lines(text) {
			commands = append(commands, strings.TrimSpace(line))
		}
	}
	return commands
}

// exitCodes are those of the commands in the documents that are not 0.
var exitCodes = map[string]int{
	"caddy download-token inspect --config /etc/caddy/Caddyfile --url https://example.com/reports/q4.pdf - <token.txt": 2, // refused
}

// TestDocsShell types every command of the documents, each document in a folder of its
// own beside a running Caddy, or knows why not.
func TestDocsShell(t *testing.T) {
	tool(t, "curl")
	tool(t, "openssl")
	unused := make(map[string]bool)
	for command := range notTyped {
		unused[command] = true
	}
	typed := 0
	for _, file := range documents(t) {
		t.Run(strings.TrimPrefix(filepath.ToSlash(file), "../"), func(t *testing.T) {
			var script []string
			for _, command := range shellCommands(t, file) {
				if notTyped[command] == "" {
					script = append(script, command)
				}
				delete(unused, command)
			}
			if len(script) == 0 {
				return
			}
			typed += len(script)
			n := reader(t)
			if strings.HasSuffix(file, "operations.md") {
				write(t, filepath.Join(n.dir, "etc", "download.key"), secret)
			}
			folder := "."
			for _, command := range script {
				if to, ok := strings.CutPrefix(command, "cd "); ok {
					folder = to
					continue
				}
				text := strings.NewReplacer("sudo ", "", "/etc/caddy", filepath.Join(n.dir, "etc"), "/etc/systemd/system", n.dir, "/usr/local/bin", filepath.Join(n.dir, "bin")).Replace(n.typed(command))
				out, err := n.shell("curl() { command curl --fail --no-progress-meter \"$@\"; }\ncd " + folder + "\n" + text).CombinedOutput()
				code := 0
				if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
					code = ended.ExitCode()
				} else if err != nil {
					t.Fatal(err)
				}
				if code != exitCodes[command] {
					t.Errorf("%s: exit code %d, want %d: %s", command, code, exitCodes[command], out)
				}
			}
		})
	}
	for command := range unused {
		t.Errorf("no document has %q", command)
	}
	if typed < 25 {
		t.Errorf("only %d commands typed", typed)
	}
}

// reader is a newcomer with a Caddy that serves the site of docs/issuer.md, its
// programs in the PATH, and what the commands of the documents take for granted.
func reader(t *testing.T) *newcomer {
	t.Helper()
	n := &newcomer{t: t, dir: t.TempDir(), address: freeAddress(t), admin: freeAddress(t)}
	home, bin := t.TempDir(), filepath.Join(n.dir, "bin")
	for _, folder := range []string{bin, filepath.Join(n.dir, "etc"), filepath.Join(n.dir, "files")} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{filepath.Join(bin, "caddy"), filepath.Join(n.dir, "caddy")} {
		if err := os.Symlink(caddyBinary(t), link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(n.dir, "example"), os.DirFS("../example")); err != nil {
		t.Fatal(err)
	}
	n.env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "CADDY_ADMIN="+n.admin,
		"DOWNLOAD_SECRET="+secret, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	n.save(n.blockOf(issuerFile, "caddyfile", "download_token_issuer"))
	root := filepath.Join(n.dir, "files")
	n.save(strings.Replace(readText(t, filepath.Join(n.dir, "Caddyfile")), "/srv/files", root, 1))
	write(t, filepath.Join(root, "report.pdf"), "the report")
	write(t, filepath.Join(n.dir, "etc", "Caddyfile"), "example.com {\n\troot "+root+"\n\tdownload_token {\n\t\tkey HS256 {env.DOWNLOAD_SECRET}\n\t\tscope path\n\t}\n\tfile_server\n}\n"+
		"files.example.com {\n\troot "+root+"\n\t"+strings.Replace(inbox, "10m", "24h", 1)+"\n}\n")
	t.Cleanup(n.serve(caddyBinary(t) + " run --config Caddyfile"))

	req, err := http.NewRequest(http.MethodPost, "http://"+n.address+"/tokens/?file=report.pdf", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("alice", "cube1234")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var made struct{ Token string }
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || made.Token == "" {
		t.Fatalf("%s: %q, %v", resp.Status, made.Token, err)
	}
	n.env = append(n.env, "TOKEN="+made.Token)
	write(t, filepath.Join(n.dir, "token.txt"), mint(t, claims{"scope": "download:/reports/q3.pdf"}))
	write(t, filepath.Join(n.dir, "link.txt"), "https://example.com/reports/q3.pdf?download_token="+mint(t, claims{"scope": "download:/reports/q3.pdf"}))
	return n
}

// TestDocsShellReasons: the tests that run what TestDocsShell does not are there.
func TestDocsShellReasons(t *testing.T) {
	tests, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range tests {
		all.WriteString(readText(t, file))
	}
	for command, why := range notTyped {
		for _, name := range regexp.MustCompile(`Test\w+`).FindAllString(why, -1) {
			if !strings.Contains(all.String(), "\nfunc "+name+"(t *testing.T) {") {
				t.Errorf("%s: there is no %s", command, name)
			}
		}
	}
}
