package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExampleInbox(t *testing.T) {
	n, link, typed := tryExample(t, "inbox")
	for _, name := range []string{"LICENSE", "README.md"} {
		write(t, filepath.Join(n.dir, name), readText(t, "../"+name))
	}
	said := typed("curl -F")
	if !strings.HasSuffix(strings.TrimSpace(said), "LICENSE") || !strings.Contains(said, `"reason":"used"`) {
		t.Errorf("the shell says %s", said)
	}
	got, err := os.ReadFile(filepath.Join(n.dir, "files", "alice", "LICENSE"))
	if err != nil || string(got) != readText(t, "../LICENSE") {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if status := n.open(strings.Replace(link, "/alice/", "/alice/LICENSE", 1)); status != 403 {
		t.Errorf("a link for sending reads: %d", status)
	}
}
