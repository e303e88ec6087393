package e2e

import (
	"context"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// everyWrite lets each token do everything by WebDAV.
const everyWrite = `download_token {
		from header Authorization
		from basic
		from query download_token
		key HS256 "` + secret + `"
		scope any {
			allow read modify
		}
		methods webdav
	}
	`

// TestLitmus lets the WebDAV test suite of Debian loose on a server, and on the same one
// behind us: each test must end in the same way.
func TestLitmus(t *testing.T) {
	plain := litmus(t, start(t, nil, "test_webdav"))
	if passed := len(slices.DeleteFunc(slices.Clone(plain), func(line string) bool { return !strings.Contains(line, " pass") })); passed < 70 {
		t.Errorf("only %d tests pass without us, so that they show nothing", passed)
	}
	ours := litmus(t, start(t, nil, everyWrite+"test_webdav"))
	if !slices.Equal(plain, ours) {
		t.Errorf("without us:\n%s\nwith us:\n%s", strings.Join(plain, "\n"), strings.Join(ours, "\n"))
	}
}

// litmus returns a line for each test: its name, and how it ended.
func litmus(t *testing.T, s *server) (results []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, "litmus"), "-k", s.url+"/", "user", mint(t, claims{"exp": time.Now().Add(5 * time.Minute).Unix()}))
	cmd.Dir = t.TempDir() // for its logs
	out, _ := cmd.CombinedOutput()
	for _, line := range regexp.MustCompile(`\d+\. (\w+)[. ]+(pass|FAIL|SKIPPED|WARNING)`).FindAllStringSubmatch(string(out), -1) {
		results = append(results, line[1]+" "+line[2])
	}
	return results
}
