package carry

import "testing"

func TestListingText(t *testing.T) {
	const head = "Name\tSize\tModified\n----\t----\t--------\n"
	tests := []struct{ name, page, rows, want string }{
		{"all opened", "https://files.example/v/", "a b\t1 B\tx\nsub/\t4 KiB\tx\n", "a b\t1 B\tx\nsub/\t4 KiB\tx\n"},
		{"the root, whose other entries are outside", "https://files.example/", "a\t1 B\tx\nv/\t1 B\tx\nb:c?d#e%2F\t1 B\tx\n", "v/\t1 B\tx\n"},
		{"no names", "https://files.example/v/", "\n\t\n../\t1 B\tx\n..\t1 B\tx\n", ""},
		{"a name of two lines", "https://files.example/", "v\nw/x\t1 B\tx\n", ""},
		{"empty", "https://files.example/v/", "", ""},
	}
	for _, test := range tests {
		if got := string(ListingText([]byte(head+test.rows), listed(t, test.page))); got != head+test.want {
			t.Errorf("%s: got %q", test.name, got)
		}
	}
	if got := ListingText(nil, listed(t, "https://files.example/v/")); len(got) > 0 {
		t.Errorf("of nothing became %q", got)
	}
}

func TestListingTextOfCaddy(t *testing.T) {
	b := newBrowser(t, "v/a.txt", "v/ä b#?&<\".txt", "v/a:b", "v/sub/c.txt", "w.txt")
	for page, same := range map[string]bool{"https://files.example/v/": true, "https://files.example/": false} {
		body := b.list(page, "text/plain")
		if got := ListingText(body, listed(t, page)); (string(got) == string(body)) != same || len(got) == 0 {
			t.Errorf("of %s became %s", body, got)
		}
	}
}
