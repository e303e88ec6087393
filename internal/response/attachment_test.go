package response

import (
	"mime"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAttachmentNames(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"welcome.txt", `attachment; filename="welcome.txt"`},
		{"a b.txt", `attachment; filename="a b.txt"`},
		{`say "hi".txt`, `attachment; filename="say \"hi\".txt"`},
		{"übung.txt", `attachment; filename="_bung.txt"; filename*=UTF-8''%C3%BCbung.txt`},
		{"100%.txt", `attachment; filename="100_.txt"; filename*=UTF-8''100%25.txt`},
		{"a\r\nSet-Cookie: x=y", `attachment; filename="aSet-Cookie: x=y"`},
		{"../../etc/passwd", `attachment; filename=".._.._etc_passwd"`},
		{`..\..\boot.ini`, `attachment; filename=".._.._boot.ini"`},
		{"", "attachment"},
		{".", "attachment"},
		{"..", "attachment"},
		{"\xff\xfe", "attachment"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Attachment(tt.name); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// FuzzAttachment: whatever the name, the header is one line of ASCII, a
// standard parser reads it, and reads a name without directories.
func FuzzAttachment(f *testing.F) {
	for _, seed := range []string{"a.txt", "ü\"%\\/.txt", "\x00\r\n", "..", "日本語 (1).pdf", "'*=;"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		header := Attachment(name)
		for _, b := range []byte(header) {
			if b < 0x20 || b >= utf8.RuneSelf || b == 0x7f {
				t.Fatalf("byte %#x in %q", b, header)
			}
		}
		_, params, err := mime.ParseMediaType(header)
		if err != nil {
			t.Fatalf("%q: %v", header, err)
		}
		if strings.ContainsAny(params["filename"], "/\\\x00") {
			t.Fatalf("%q is read as %q", header, params["filename"])
		}
	})
}
