package command

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
)

var allAlgs = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
	"ES256", "ES384", "ES512", "EdDSA",
}

// execute runs the command line and returns what it prints.
func execute(stdin string, args ...string) (stdout, stderr string, err error) {
	root := &cobra.Command{Use: "download-token", SilenceUsage: true}
	build(root)
	var out, errOut bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&errOut)
	root.SetArgs(args)
	err = root.Execute()
	return out.String(), errOut.String(), err
}

// mustExecute is execute for commands that have to succeed.
func mustExecute(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	stdout, stderr, err := execute(stdin, args...)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	if stderr != "" {
		t.Fatalf("%q: on standard error: %s", args, stderr)
	}
	return stdout
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestKeygen(t *testing.T) {
	for _, alg := range allAlgs {
		t.Run(alg, func(t *testing.T) {
			dir := t.TempDir()
			private, public := filepath.Join(dir, "private"), filepath.Join(dir, "public")
			args := []string{"keygen", alg, "--out", private}
			verifies := private
			if alg[:2] != "HS" {
				args = append(args, "--public", public)
				verifies = public
			}
			if out := mustExecute(t, "", args...); out != "" {
				t.Errorf("printed, though there is a file: %q", out)
			}
			key, warnings, err := token.ParseKey(alg, strings.TrimSuffix(readFile(t, verifies), "\n"))
			if err != nil || len(warnings) > 0 {
				t.Fatalf("the plugin refuses the key: %v %v", err, warnings)
			}
			signing, _, err := parseSigningKey(readFile(t, private), alg, "")
			if err != nil {
				t.Fatal(err)
			}
			if same := signing.Key(); same.Fingerprint() != key.Fingerprint() {
				t.Error("the two keys do not belong together")
			}
			if info, err := os.Stat(private); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestKeygenSecretSizes(t *testing.T) {
	seen := make(map[string]bool)
	for alg, size := range map[string]int{"HS256": 32, "HS384": 48, "HS512": 64} {
		for range 2 {
			text := mustExecute(t, "", "keygen", alg)
			secret, err := token.Secret(strings.TrimSuffix(text, "\n"))
			if err != nil || !strings.HasPrefix(text, "base64:") || len(secret) != size || seen[text] {
				t.Errorf("%s: %d bytes in %q, %v", alg, len(secret), text, err)
			}
			seen[text] = true
		}
	}
}

func TestKeygenBits(t *testing.T) {
	key, err := sign.ParsePrivateKey(mustExecute(t, "", "keygen", "PS256", "--bits", "3072"))
	if err != nil {
		t.Fatal(err)
	}
	if bits := key.Public().(*rsa.PublicKey).N.BitLen(); bits != 3072 {
		t.Errorf("%d bits", bits)
	}
}

func TestKeygenJWK(t *testing.T) {
	for _, alg := range allAlgs {
		t.Run(alg, func(t *testing.T) {
			public := filepath.Join(t.TempDir(), "public")
			args := []string{"keygen", alg, "--jwk", "--kid", "2027"}
			if alg[:2] != "HS" {
				args = append(args, "--public", public)
			}
			private := mustExecute(t, "", args...)
			signer, _, err := parseSigningKey(private, "", "")
			if err != nil {
				t.Fatal(err)
			}
			if key := signer.Key(); key.Alg != alg || key.ID != "2027" {
				t.Errorf("alg %q, kid %q", key.Alg, key.ID)
			}
			if alg[:2] == "HS" {
				return
			}
			var members map[string]string
			if err := json.Unmarshal([]byte(readFile(t, public)), &members); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
				if members[name] != "" {
					t.Errorf("the public JWK has the private member %s", name)
				}
			}
			if members["use"] != "sig" || members["alg"] != alg || members["kid"] != "2027" {
				t.Errorf("members %v", members)
			}
			if _, _, err := parseSigningKey(readFile(t, public), "", ""); err == nil {
				t.Error("the public JWK is taken for one that signs")
			}
		})
	}
}

func TestKeygenJSON(t *testing.T) {
	var report struct{ Alg, Private, Public, PrivateFile, PublicFile string }
	if err := json.Unmarshal([]byte(mustExecute(t, "", "keygen", "ES384", "--json")), &report); err != nil {
		t.Fatal(err)
	}
	if _, _, err := token.ParseKey("ES384", report.Public); err != nil || report.Alg != "ES384" {
		t.Errorf("public %q: %v", report.Public, err)
	}
	if _, _, err := parseSigningKey(report.Private, "", ""); err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	out := mustExecute(t, "", "keygen", "HS512", "--json", "--out", file)
	if strings.Contains(out, strings.TrimSpace(readFile(t, file))) {
		t.Error("the secret is in a file and printed as well")
	}
	if !strings.Contains(out, `"private_file"`) {
		t.Errorf("%s", out)
	}
}

func TestKeygenKeepsFiles(t *testing.T) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "key"), filepath.Join(dir, "other")
	if err := os.WriteFile(file, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"keygen", "HS256", "--out", file},
		{"keygen", "EdDSA", "--out", other, "--public", file},
	} {
		if _, _, err := execute("", args...); err == nil || !strings.Contains(err.Error(), "exists already") {
			t.Errorf("%q: %v", args, err)
		}
	}
	if readFile(t, file) != "precious" {
		t.Error("the file was written to")
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("half a pair was written")
	}
	if _, _, err := execute("", "keygen", "EdDSA", "--out", other, "--public", filepath.Join(dir, "no", "key")); err == nil {
		t.Error("a public key in a folder that there is not")
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("half a pair is left")
	}
	mustExecute(t, "", "keygen", "HS256", "--out", file, "--force")
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v after --force, %v", info.Mode(), err)
	}
	if !strings.HasPrefix(readFile(t, file), "base64:") {
		t.Error("--force did not write")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestKeygenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no algorithm":             {nil, "write one algorithm"},
		"an unknown one":           {[]string{"HS1"}, "unknown algorithm"},
		"none":                     {[]string{"none"}, "no signature"},
		"in small letters":         {[]string{"hs256"}, "write HS256"},
		"a weak RSA key":           {[]string{"RS256", "--bits", "1024"}, "--bits"},
		"a slow RSA key":           {[]string{"RS256", "--bits", "32768"}, "--bits"},
		"bits of a secret":         {[]string{"HS256", "--bits", "4096"}, "--bits is for RSA"},
		"public half of a secret":  {[]string{"HS256", "--public", "x"}, "--public"},
		"ID without a place":       {[]string{"HS256", "--kid", "x"}, "--kid"},
		"two keys in one stream":   {[]string{"EdDSA", "--public", "-"}, "--public -"},
		"one file for both":        {[]string{"EdDSA", "--public", "x", "--out", "x"}, "same file"},
		"a folder that is not one": {[]string{"HS256", "--out", filepath.Join(t.TempDir(), "no", "key")}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, err := execute("", append([]string{"keygen"}, c.args...)...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if strings.Contains(out, "base64:") || strings.Contains(out, "PRIVATE") {
				t.Errorf("printed a key: %s", out)
			}
		})
	}
}

// TestForceReplacesFilesOnly: a device that root could take the place of stays one.
func TestForceReplacesFilesOnly(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{dir, os.DevNull} {
		if _, _, err := execute("", "keygen", "HS256", "--force", "--out", name); err == nil || !strings.Contains(err.Error(), "choose another name") {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().IsRegular() {
			t.Fatalf("%s was replaced", name)
		}
	}
}
