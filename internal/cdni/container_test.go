package cdni

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestExpression(t *testing.T) {
	const rfc = `[^:]*\://[^/]*/folder/content/quality_[^/]*/segment.{3}\.mp4(\?.*)?`
	tests := []struct {
		name, expression string
		matches, not     []string
	}{
		{"of the RFC", rfc,
			[]string{"http://h/folder/content/quality_1/segment001.mp4", "https://h:1/folder/content/quality_/segmentabc.mp4?x=1"},
			[]string{"http://h/folder/content/quality_1/segment0001.mp4", "http://h/folder/content/quality_1/x/segment001.mp4", "http://h/folder/content/quality_1/segment001.mp4x"}},
		{"the whole only", `http://h/a`, []string{"http://h/a"}, []string{"http://h/ab", "xhttp://h/a", "http://h/a?x=http://h/a", "http://h/", ""}},
		{"the longer alternative", `a|ab`, []string{"a", "ab"}, []string{"abc", "b", "xa", "aab"}},
		{"the longer alternative, first", `ab|a`, []string{"a", "ab"}, []string{"abc"}},
		{"an alternative that is anchored", `^a|b$`, []string{"a", "b"}, []string{"ax", "xb", "ab"}},
		{"a later match that is longer", `a|xab`, []string{"a", "xab"}, []string{"xa", "aab"}},
		{"anchors", `^http://h/a$`, []string{"http://h/a"}, []string{"http://h/ab"}},
		{"anchors at lines", `a$.^b`, nil, []string{"a\nb", "ab"}},
		{"repetition that could be shorter", `a*(ab)*b*`, []string{"", "a", "aab", "ab", "ababbb"}, []string{"ba"}},
		{"an empty expression", ``, []string{""}, []string{"a"}},
		{"a class", `[[:alpha:]_]+[^[:digit:]]`, []string{"ab", "a_", "aé"}, []string{"a1", "1a"}},
		{"a bracket in brackets", `[]a]*[^]a]`, []string{"b", "]ab"}, []string{"]", "a"}},
		{"a backslash in brackets stands for itself", `[\.]a`, []string{".a", `\a`}, []string{"xa"}},
		{"a backslash at the end of brackets", `[^\]]*`, []string{"a]", "a", "]", "/]]"}, []string{"", "ab", "ab]"}},
		{"a bracket behind a backslash", `\[a\]`, []string{"[a]"}, []string{"a"}},
		{"a hyphen at the end", `[a-c-]*`, []string{"abc-"}, []string{"d"}},
		{"percent-encoded", `http://h/%C3%BC`, []string{"http://h/%C3%BC"}, []string{"http://h/%c3%bc", "http://h/ü"}},
		{"cases differ", `http://h/A`, []string{"http://h/A"}, []string{"http://h/a"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := ParseContainer("regex:" + test.expression)
			if err != nil {
				t.Fatal(err)
			}
			for _, uri := range test.matches {
				if !c.Matches(uri) {
					t.Errorf("%q is not matched", uri)
				}
			}
			for _, uri := range test.not {
				if c.Matches(uri) {
					t.Errorf("%q is matched", uri)
				}
			}
		})
	}
}

func TestHash(t *testing.T) {
	const uri = "http://cdni.example/foo/bar"
	b64 := base64.RawURLEncoding.EncodeToString
	s256, s384, s512 := sha256.Sum256([]byte(uri)), sha512.Sum384([]byte(uri)), sha512.Sum512([]byte(uri))
	for _, container := range []string{"hash:sha-256;" + b64(s256[:]), "hash:sha-384;" + b64(s384[:]), "hash:sha-512;" + b64(s512[:])} {
		c, err := ParseContainer(container)
		if err != nil {
			t.Fatal(container, err)
		}
		if !c.Matches(uri) || c.Matches(uri+"/") || c.Matches("") {
			t.Errorf("%s: matches %v, %v, %v", container, c.Matches(uri), c.Matches(uri+"/"), c.Matches(""))
		}
	}
}

func TestNoContainer(t *testing.T) {
	sum := sha256.Sum256(nil)
	digest := base64.RawURLEncoding.EncodeToString(sum[:])
	for name, container := range map[string]string{
		"empty":                          "",
		"another kind":                   "glob:*",
		"a kind in capitals":             "REGEX:.*",
		"no kind":                        "http://h/",
		"no hash":                        "hash:",
		"no digest":                      "hash:sha-256;",
		"no algorithm":                   "hash:" + digest,
		"a truncated hash":               "hash:sha-256-128;" + digest[:22],
		"a digest cut short":             "hash:sha-256;" + digest[:22],
		"a digest that is too long":      "hash:sha-256;" + digest + "AA",
		"of another algorithm":           "hash:sha-512;" + digest,
		"an algorithm in capitals":       "hash:SHA-256;" + digest,
		"an unknown algorithm":           "hash:md5;" + digest[:22],
		"padding":                        "hash:sha-256;" + digest + "=",
		"a line break":                   "hash:sha-256;" + digest[:20] + "\n" + digest[20:],
		"spare bits":                     "hash:sha-256;" + digest[:42] + "V",
		"base64 of the other kind":       "hash:sha-256;" + strings.Repeat("/", 43),
		"something behind it":            "hash:sha-256;" + digest + "?ct=text/plain",
		"a slash as in well-known URLs":  "hash:sha-256/" + digest,
		"an open bracket":                `regex:[a`,
		"an open class":                  `regex:[[:alpha`,
		"an unknown class":               `regex:[[:nothing:]]`,
		"a collating symbol":             `regex:[[.hyphen.]]`,
		"an equivalence class":           `regex:[[=a=]]`,
		"an open group":                  `regex:(a`,
		"a group that closes another":    `regex:a)|(b`,
		"a group of Perl":                `regex:(?:a)`,
		"a class of Perl":                `regex:\d`,
		"a back-reference":               `regex:(a)\1`,
		"a backslash at the end":         `regex:a\`,
		"a range that is upside down":    `regex:[z-a]`,
		"nothing to repeat":              `regex:*`,
		"too many repetitions":           `regex:a{1001}`,
		"repetitions of repetitions":     `regex:((a{10}){10}){100}`,
		"many repetitions, from some on": `regex:(a.b.c){500,}`,
		"optional ones within others":    `regex:(a{0,50}b{0,50}){50}`,
		"too long":                       "regex:" + strings.Repeat("a", 2*maxExpression),
	} {
		if _, err := ParseContainer(container); !errors.Is(err, ErrContainer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUsualSizes: what is meant for files is not too large.
func TestUsualSizes(t *testing.T) {
	for _, expression := range []string{`http://h/(a|b){200}`, `.*`, `http://h/[0-9]{1,100}/[^/]*\.(ts|mp4|m4s)(\?.*)?`} {
		if _, err := ParseContainer("regex:" + expression); err != nil {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

// TestMemory: what is remembered is what was compiled, of each expression its own, and
// stays bounded.
func TestMemory(t *testing.T) {
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i := range 2 * maxCompiled {
				uri := fmt.Sprintf("http://h/%d", i)
				for range 2 {
					c, err := ParseContainer("regex:" + uri)
					if err != nil || !c.Matches(uri) || c.Matches(uri+"0") {
						t.Errorf("%s: %v", uri, err)
					}
				}
				if _, err := ParseContainer("regex:" + uri + "["); err == nil {
					t.Errorf("%s[ is accepted", uri)
				}
			}
		})
	}
	wait.Wait()
	if n := len(compiled.containers); n == 0 || n > maxCompiled {
		t.Errorf("%d are remembered", n)
	}
}

func FuzzContainer(f *testing.F) {
	f.Add(`regex:http://h/[^\]]*[[:alpha:]](a|ab){2,3}`, "http://h/a")
	f.Add("hash:sha-256;2tderfWPa86Ku7YnzW51YUp7dGUjBS_3SW3ELx4hmWY", "http://cdni.example/foo/bar")
	f.Fuzz(func(t *testing.T, cdniuc, uri string) {
		c, err := ParseContainer(cdniuc)
		if err != nil {
			if !errors.Is(err, ErrContainer) {
				t.Fatal(err)
			}
			return
		}
		if len(uri) <= maxURI {
			c.Matches(uri)
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := compile(`http://cdni\.example/foo/bar/[0-9]{3}\.png`); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatches(b *testing.B) {
	for name, cdniuc := range map[string]string{
		"regex": `regex:http://cdni\.example/foo/bar/[0-9]{3}\.png`,
		"hash":  "hash:sha-256;2tderfWPa86Ku7YnzW51YUp7dGUjBS_3SW3ELx4hmWY",
	} {
		c, err := ParseContainer(cdniuc)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Matches("http://cdni.example/foo/bar/123.png")
			}
		})
	}
}

// BenchmarkWorst: the largest expression over the longest URI.
func BenchmarkWorst(b *testing.B) {
	c, err := ParseContainer(`regex:((a?){15}b?){15}(.*a){60}c`)
	if err != nil {
		b.Fatal(err)
	}
	uri := strings.Repeat("a", maxURI)
	for b.Loop() {
		c.Matches(uri)
	}
}
