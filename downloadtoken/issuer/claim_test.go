package issuer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// replacer knows the placeholders {x}, {y}, {empty} and {planted}.
func replacer(x string) *caddy.Replacer {
	repl := caddy.NewReplacer()
	repl.Set("x", x)
	repl.Set("y", "why")
	repl.Set("empty", "")
	repl.Set("planted", "planted")
	return repl
}

func TestClaimValues(t *testing.T) {
	for _, tt := range []struct {
		name, configured, want string // "" for no claim, "!" for errClaim
	}{
		{"text", "download", `"download"`},
		{"text that looks like a number", "007", `"007"`},
		{"a number", "120", `120`},
		{"a number as it is written", "1.0", `1.0`},
		{"a number beyond float64", "12345678901234567890", `12345678901234567890`},
		{"an exponent", "1e3", `1e3`},
		{"true", "true", `true`},
		{"false", "false", `false`},
		{"capital letters", "True", `"True"`},
		{"a quoted number", `"120"`, `"120"`},
		{"a list", `["a", 1, null]`, `["a",1,null]`},
		{"an object", `{"a": {"b": []}}`, `{"a":{"b":[]}}`},
		{"one placeholder", "{x}", `"{planted}"`},
		{"text and a placeholder", "id:{x}/{y}", `"id:{planted}/why"`},
		{"a placeholder in a list", `["{x}"]`, `["{planted}"]`},
		{"a placeholder in an object, but not in its names", `{"{x}": ["{y}", {"{y}": "{x}"}]}`, `{"{x}":["why",{"{y}":"{planted}"}]}`},
		{"a quoted placeholder", `"{y}"`, `"why"`},
		{"an escaped brace", `\{x\}`, `"{x}"`},
		{"one placeholder, empty", "{empty}", ""},
		{"one placeholder, unknown", "{unknown}", ""},
		{"text and an empty placeholder", "user:{empty}", "!"},
		{"text and an unknown placeholder", "user:{unknown}", "!"},
		{"two placeholders, one empty", "{y}{empty}", "!"},
		{"an empty placeholder in a list", `["{empty}"]`, "!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := prepareClaim(Claim{Name: "c", Value: tt.configured})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.fill(replacer("{planted}"))
			switch {
			case tt.want == "!":
				if err != errClaim {
					t.Errorf("%s, %v", got, err)
				}
			case err != nil || string(got) != tt.want:
				t.Errorf("%s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// TestClaimPaths: nothing is minted for what no request can ask for.
func TestClaimPaths(t *testing.T) {
	for _, tt := range []struct {
		name, configured, x string
		want                string // "" for scope.ErrPath
	}{
		{"scope", "file:{x}", "a b/ü.txt", `"file:a b/ü.txt"`},
		{"scope", "file:{x}", "100%", `"file:100%"`},
		{"scope", "file:{x}", `a\b`, ""},
		{"scope", "file:{x}", "a\tb", ""},
		{"scope", "file:{x}", "a\nb", ""},
		{"scope", "file:{x}", "a\x7f", ""},
		{"scope", "file:{x}", "..", ""},
		{"scope", "file:{x}", "a/../b", ""},
		{"scope", "file:{x}", "a//b", ""},
		{"scope", "download:/{x}", "a%20b", `"download:/a%20b"`},
		{"scope", "download:{x}", "/a/", `"download:/a/"`},
		{"scope", "download:/{x}", "a%5Cb", ""},
		{"scope", "download:/{x}", "a%2Fb", ""},
		{"scope", "download:/{x}", "%2e%2e/b", ""},
		{"scope", "download:/{x}", "a%09b", ""},
		{"scope", "download:/a/{x}", "/b", ""},
		{"scope", "download:/{x}", "a download:/", ""}, // would open everything
		{"scope", "download:{x}", "/a download:/", ""},
		{"scope", "download:/a/{x} other", "b", `"download:/a/b other"`},
		{"scope", "{x}", "download:/a download:/b", `"download:/a download:/b"`}, // all of it comes from one that is trusted
		{"scope", "{x}", "https://a.example/read", `"https://a.example/read"`},
		{"scope", "{x}", "download:/a/../b", ""},
		{"scope", "{x}", `file:a\b`, ""},
		{"scope", "{empty}", "", "nil"},
		{"scope", "https://a.example/{x}", "read", `"https://a.example/read"`},
		{"scope", `["file:{x}", "y"]`, "a", `["file:a","y"]`},
		{"scope", `["file:{x}", "y"]`, "..", ""},
		{"scope", `ns\file:1`, "", `"ns\\file:1"`}, // written by the operator
		{"paths", "/users/{x}/", "anna", `"/users/anna/"`},
		{"paths", "/users/{x}/", "..", ""},
		{"paths", "/users/{x}/", `a\b`, ""},
		{"scp", "storage.read:/users/{x}", "anna/a%20b", `"storage.read:/users/anna/a%20b"`},
		{"scp", "storage.read:/users/{x}", "anna storage.read:/", ""}, // scope path scp storage.read:
		{"scp", `["storage.read:/users/{x}"]`, "anna storage.read:/", ""},
		{"scp", "{x}", "storage.read:/a storage.read:/b", `"storage.read:/a storage.read:/b"`},
		{"paths", "/users/{x}", "anna download:/", `"/users/anna download:/"`}, // one path as it is
		{"name", "Dr. {x}", "a b", `"Dr. a b"`},
		{"access", `{"pathPermissions": [{"match": {"path": "/users/{x}"}}]}`, "anna", `{"pathPermissions":[{"match":{"path":"/users/anna"}}]}`},
		{"access", `{"pathPermissions": [{"match": {"path": "/users/{x}"}}]}`, "../x", ""},
		{"sub", "{x}", `DOMAIN\anna`, `"DOMAIN\\anna"`},
		{"note", "of {x}", "..", `"of .."`},
	} {
		t.Run(tt.configured+" "+tt.x, func(t *testing.T) {
			c, err := prepareClaim(Claim{Name: tt.name, Value: tt.configured})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.fill(replacer(tt.x))
			switch {
			case tt.want == "":
				if !errors.Is(err, scope.ErrPath) {
					t.Errorf("%s, %v", got, err)
				} else if tt.x != ".." && strings.Contains(err.Error(), tt.x) {
					t.Errorf("the error repeats the value: %v", err)
				}
			case tt.want == "nil":
				if got != nil || err != nil {
					t.Errorf("%s, %v", got, err)
				}
			case err != nil || string(got) != tt.want:
				t.Errorf("%s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// FuzzClaimStructure puts any text in the place of a placeholder: it ends up as a
// string, whole, and changes nothing else.
func FuzzClaimStructure(f *testing.F) {
	for _, seed := range []string{"alice", `","admin":true,"x":"`, "true", "{planted}", `\{planted\}`, "\xff", "\x00", "null", "\u2028", "😀", "42"} {
		f.Add(seed)
	}
	claims, err := prepareClaims([]Claim{
		{"one", "{x}"}, {"text", "is {x}!"}, {"deep", `{"a": [1, {"b": "{x}", "c": true}]}`}, {"last", "end"},
	}, "")
	if err != nil {
		f.Fatal(err)
	}
	m := minter{signer: testSigner(f, "HS256"), claims: claims, ttl: 60e9}
	f.Fuzz(func(t *testing.T, x string) {
		made, err := m.mint(replacer(x), testNow)
		if errors.Is(err, token.ErrTooLarge) {
			return
		}
		if x == "" || !utf8.ValidString(x) {
			if err == nil {
				t.Fatalf("%q is accepted: %s", x, made.text)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := base64.RawURLEncoding.DecodeString(strings.Split(made.text, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]any
		if err := json.Unmarshal(got, &all); err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		deep, _ := all["deep"].(map[string]any)["a"].([]any)
		inner, _ := deep[1].(map[string]any)
		if len(all) != 6 || all["one"] != x || all["text"] != "is "+x+"!" || all["last"] != "end" ||
			len(deep) != 2 || deep[0] != 1.0 || len(inner) != 2 || inner["b"] != x || inner["c"] != true {
			t.Fatalf("%q: %s", x, got)
		}
	})
}

func TestLinks(t *testing.T) {
	for _, tt := range []struct {
		name, template, x, want string // "" for errClaim
	}{
		{"plain", "https://f.example/a?t={token}", "", "https://f.example/a?t=T.T.T"},
		{"in the path", "https://f.example/{x}?t={token}", "a b/ü?#%&.txt", "https://f.example/a%20b/%C3%BC%3F%23%25%26.txt?t=T.T.T"},
		{"in the query", "https://f.example/?t={token}&f={x}&d=1", "a/b&c=d +", "https://f.example/?t=T.T.T&f=a%2Fb%26c%3Dd+%2B&d=1"},
		{"as the host", "http://{x}/a?t={token}", "[::1]:8080", "http://[::1]:8080/a?t=T.T.T"},
		{"user information", "https://f.example{x}?t={token}", "@evil.example", "https://f.example%40evil.example?t=T.T.T"},
		{"no query", "https://f.example/{x}/{token}", "a", "https://f.example/a/T.T.T"},
		{"twice", "https://f.example/{token}/{x}?t={token}", "a", "https://f.example/T.T.T/a?t=T.T.T"},
		{"a value that asks for the token", "https://f.example/{x}?t={token}", "{token}", "https://f.example/%7Btoken%7D?t=T.T.T"},
		{"a value that asks for more", "https://f.example/?t={token}&x={x}", "{planted}", "https://f.example/?t=T.T.T&x=%7Bplanted%7D"},
		{"line feeds", "https://f.example/{x}?t={token}", "a\r\nb", "https://f.example/a%0D%0Ab?t=T.T.T"},
		{"empty", "https://f.example/{x}?t={token}", "", ""},
		{"unknown", "https://f.example/?t={token}&x={unknown}", "a", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := newLink(tt.template)
			if err != nil {
				t.Fatal(err)
			}
			got, err := l.fill(replacer(tt.x), "T.T.T")
			if tt.want == "" {
				if err != errClaim {
					t.Errorf("%s, %v", got, err)
				}
			} else if err != nil || got != tt.want {
				t.Errorf("%s, %v, want %s", got, err, tt.want)
			}
		})
	}
	if _, err := newLink("https://f.example/a#b?t={token}"); err == nil || !strings.Contains(err.Error(), "%23") {
		t.Error(err)
	}
	if _, err := newLink("https://f.example/{tokens}"); err == nil || !strings.Contains(err.Error(), "{token}") {
		t.Error(err)
	}
}
