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

func TestHumanSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 2: "2 bytes", 999: "999 bytes", 1000: "1.0 KB", 1_049: "1.0 KB", 1_051: "1.1 KB",
		9_949: "9.9 KB", 9_950: "10 KB", 10_400: "10 KB", 999_499: "999 KB", 999_500: "1.0 MB", 1_234_567: "1.2 MB",
		999_499_999: "999 MB", 999_500_000: "1.0 GB", 5_000_000_000_000: "5.0 TB", 7_200_000_000_000_000: "7.2 PB", 1<<63 - 1: "9.2 EB",
	} {
		if got := HumanSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
