package e2e

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

const (
	readmeFile    = "../README.md"
	referenceFile = "../docs/reference.md"
	issuerFile    = "../docs/issuer.md"
)

// TestDocsCaddyfiles loads every Caddyfile in the documents and examples, short
// of starting it: caddy fmt leaves it unchanged, it adapts without a warning,
// and its configuration is valid.
//
// A block marked caddyfile is a whole file, caddyfile site is part of a site,
// caddyfile directive is subdirectives of download_token; the last get a key
// and a scope if they have none.
func TestDocsCaddyfiles(t *testing.T) {
	count := 0
	check := func(name, whole string) {
		count++
		t.Run(name, func(t *testing.T) {
			if formatted := string(caddyfile.Format([]byte(whole))); formatted != whole {
				t.Errorf("caddy fmt would write:\n%s\ninstead of:\n%s", formatted, whole)
			}
			config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(standIns(t, whole)), map[string]any{"filename": "Caddyfile"})
			if err != nil {
				t.Fatal(err)
			}
			for _, warning := range warnings {
				t.Errorf("line %d: %s", warning.Line, warning.Message)
			}
			validateConfig(t, config)
			wantWindowsWithinTTL(t, config)
		})
	}
	for _, file := range documents(t) {
		for _, b := range blocksOf(t, file) {
			switch b.info {
			case "caddyfile":
				check(b.name, b.text)
			case "caddyfile site":
				check(b.name, siteFile(b.text))
			case "caddyfile directive":
				check(b.name, directiveFile(b.text))
			case "json":
				count++
				t.Run(b.name, func(t *testing.T) {
					validateConfig(t, []byte(standIns(t, b.text)))
					wantWindowsWithinTTL(t, []byte(b.text))
				})
			default:
				if strings.HasPrefix(b.info, "caddyfile") {
					t.Errorf("%s: unknown kind of block %q", b.name, b.info)
				}
			}
		}
	}
	err := filepath.WalkDir("../example", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Base(path) == "Caddyfile" {
			check(path, readText(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if count < 15 {
		t.Errorf("only %d configurations found", count)
	}
}

// wantWindowsWithinTTL fails the test if a download_token handler in the
// configuration promises to resume for longer than its tokens live, of which there
// is a warning at load.
func wantWindowsWithinTTL(t *testing.T, config []byte) {
	t.Helper()
	var handler struct {
		MaxTTL  caddy.Duration `json:"max_ttl"`
		OneTime struct {
			Resume struct {
				Window  caddy.Duration
				PastExp bool `json:"past_exp"`
			}
		} `json:"one_time"`
	}
	var members map[string]json.RawMessage
	var elements []json.RawMessage
	switch {
	case json.Unmarshal(config, &members) == nil:
		if members["one_time"] != nil && json.Unmarshal(config, &handler) == nil && handler.MaxTTL > 0 &&
			!handler.OneTime.Resume.PastExp && handler.OneTime.Resume.Window > handler.MaxTTL {
			t.Errorf("resume %v with max_ttl %v", time.Duration(handler.OneTime.Resume.Window), time.Duration(handler.MaxTTL))
		}
		for _, member := range members {
			wantWindowsWithinTTL(t, member)
		}
	case json.Unmarshal(config, &elements) == nil:
		for _, element := range elements {
			wantWindowsWithinTTL(t, element)
		}
	}
}

// TestDocsLinks follows the relative links of the documents to files and
// headings.
func TestDocsLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]*)\)`)
	for _, file := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(prose(readText(t, file)), -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := file
			if target != "" {
				to = filepath.Join(filepath.Dir(file), target)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %v", file, err)
			} else if anchor != "" && !slices.Contains(anchors(readText(t, to)), anchor) {
				t.Errorf("%s: %s has no heading #%s", file, to, anchor)
			}
		}
	}
}

// grammarOf reads the syntax out of the godoc of the function that parses a
// directive, without the comment marks.
func grammarOf(t *testing.T, file, function string) []string {
	t.Helper()
	before, _, found := strings.Cut(readText(t, file), "\nfunc "+function+"(")
	if !found {
		t.Fatalf("%s has no function %s", file, function)
	}
	doc := before[strings.LastIndex(before, "\n\n"):]
	var grammar []string
	for line := range strings.Lines(doc) {
		if syntax, ok := strings.CutPrefix(line, "//\t"); ok {
			grammar = append(grammar, strings.TrimRight(syntax, "\n"))
		} else if line == "//\n" && len(grammar) > 0 && grammar[len(grammar)-1] != "}" {
			grammar = append(grammar, "")
		}
	}
	if len(grammar) < 5 {
		t.Fatalf("no grammar found in %s: %q", file, grammar)
	}
	return grammar
}

// TestDocsIssuerSettings looks for each subdirective of the other two directives
// in docs/issuer.md, but for those that download_token has as well.
func TestDocsIssuerSettings(t *testing.T) {
	document := readText(t, issuerFile)
	shared := grammarOf(t, "../caddyfile/directive.go", "parseDirective")
	for _, line := range slices.Concat(
		grammarOf(t, "../caddyfile/issuer.go", "parseIssuerDirective"),
		slices.DeleteFunc(grammarOf(t, "../caddyfile/session.go", "parseSessionDirective"),
			func(line string) bool { return slices.Contains(shared, line) }),
	) {
		syntax, inside := strings.CutPrefix(strings.TrimSuffix(line, " {"), "\t")
		if want := "\n- `" + syntax + "`: "; inside && !strings.HasPrefix(syntax, "\t") && syntax != "}" && !strings.Contains(document, want) {
			t.Errorf("%s lacks %q", issuerFile, want)
		}
	}
}

// TestDocsUploadSettings looks for each subdirective of download_token_upload, and each
// of its refusals, in docs/upload.md.
func TestDocsUploadSettings(t *testing.T) {
	document, grammar := readText(t, "../docs/upload.md"), grammarOf(t, "../caddyfile/upload.go", "parseUploadDirective")
	if block := "```text\n" + strings.Join(grammar, "\n") + "\n```"; !strings.Contains(document, block) {
		t.Errorf("docs/upload.md lacks\n%s", block)
	}
	for _, line := range grammar[1 : len(grammar)-1] {
		if want := "\n- `" + strings.TrimSpace(line) + "`: "; !strings.Contains(document, want) {
			t.Errorf("docs/upload.md lacks %q", want)
		}
	}
	refusals := regexp.MustCompile(`&refusal\{http\.\w+, "(\w+)"\}`).FindAllStringSubmatch(readText(t, "../downloadtoken/upload/refusal.go"), -1)
	if len(refusals) < 15 {
		t.Errorf("only %d refusals found", len(refusals))
	}
	for _, match := range refusals {
		if !strings.Contains(document, " | `"+match[1]+"` | ") {
			t.Errorf("docs/upload.md has no row for the reason %s", match[1])
		}
	}
}

// TestDocsGrammar compares the documents with the grammar in the godoc of the
// directive.
func TestDocsGrammar(t *testing.T) {
	grammar := grammarOf(t, "../caddyfile/directive.go", "parseDirective")
	readme := readText(t, readmeFile)
	comment := regexp.MustCompile(` +# .*`)
	syntaxBlock := "```text\n" + strings.Join(grammar, "\n") + "\n```"
	if !strings.Contains(comment.ReplaceAllString(readme, ""), syntaxBlock) {
		t.Errorf("the README's syntax block is not, without its comments:\n%s", syntaxBlock)
	}

	reference := readText(t, referenceFile)
	for _, line := range grammar[1 : len(grammar)-1] {
		syntax := strings.TrimSuffix(strings.TrimSpace(line), " {")
		want := "\n### `" + syntax + "`\n"
		if strings.HasPrefix(line, "\t\t") {
			want = "\n- `" + syntax + "`: "
		}
		if syntax != "" && syntax != "}" && !strings.Contains(reference, want) {
			t.Errorf("%s lacks %q", referenceFile, want)
		}
	}
	for _, reason := range downloadtoken.Reasons() {
		if !strings.Contains(reference, "\n| `"+reason+"` | ") {
			t.Errorf("%s has no row for the reason %s", referenceFile, reason)
		}
		if !strings.Contains(readme, "`"+reason+"`") {
			t.Errorf("%s lacks the reason %s", readmeFile, reason)
		}
	}
}

// TestDocsLogFormat: every example, and whatever in the documents has a log, keeps tokens
// out of it.
func TestDocsLogFormat(t *testing.T) {
	texts := make(map[string]string)
	for _, pattern := range []string{"../example/Caddyfile", "../example/*/Caddyfile", "../example/*/*/Caddyfile"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			texts[file] = readText(t, file)
		}
	}
	if len(texts) < 5 {
		t.Errorf("only %d examples found", len(texts))
	}
	inSites := 0
	for _, file := range documents(t) {
		for _, block := range blocksOf(t, file) {
			if regexp.MustCompile(`(?m)^\t*log( \{)?$`).MatchString(block.text) {
				texts[block.name] = block.text
				inSites++
			}
		}
	}
	if inSites < 2 {
		t.Errorf("only %d logs found", inSites)
	}
	format := regexp.MustCompile(`(?ms)^\tlog \{\n(\t\t[^\n]*\n)*\t\tformat redact_jwt\b`)
	for name, text := range texts {
		if !format.MatchString(text) {
			t.Errorf("%s: the global option log lacks format redact_jwt", name)
		}
	}
}

// TestDocsModules compares what xcaddy.md says of the modules in a binary.
func TestDocsModules(t *testing.T) {
	var modules []string
	for _, id := range caddy.Modules() {
		if strings.Contains(id, "download_token") {
			modules = append(modules, id)
		}
	}
	if want := "```text\n" + strings.Join(modules, "\n") + "\n```\n"; !strings.Contains(readText(t, "../xcaddy.md"), want) {
		t.Errorf("xcaddy.md lacks this block:\n%s", want)
	}
}

// TestDocsAdmin looks for the fields of the admin API, and for the outcomes in the
// metric that are no reasons, in the reference.
func TestDocsAdmin(t *testing.T) {
	reference := readText(t, referenceFile)
	sources, err := filepath.Glob("../downloadtoken/*.go")
	if err != nil {
		t.Fatal(err)
	}
	fields := regexp.MustCompile(`json:"(\w+)`).FindAllStringSubmatch(readText(t, "../downloadtoken/store/admin.go")+readText(t, "../downloadtoken/store/adminrevoke.go"), -1)
	outcomes := 0
	for _, file := range sources {
		for _, match := range regexp.MustCompile(`requests\.WithLabelValues\("(\w+)"\)`).FindAllStringSubmatch(readText(t, file), -1) {
			outcomes++
			if !strings.Contains(reference, "\n| `"+match[1]+"` | ") {
				t.Errorf("%s lacks the outcome %s", referenceFile, match[1])
			}
		}
	}
	help := regexp.MustCompile(`"requests_total",\s+"(.*)", "outcome"`).FindStringSubmatch(readText(t, "../downloadtoken/metrics.go"))
	if help == nil || !strings.Contains(readText(t, "../docs/operations.md"), "\n# HELP caddy_download_token_requests_total "+help[1]+"\n") {
		t.Errorf("operations.md shows another text of the metric than %q", help)
	}
	_, admin, _ := strings.Cut(reference, "\n## Admin API\n")
	admin, _, _ = strings.Cut(admin, "\n## ")
	for _, match := range fields {
		if !strings.Contains(admin, "`"+match[1]+"`") {
			t.Errorf("%s lacks the field %s", referenceFile, match[1])
		}
	}
	if len(fields) < 15 || outcomes < 3 {
		t.Errorf("only %d fields and %d outcomes found", len(fields), outcomes)
	}
}

// TestDocsLogLines looks in the sources for the lines of the log that the documents
// quote.
func TestDocsLogLines(t *testing.T) {
	var sources strings.Builder
	for _, folder := range []string{"../downloadtoken", "../internal"} {
		err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") { // in tests are texts that are put together
				sources.WriteString(readText(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	texts := regexp.MustCompile(`" \+\s*"`).ReplaceAllString(sources.String(), "") // that are written in several parts
	_, lines, _ := strings.Cut(readText(t, referenceFile), "\n## Log lines\n")
	lines, _, _ = strings.Cut(lines, "\n## ")
	quoted := regexp.MustCompile("(?m)^- `([^`]+)`: ").FindAllStringSubmatch(lines, -1)
	for _, file := range documents(t) {
		quoted = append(quoted, regexp.MustCompile(`[^*]\*([a-z][^*|]{9,})\*[^*]`).FindAllStringSubmatch(prose(readText(t, file)), -1)...)
	}
	for _, quote := range quoted {
		if text := strings.Join(strings.Fields(quote[1]), " "); !strings.Contains(texts, text) {
			t.Errorf("no source has %q", text)
		}
	}
	if len(quoted) < 8 {
		t.Errorf("only %d quotations found", len(quoted))
	}
}

// TestDocsRevocations sends the revocations in the documents to a server.
func TestDocsRevocations(t *testing.T) {
	s := start(t, nil, limited)
	command := regexp.MustCompile(`(?m)^curl -d '([^']*)' http://localhost:2019/download_token/revoke$`)
	count := 0
	for _, file := range documents(t) {
		for _, match := range command.FindAllStringSubmatch(readText(t, file), -1) {
			count++
			if status, answer := s.revoke(match[1]); status != http.StatusOK {
				t.Errorf("%s: %s: %d %s", file, match[1], status, answer)
			}
		}
	}
	if count < 5 {
		t.Errorf("only %d revocations found", count)
	}
}

// TestDocsTemplates checks the table of scope templates in the reference.
func TestDocsTemplates(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `([^` ]+) (/[^` ]+)` \\| `([^`]+)` \\| (.+) \\| (.+) \\|$")
	rows := row.FindAllStringSubmatch(readText(t, referenceFile), -1)
	if len(rows) < 5 {
		t.Errorf("only %d templates found", len(rows))
	}
	for _, columns := range rows {
		template, err := scope.ParseTemplate(columns[1], columns[2])
		if err != nil {
			t.Error(err)
			continue
		}
		for i, opens := range map[int]bool{4: true, 5: false} {
			for _, path := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(columns[i], -1) {
				if template.Admits(columns[3], path[1]) != opens {
					t.Errorf("%s: the claim %s opens %s: %v", columns[1], columns[3], path[1], !opens)
				}
			}
		}
		validateConfig(t, adaptSnippet(t, "scope template "+columns[1]+" "+columns[2]+"\n"))
	}
}

// adaptSnippet adapts subdirectives of download_token.
func adaptSnippet(t *testing.T, subdirectives string) []byte {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(standIns(t, directiveFile(subdirectives))), nil)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// TestDocsCommands looks for the two commands that the project promises.
func TestDocsCommands(t *testing.T) {
	if !strings.Contains(readText(t, readmeFile), "\n```sh\ngo run ./example\ngo test ./...\n```\n") {
		t.Error("the README lacks its two commands")
	}
}

// TestDocsVersions compares the versions in the documents with go.mod.
func TestDocsVersions(t *testing.T) {
	goMod := readText(t, "../go.mod")
	version := func(module string) string {
		match := regexp.MustCompile(regexp.QuoteMeta(module) + ` (v\S+)`).FindStringSubmatch(goMod)
		if match == nil {
			t.Fatalf("go.mod lacks %s", module)
		}
		return match[1]
	}
	if want := "| " + version("github.com/golang-jwt/jwt/v5") + " |"; !strings.Contains(readText(t, readmeFile), want) {
		t.Errorf("%s lacks %q", readmeFile, want)
	}
	caddyVersion := version("github.com/caddyserver/caddy/v2")
	named := regexp.MustCompile(`(?:[Cc]addy:|xcaddy build v|tested with v|\| unreleased \| v)(\d+\.\d+\.\d+)`)
	for file, times := range map[string]int{readmeFile: 1, "../xcaddy.md": 3, "../example/deploy/Dockerfile": 3} {
		found := named.FindAllStringSubmatch(readText(t, file), -1)
		if len(found) < times {
			t.Errorf("%s names a version of Caddy %d times, want %d", file, len(found), times)
		}
		for _, match := range found {
			if "v"+match[1] != caddyVersion {
				t.Errorf("%s: %q, but go.mod has %s", file, match[0], caddyVersion)
			}
		}
	}
}

// documents are the Markdown files of the repository.
func documents(t testing.TB) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../example/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if !slices.Contains(files, readmeFile) || !slices.Contains(files, referenceFile) {
		t.Fatalf("documents are missing: %q", files)
	}
	return files
}

// block is a fenced code block.
type block struct{ name, info, text string }

var fence = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")

func blocksOf(t testing.TB, file string) []block {
	t.Helper()
	var blocks []block
	text := readText(t, file)
	for _, at := range fence.FindAllStringSubmatchIndex(text, -1) {
		line := strings.Count(text[:at[0]], "\n") + 1
		blocks = append(blocks, block{
			name: fmt.Sprintf("%s line %d", filepath.Base(file), line),
			info: text[at[2]:at[3]],
			text: text[at[4]:at[5]],
		})
	}
	return blocks
}

// prose is a document without its code.
func prose(text string) string {
	return regexp.MustCompile("`[^`\n]*`").ReplaceAllString(fence.ReplaceAllString(text, ""), "")
}

// anchors are the names that headings of a Markdown file get.
func anchors(text string) []string {
	var names []string
	for line := range strings.Lines(fence.ReplaceAllString(text, "")) {
		if heading := strings.TrimLeft(line, "#"); heading != line && strings.HasPrefix(heading, " ") {
			name := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			names = append(names, strings.ReplaceAll(name, " ", "-"))
		}
	}
	return names
}

// siteFile is a Caddyfile with a site of these directives.
func siteFile(directives string) string {
	return "http://localhost:8080 {\n" + indent(directives) + "}\n"
}

// directiveFile is a Caddyfile with these subdirectives of download_token, and
// those that it cannot be without.
func directiveFile(subdirectives string) string {
	lacks := func(name string) bool { return !strings.Contains("\n"+subdirectives, "\n"+name+" ") }
	if lacks("scope") && lacks("profile") {
		subdirectives = "scope any\n" + subdirectives
	}
	if lacks("key") {
		subdirectives = "key HS256 {env.DOWNLOAD_SECRET}\n" + subdirectives
	}
	return siteFile("download_token {\n" + indent(subdirectives) + "}\n")
}

func indent(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" {
			out.WriteByte('\t')
		}
		out.WriteString(line)
	}
	return out.String()
}

// standIns sets the variables that a configuration uses, and puts key files in
// the place of those it names.
func standIns(t *testing.T, config string) string {
	t.Helper()
	for _, match := range regexp.MustCompile(`\{env\.(\w+)\}`).FindAllStringSubmatch(config, -1) {
		value := t.TempDir()
		if strings.HasSuffix(match[1], "SECRET") {
			value = secret + match[1] // two keys must not be the same
		}
		if strings.HasSuffix(match[1], "ENCRYPTION_KEY") {
			value = "base64:" + base64.StdEncoding.EncodeToString([]byte(secret[:16]))
		}
		t.Setenv(match[1], value)
	}
	for _, match := range regexp.MustCompile(`key ((?:RS|PS|ES|Ed)\w+) \{env\.(\w+)\}`).FindAllStringSubmatch(config, -1) {
		t.Setenv(match[2], string(keyMaterial(t, match[1])))
	}
	for _, match := range regexp.MustCompile(`\{\$(\w+)\}`).FindAllStringSubmatch(config, -1) {
		t.Setenv(match[1], "some-text")
	}
	keyFile := regexp.MustCompile(`key (\w+) \{file\.([^{}]+|\{\$\w+\})\}`)
	return keyFile.ReplaceAllStringFunc(config, func(found string) string {
		alg := keyFile.FindStringSubmatch(found)[1]
		file := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(file, keyMaterial(t, alg), 0o600); err != nil {
			t.Fatal(err)
		}
		return "key " + alg + " {file." + filepath.ToSlash(file) + "}"
	})
}

// keyMaterial makes what a key file for the algorithm would hold.
func keyMaterial(t *testing.T, alg string) []byte {
	t.Helper()
	var signer crypto.Signer
	var err error
	switch alg[:2] {
	case "HS":
		return []byte(secret)
	case "RS", "PS":
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES":
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// validateConfig does what `caddy validate` does.
func validateConfig(t *testing.T, config []byte) {
	t.Helper()
	var cfg *caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &cfg); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(cfg); err != nil {
		t.Error(err)
	}
}

func readText(t testing.TB, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")))
}
