package carry

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestListingJSON(t *testing.T) {
	const page = "https://files.example/v/"
	tests := []struct{ name, page, body, all, only string }{
		{"items", page, `[{"name":"a","url":"./a"}, {"url":"./b/","is_dir":true}]` + "\n",
			`[{"name":"a","url":"./a?tok=T"}, {"url":"./b/?tok=T","is_dir":true}]` + "\n", ""},
		{"spaces", page, " [ { \"url\" : \"./a\" } ] ", " [ { \"url\" : \"./a?tok=T\" } ] ", ""},
		{"escapes", page, `[{"url":"./\u0061\u0026\u003cb"}]`, `[{"url":"./\u0061\u0026\u003cb?tok=T"}]`, ""},
		{"a query", page, `[{"url":"a?b"}]`, `[{"url":"a?b\u0026tok=T"}]`, ""},
		{"nothing", page, "[]", "[]", ""},
		{"the root, whose other items are outside", "https://files.example/",
			`[{"url":"./a"},{"url":"./v/"}, {"url":"./b"}]`,
			`[{"url":"./a"},{"url":"./v/?tok=T"}, {"url":"./b"}]`,
			`[{"url":"./v/?tok=T"}]`},
		{"the first ones outside", "https://files.example/",
			`[ {"url":"./a"} , {"url":"./b"} , {"url":"./v/"} , {"url":"./v"} , {"url":"./v/x"} ]`,
			`[ {"url":"./a"} , {"url":"./b"} , {"url":"./v/?tok=T"} , {"url":"./v"} , {"url":"./v/x?tok=T"} ]`,
			`[ {"url":"./v/?tok=T"} , {"url":"./v/x?tok=T"} ]`},
		{"all outside", "https://files.example/", `[ {"url":"./a"}, {"url":"./b"} ]`, `[ {"url":"./a"}, {"url":"./b"} ]`, `[  ]`},
		{"other objects", page, `[{"url":1},{"url":null},{"name":"./a"},{"x":{"url":"./a"}},{"url":"./a","url":"./b"},5,[],"x",null]`, "same", "unread"},
		{"a fragment", page, `[{"url":"a#b"}]`, "same", ""},
		{"another host", page, `[{"url":"//evil.example/v/a"}]`, "same", ""},
		{"an object", page, `{"url":"./a"}`, "same", "unread"},
		{"cut off", page, `[{"url":"./a"},`, "same", "unread"},
		{"not closed", page, `[{"url":"./a"}`, "same", "unread"},
		{"not JSON", page, `[{"url":"./a"}, x]`, "same", "unread"},
		{"an empty folder, to Caddy", page, "null\n", "same", ""},
		{"empty", page, ``, "same", "unread"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.all == "same" {
				test.all = test.body
			}
			if test.only == "" {
				test.only = test.all
			}
			for only, want := range map[bool]string{false: test.all, true: test.only} {
				got := ListingJSON([]byte(test.body), listed(t, test.page), only)
				if want == "unread" { // what would have to be left out is not known
					want = ""
				} else if got == nil {
					t.Errorf("only %v: was not read", only)
				}
				if string(got) != want {
					t.Errorf("only %v: got %s, want %s", only, got, want)
				}
			}
		})
	}
}

func TestListingJSONOfCaddy(t *testing.T) {
	b := newBrowser(t, "v/a.txt", "v/ä b#?&<\".txt", "v/sub/c.txt", "w.txt")
	body := b.list("https://files.example/v/", "application/json")
	got := ListingJSON(body, listed(t, "https://files.example/v/"), true)
	if rest := strings.ReplaceAll(string(got), "?tok=T", ""); rest != string(body) || strings.Count(string(got), "?tok=T\"") != 3 {
		t.Errorf("of %s became %s", body, got)
	}
	var items []struct{ URL string }
	if err := json.Unmarshal(ListingJSON(b.list("https://files.example/", "application/json"), listed(t, "https://files.example/"), true), &items); err != nil || len(items) != 1 || items[0].URL != "./v/?tok=T" {
		t.Errorf("with only: %v, %v", items, err)
	}
}

// FuzzListingJSON takes any body: it stays as it is but for tokens, and what was JSON
// stays JSON.
func FuzzListingJSON(f *testing.F) {
	b := newBrowser(f, "v/a.txt", "w.txt")
	f.Add(b.list("https://files.example/", "application/json"))
	f.Add([]byte(`[{"url":"./v/a?b"}, {"url":"./\u0061"},5,{"url":"v/","url":1}] x`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if strings.Contains(string(body), "tok=T") {
			return
		}
		for _, page := range []string{"https://files.example/", "https://files.example/v/"} {
			l := listed(t, page)
			all, less := ListingJSON(body, l, false), ListingJSON(body, l, true)
			if rest := strings.NewReplacer("?tok=T", "", `\u0026tok=T`, "").Replace(string(all)); rest != string(body) {
				t.Fatalf("%q became %q", body, all)
			}
			if json.Valid(body) && (!json.Valid(all) || less != nil && !json.Valid(less)) {
				t.Fatalf("%q became %q and %q", body, all, less)
			}
			if len(less) > len(all) {
				t.Fatalf("%q became %q with only, %q without", body, less, all)
			}
		}
	})
}

func BenchmarkListingJSON(b *testing.B) {
	body := manyFiles(b).list("https://files.example/v/", "application/json")
	l := listed(b, "https://files.example/v/")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		ListingJSON(body, l, true)
	}
}
