package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
)

// TestDocsTroubleshooting: the page has an entry for each reason, in the order of the
// checks, that says what it means, what causes it and what to do; and each is found by
// what the reference says that the client is told.
func TestDocsTroubleshooting(t *testing.T) {
	text := readText(t, "../docs/troubleshooting.md")
	_, entries, _ := strings.Cut(text, "\n## The reasons\n")
	entries, _, _ = strings.Cut(entries, "\n## ")
	form := regexp.MustCompile(`(?s)^[^-].*\.\n\n- Causes: .*\.\n- Do: .*\.$`)
	var found []string
	for _, entry := range strings.Split(entries, "\n### ")[1:] {
		name, said, _ := strings.Cut(entry, "\n")
		found = append(found, strings.Trim(name, "`"))
		if !form.MatchString(strings.TrimSpace(said)) {
			t.Errorf("%s is not a meaning, causes and a cure: %q", name, said)
		}
	}
	if want := downloadtoken.Reasons(); !slices.Equal(found, want) {
		t.Errorf("entries\n%q, want\n%q", found, want)
	}

	rows := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| \\d+ \\| ([^|]+) \\|").FindAllStringSubmatch(readText(t, referenceFile), -1)
	if len(rows) < len(found) {
		t.Fatalf("the reference has %d reasons", len(rows))
	}
	for _, row := range rows {
		for word := range strings.SplitSeq(row[2], "; ") {
			line := regexp.MustCompile(`(?m)^\| (?:[a-z_]+, )*` + word + `(?:, [a-z_]+)* \| .*`).FindString(text)
			if word != row[1] && !strings.Contains(line, "[`"+row[1]+"`](#"+row[1]+")") || line == "" {
				t.Errorf("told %s, a client does not find %s in %q", word, row[1], line)
			}
		}
	}
}

// TestDocsThreats: each thing that the threat model says cannot be done names tests that
// there are.
func TestDocsThreats(t *testing.T) {
	var tests strings.Builder
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			tests.WriteString(readText(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, table := range strings.Split(readText(t, "../docs/security.md"), "\n| cannot | test |\n|---|---|\n")[1:] {
		table, _, _ = strings.Cut(table, "\n\n")
		for row := range strings.SplitSeq(table, "\n") {
			rows++
			names := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(row[strings.LastIndex(strings.TrimSuffix(row, " |"), " | "):], -1)
			if len(names) == 0 {
				t.Errorf("no test: %s", row)
			}
			for _, name := range names {
				if !strings.Contains(tests.String(), "\nfunc "+name[1]+"(t *testing.T) {") {
					t.Errorf("there is no %s: %s", name[1], row)
				}
			}
		}
	}
	if rows < 25 {
		t.Errorf("only %d rows found", rows)
	}
}

// migration is one half of a way in docs/migration.md: what serves, and what makes links.
type migration struct {
	t      *testing.T
	blocks []block // of its section, by kind in the order of the page
}

func migrationFrom(t *testing.T, heading string) migration {
	t.Helper()
	const file = "../docs/migration.md"
	text := readText(t, file)
	at := strings.Index(text, "\n## "+heading)
	if at < 0 {
		t.Fatalf("%s has no section %s", file, heading)
	}
	first, end := strings.Count(text[:at], "\n")+1, len(text)
	if next := strings.Index(text[at+1:], "\n## "); next >= 0 {
		end = at + 1 + next
	}
	last := strings.Count(text[:end], "\n") + 1
	m := migration{t: t}
	for _, b := range blocksOf(t, file) {
		var line int
		if _, err := fmt.Sscanf(b.name, "migration.md line %d", &line); err == nil && line > first && line <= last {
			m.blocks = append(m.blocks, b)
		}
	}
	return m
}

// block is the nth of its kind.
func (m migration) block(kind string, n int) string {
	m.t.Helper()
	for _, b := range m.blocks {
		if b.info == kind {
			if n--; n < 0 {
				return b.text
			}
		}
	}
	m.t.Fatalf("no such block of %s", kind)
	return ""
}

// link has the nth program of the section make one; arguments are Python.
func (m migration) link(n int, arguments string) string {
	m.t.Helper()
	return strings.TrimSpace(run(m.t, m.block("python", n)+"\nprint(link("+arguments+"))\n", python(m.t), "-"))
}

// TestDocsMigrationFromNginx: the links of before work with nginx and, while both run,
// through Caddy; those of after with Caddy. Each is refused with the same status when it
// has expired or is for another file or client.
func TestDocsMigrationFromNginx(t *testing.T) {
	t.Setenv("DOWNLOAD_SECRET", secret)
	m := migrationFrom(t, "From nginx")
	dir, address := t.TempDir(), freeAddress(t)
	write(t, filepath.Join(dir, "report.pdf"), "the report")
	write(t, filepath.Join(dir, "other.pdf"), "another")
	if err := os.Chmod(filepath.Join(dir, "report.pdf"), 0o644); err != nil {
		t.Fatal(err)
	}
	root := strings.NewReplacer("root files", "root "+dir, "localhost:8081", address)
	nginxSite(t, dir, address, "access_log off;\nserver {\nlisten "+address+";\nset $secret '"+secret+"';\n"+m.block("nginx", 1)+root.Replace(m.block("nginx", 0))+"}\n")
	old := "http://" + address
	opens := func(site, link string, want int) {
		t.Helper()
		resp, err := client.Get(site + link)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s%s: %d, want %d", site, strings.SplitN(link, "?", 2)[0], resp.StatusCode, want)
		}
	}
	before, elsewhere := m.link(0, `"/report.pdf", "127.0.0.1"`), m.link(0, `"/report.pdf", "203.0.113.7"`)
	expired := strings.TrimSpace(run(t, "import time\nreal = time.time\ntime.time = lambda: real() - 3600\n"+m.block("python", 0)+"\nprint(link('/report.pdf', '127.0.0.1'))\n", python(t), "-"))
	opens(old, before, 200)
	opens(old, strings.Replace(before, "report", "other", 1), 403)
	opens(old, elsewhere, 403)
	opens(old, expired, 410)

	after, elsewhere := m.link(1, `"/report.pdf", "127.0.0.1"`), m.link(1, `"/report.pdf", "203.0.113.7"`)
	expiredAfter := strings.TrimSpace(run(t, "import time\nreal = time.time\ntime.time = lambda: real() - 3600\n"+m.block("python", 1)+"\nprint(link('/report.pdf', '127.0.0.1'))\n", python(t), "-"))
	for i, refused := range []int{403, 401} {
		n := &newcomer{t: t, dir: t.TempDir(), address: freeAddress(t)}
		n.env = append(os.Environ(), "CADDY_ADMIN="+freeAddress(t), "XDG_DATA_HOME="+n.dir, "XDG_CONFIG_HOME="+n.dir)
		n.save(n.typed(root.Replace(m.block("caddyfile", i))))
		stop := n.serve(caddyBinary(t) + " run --config Caddyfile")
		site := "http://" + n.address
		opens(site, after, 200)
		opens(site, strings.Replace(after, "report", "other", 1), 403)
		opens(site, elsewhere, 403)
		opens(site, "/report.pdf", refused)
		opens(site, expiredAfter, map[int]int{403: 410, 401: 401}[refused])
		if i == 1 { // beside nginx
			opens(site, before, 200)
			opens(site, expired, 410)
			opens(site, strings.Replace(before, "report", "other", 1), 403)
		}
		stop()
	}
}

// TestDocsMigrationFromS3: the link of after opens its file, with a name that needs
// escaping, once. The program of before needs an account.
func TestDocsMigrationFromS3(t *testing.T) {
	t.Setenv("DOWNLOAD_SECRET", secret)
	m := migrationFrom(t, "From signed S3")
	run(t, m.block("python", 0), python(t), "-c", "import ast, sys; ast.parse(sys.stdin.read())")
	n := &newcomer{t: t, dir: t.TempDir(), address: freeAddress(t)}
	n.env = append(os.Environ(), "CADDY_ADMIN="+freeAddress(t), "XDG_DATA_HOME="+n.dir, "XDG_CONFIG_HOME="+n.dir)
	if err := os.MkdirAll(filepath.Join(n.dir, "files", "2026"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(n.dir, "files", "2026", "März 3.pdf"), "the report")
	n.save(n.typed(m.block("caddyfile", 0)))
	defer n.serve(caddyBinary(t) + " run --config Caddyfile")()
	link := n.typed(m.link(1, `"2026/März 3.pdf"`))
	got := run(t, "", tool(t, "curl"), "-s", "-r", "4-", link) + run(t, "", tool(t, "curl"), "-sD-", link)
	if !strings.HasPrefix(got, "report") || !strings.Contains(got, "Content-Disposition: attachment") || !strings.HasSuffix(got, "the report") {
		t.Errorf("%q", got)
	}
}
