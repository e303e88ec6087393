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

// TestStrayArgumentsAreNotQuoted: what stands in the wrong place may be a token or a
// secret, and standard error is often kept.
func TestStrayArgumentsAreNotQuoted(t *testing.T) {
	const stray = "eyJhbGciOiJIUzI1NiJ9.e30.c3RyYXk"
	for _, args := range [][]string{{stray}, {"keygen", stray}, {"keygen", "HS256", stray}, {"mint", stray}, {"inspect", stray, stray}} {
		out, warnings, err := execute("", args...)
		if err == nil || !strings.Contains(err.Error(), "write ") && !strings.Contains(err.Error(), "takes ") {
			t.Errorf("%s: %v", args[0], err)
		} else if strings.Contains(out+warnings+err.Error(), stray) {
			t.Errorf("%s: %v", args[0], err)
		}
	}
}
