package caddyfile_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAdviceParses: no message says to write a block on one line, as in
// "one_time { resume 1h }", because Caddy refuses such a block.
func TestAdviceParses(t *testing.T) {
	oneLine := regexp.MustCompile(`[a-z_>] \{ [^}\n]+\}`)
	count := 0
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
				count++
				if oneLine.MatchString(text.Value) {
					t.Errorf("%s: %s", path, text.Value)
				}
			}
			return true
		})
		return nil
	})
	if err != nil || count < 500 {
		t.Errorf("%d texts: %v", count, err)
	}
}
