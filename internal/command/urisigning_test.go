package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	encryptionSecret = "base64:4uFxxV7fhNmrtiah2d1fFg==" // of RFC 9246 Appendix A
	signed9246       = fitKey + "\n\t\tissuer me\n\t\tprofile rfc9246 {\n\t\t\tdecrypt dir " + encryptionSecret + "\n\t\t}"
)

// TestMintProfile makes links of RFC 9246 that a directive takes, and whose token is good
// for nothing else.
func TestMintProfile(t *testing.T) {
	t.Setenv("ENCRYPTION", encryptionSecret)
	t.Setenv("ENCRYPTION_JWK", `{"kty":"oct","kid":"e","k":"4uFxxV7fhNmrtiah2d1fFg"}`)
	config := writeConfig(t, fitConfig(signed9246))
	const address = "http://a.example/d/f%20g.txt?x=1"
	for name, tt := range map[string]struct {
		args []string
		want string // what the link begins with
	}{
		"a hash":           {nil, address + "&URISigningPackage=ey"},
		"in the path":      {[]string{"--path-style"}, "http://a.example/d/f%20g.txt;URISigningPackage=ey"},
		"an expression":    {[]string{"--regex", `http://a\.example/d/.*`}, address + "&URISigningPackage=ey"},
		"renewed":          {[]string{"--renew", "30s", "--claim", "cdnistd:=1"}, ""},
		"in redirects":     {[]string{"--renew", "30s", "--claim", "cdnistt:=2"}, ""},
		"once":             {[]string{"--one-time"}, ""},
		"encrypted":        {[]string{"--sub", "UserToken", "--client-ip", "127.0.0.0/8", "--encrypt", "env:ENCRYPTION"}, ""},
		"encrypted by JWK": {[]string{"--sub", "UserToken", "--encrypt", "env:ENCRYPTION_JWK"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			link, said, err := execute(testSecret, append([]string{"mint", "--key", "-", "--iss", "me", "--profile", "rfc9246", "--url", address}, tt.args...)...)
			if link = strings.TrimSpace(link); err != nil || said != "" || !strings.HasPrefix(link, tt.want) {
				t.Fatal(link, said, err)
			}
			found, err := inspectJSON(t, link, "--config", config)
			if err != nil || found.Verdict != "passed" || found.Checks[0].URISigning != "200" || found.Checks[0].OneTime != (name == "once") {
				t.Fatalf("%s: %+v, %v", link, found, err)
			}
			found, _ = inspectJSON(t, strings.Replace(link, "a.example/d", "a.example/e", 1), "--config", config)
			if found.Checks[0].Reason != "scope" || found.Checks[0].URISigning != "411" || !strings.Contains(found.Checks[0].Remedy, "cdniuc") {
				t.Errorf("another address: %+v", found)
			}
			if strings.Contains(link, "UserToken") {
				t.Error("the subject is in plain text")
			}
		})
	}
	link, said, err := execute("", "mint", "--config", config, "--url", address)
	if err != nil || !strings.Contains(said, "--profile rfc9246 --param URISigningPackage") || !strings.Contains(link, "&URISigningPackage=") {
		t.Errorf("what the directive asks for: %s, %s, %v", link, said, err)
	}
}

// TestMintProfileRefuses says what does not belong together.
func TestMintProfileRefuses(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("base64:cGxhbnRlZA=="), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"mint", "--key", "-", "--profile", "rfc9246", "--url", "http://a.example/f"}
	for says, args := range map[string][]string{
		"add --profile rfc9246":           {"mint", "--key", "-", "--regex", ".*"},
		"--profile: write rfc9246":        {"mint", "--key", "-", "--profile", "cat"},
		"write it with --url":             {"mint", "--key", "-", "--profile", "rfc9246"},
		"leave out --path and --scope":    append(base, "--path", "/f"),
		"a second or more":                append(base, "--renew", "10ms"),
		"give the key with --encrypt":     append(base, "--sub", "me"),
		"--encrypt: is no key of 16":      append(base, "--sub", "me", "--encrypt", short),
		"does not match --url as a whole": append(base, "--regex", `http://a\.example`),
		"is not accepted":                 append(base, "--regex", `(`),
		"is set twice":                    append(base, "--claim", "cdniuc=x"),
	} {
		out, _, err := execute(testSecret, args...)
		if err == nil || out != "" || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "cGxh") {
			t.Errorf("%s: %v, %q", says, err, out)
		}
	}
}

// TestMeanings says in words what the claims of RFC 9246 mean, and nothing of other tokens.
func TestMeanings(t *testing.T) {
	said, _, err := execute(unsigned(`{"alg":"ES256"}`, `{"cdniuc":"regex:.*","jti":"j","cdniets":30,"cdnistt":1,"cdnistd":2,"exp":1646867369}`), "inspect")
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{
		`"regex:.*"  opens each URI that the expression matches as a whole`, `"j"  can be used once for each path`, "it is renewed in a cookie",
		"how many segments of the path the cookie is for",
	} {
		if !strings.Contains(said, words) {
			t.Errorf("it does not say %s: %s", words, said)
		}
	}
	out, _, err := execute(unsigned(`{"alg":"ES256"}`, `{"jti":"j","sub":"a"}`), "inspect", "--json")
	var found struct{ Meanings map[string]string }
	if err != nil || json.Unmarshal([]byte(out), &found) != nil || len(found.Meanings) > 0 {
		t.Errorf("another token: %v, %v", found, err)
	}
	for claims, words := range map[string]string{
		`{"cdniuc":"glob:*"}`:             "no container that RFC 9246 knows",
		`{"cdniuc":1}`:                    "no container that RFC 9246 knows",
		`{"cdniuc":"hash:x","cdnistt":0}`: "it is not renewed",
		`{"cdniuc":"hash:x","cdnistd":0}`: "the cookie is for the whole host",
		`{"cdniuc":"hash:x"}`:             "opens one URI",
		`{"cdniuc":"x","cdnistt":"a"}`:    "no transport that RFC 9246 knows",
		`{"cdniuc":"x","cdnistt":2}`:      "in redirects to other hosts",
	} {
		if said, _, err := execute(unsigned(`{}`, claims), "inspect"); err != nil || !strings.Contains(said, words) {
			t.Errorf("%s: %v, %s", claims, err, said)
		}
	}
}
