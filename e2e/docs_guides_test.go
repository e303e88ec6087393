package e2e

import (
	"io/fs"
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
				t.Errorf("who is told %s does not find %s in %q", word, row[1], line)
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
