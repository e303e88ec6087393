package command

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelpExamples: the examples in the help have only options that there are, and
// the usage lines name none that there is not.
func TestHelpExamples(t *testing.T) {
	root := &cobra.Command{Use: "download-token"}
	build(root)
	for _, cmd := range root.Commands() {
		if cmd.Long == "" || !strings.Contains(cmd.Example, "$ caddy download-token "+cmd.Name()) {
			t.Errorf("%s has no help or examples", cmd.Name())
		}
		for field := range strings.FieldsSeq(cmd.Example + " " + cmd.Use + " " + cmd.Long) {
			field = strings.Trim(field, "[].,;:()")
			if name, ok := strings.CutPrefix(field, "--"); ok && name != "" {
				name, _, _ = strings.Cut(strings.TrimRight(name, "[]"), "=")
				name, _, _ = strings.Cut(name, "[")
				if cmd.Flags().Lookup(name) == nil {
					t.Errorf("%s: the help names --%s, which is no option", cmd.Name(), name)
				}
			}
		}
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			if len(strings.TrimRight(line, "\n")) > 100 {
				t.Errorf("%s: a long line: %s", cmd.Name(), line)
			}
		}
	}
}
