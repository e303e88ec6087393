package trust

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func sameSet(one, two string) bool {
	return slices.ContainsFunc(identities(one), func(name string) bool { return slices.Contains(identities(two), name) })
}

func TestIdentityOfAURL(t *testing.T) {
	const location = "https://keys.example.com/a/jwks.json"
	for _, other := range []string{
		location,
		"HTTPS://Keys.Example.COM/a/jwks.json",
		"https://keys.example.com./a/jwks.json",
		"https://keys.example.com:443/a/jwks.json",
		"https://keys.example.com:/a/jwks.json",
		"https://keys.example.com/./a/jwks.json",
		"https://keys.example.com/x/../a/jwks.json",
		"https://keys.example.com//a//jwks.json",
		"https://keys.example.com/%61/jwks%2Ejson",
		"https://keys.example.com/%61/jwks%2ejson",
		"https://keys.example.com/a%2Fjwks.json",
		"https://keys.example.com/a/jwks.json/",
		"https://keys.example.com/a/jwks.json?",
		"https://keys.example.com/a/jwks.json#x",
	} {
		if !sameSet(location, other) {
			t.Errorf("%s is another set: %v", other, identities(other))
		}
	}
	for _, other := range []string{
		"https://keys.example.com/A/jwks.json",
		"https://keys.example.com:8443/a/jwks.json",
		"https://keys.example.com/a/jwks.json?tenant=b",
		"https://www.keys.example.com/a/jwks.json",
		"https://keys.example.com/a",
	} {
		if sameSet(location, other) {
			t.Errorf("%s is the same set: %v", other, identities(other))
		}
	}
	for _, pair := range [][2]string{
		{"https://k.example/?a=1&b=%7e", "https://k.example?b=~&a=1"},
		{"https://bücher.example/", "https://xn--bcher-kva.example"},
		{"https://BÜCHER.example/", "https://xn--bcher-kva.example"},
		{"http://localhost/k", "http://127.0.0.1:80/k"},
		{"http://localhost:81/k", "http://[::1]:81/k"},
		{"https://[2001:DB8::0:1]/k", "https://[2001:db8::1]/k"},
		{"https://[::ffff:192.0.2.1]/k", "https://192.0.2.1/k"},
	} {
		if !sameSet(pair[0], pair[1]) {
			t.Errorf("%v and %v", identities(pair[0]), identities(pair[1]))
		}
	}
}

func TestIdentityOfAFile(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "jwks.json"), filepath.Join(dir, "link.json")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "folder")); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{file, dir + "/./jwks.json", dir + "//jwks.json", dir + "/x/../jwks.json", link, dir + "/folder/link.json"} {
		if !sameSet(file, other) {
			t.Errorf("%s is another set: %v", other, identities(other))
		}
	}
	if sameSet(file, filepath.Join(dir, "other.json")) || sameSet(file, "/nowhere/jwks.json") {
		t.Error("two files are one set")
	}

	// the link is still the same set when it leads elsewhere
	before := identities(link)
	moved := filepath.Join(dir, "new.json")
	if err := os.Rename(file, moved); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(link)
	if err := os.Symlink(moved, link); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(identities(link), func(name string) bool { return slices.Contains(before, name) }) {
		t.Errorf("%v, then %v", before, identities(link))
	}
}
