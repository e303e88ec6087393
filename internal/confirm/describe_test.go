package confirm

import "testing"

func TestFileName(t *testing.T) {
	for name, tt := range map[string]struct{ disposition, path, want string }{
		"the path":                 {"", "/pub/annual report.pdf", "annual report.pdf"},
		"in other scripts":         {"", "/Jahresübersicht 漢字 🎉.pdf", "Jahresübersicht 漢字 🎉.pdf"},
		"right to left":            {"", "/تقرير سنوي.pdf", "تقرير سنوي.pdf"},
		"a folder":                 {"", "/pub/dir/", "dir"},
		"the top":                  {"", "/", "/"},
		"as it is given":           {`attachment; filename="b.txt"`, "/a.txt", "b.txt"},
		"given in UTF-8":           {`attachment; filename="_.txt"; filename*=UTF-8''%C3%BC.txt`, "/a.txt", "ü.txt"},
		"given, and shown at once": {`inline; filename=b.txt`, "/a.txt", "b.txt"},
		"given without a name":     {"attachment", "/a.txt", "a.txt"},
		"given in no known form":   {`attachment; filename="b`, "/a.txt", "a.txt"},
		"turned around":            {"", "/gpj.\u202Efdp.exe", "gpj.fdp.exe"},
		"isolated":                 {"", "/\u2066a\u2067b\u2068c\u2069", "abc"},
		"every embedding":          {"", "/\u202aa\u202bb\u202cc\u202d\u202e", "abc"},
		"turned around, as given":  {"attachment; filename*=UTF-8''%E2%80%AEfdp.exe", "/a.txt", "fdp.exe"},
		"control characters":       {"", "/a\x00\x1b\r\n\u0085b", "ab"},
		"what only looks like one": {"", "/<img src=x>\"'&.txt", "<img src=x>\"'&.txt"}, // the template escapes
	} {
		if got := FileName(tt.disposition, tt.path); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
