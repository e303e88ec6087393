package token

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPure: what decides has no network, files, goroutines or clock of its own, and
// knows neither Caddy nor what is built on it.
func TestPure(t *testing.T) {
	imports := strings.Fields(`bytes context crypto crypto/ecdsa crypto/ed25519 crypto/elliptic crypto/hmac crypto/rsa
		crypto/sha256 crypto/sha512 crypto/x509 encoding/base64 encoding/hex encoding/pem errors fmt hash io math
		math/big net/http net/url slices strconv strings sync sync/atomic time github.com/go-json-experiment/json
		github.com/go-json-experiment/json/jsontext github.com/golang-jwt/jwt/v5`)
	ofHTTP := []string{"Request", "Header", "CanonicalHeaderKey"} // types, and no network
	clocks := []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range file.Imports {
			if path, _ := strconv.Unquote(imported.Path.Value); !slices.Contains(imports, path) {
				t.Errorf("%s imports %s", name, path)
			}
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", name)
			case *ast.SelectorExpr:
				from, _ := node.X.(*ast.Ident)
				if from != nil && (from.Name == "time" && slices.Contains(clocks, node.Sel.Name) || from.Name == "http" && !slices.Contains(ofHTTP, node.Sel.Name)) {
					t.Errorf("%s uses %s.%s", name, from.Name, node.Sel.Name)
				}
			}
			return true
		})
	}
}
