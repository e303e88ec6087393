package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

func escaped(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

func quoted(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// TestAttacks puts the token into lines in every way that came to mind in which a
// client, a server behind Caddy, a library or a logger writes it. What is left must not
// give the token back: neither its payload nor the end of its signature.
func TestAttacks(t *testing.T) {
	dots := func(dot string) string { return strings.ReplaceAll(planted, ".", dot) }
	for name, text := range map[string]string{
		"query":                           "/a.txt?download_token=" + planted,
		"any parameter":                   "/a.txt?a=b&zzz=" + planted + "&c=d",
		"semicolon":                       "/a.txt?a;download_token=" + planted + ";b",
		"fragment":                        "https://localhost/#" + planted,
		"user information":                "https://" + planted + ":x@localhost/",
		"host name":                       "https://" + planted + ".example.com/",
		"path segment":                    "/dl/" + planted + "/a.txt",
		"file name":                       "open /srv/a.txt?download_token=" + planted + ".part: no such file",
		"behind letters":                  "download_token" + planted,
		"behind base64url":                "-_A" + planted,
		"behind the letter e":             "eeeeee" + planted,
		"behind a header":                 header + planted,
		"behind a file name":              "eyJ.eyJ.ey" + planted,
		"twice without anything between":  planted + planted,
		"twice with a dot between":        planted + "." + planted,
		"many dots before":                "....." + planted,
		"escaped dots":                    dots("%2E"),
		"dots in lower case":              dots("%2e"),
		"dots escaped twice":              dots("%252E"),
		"dots escaped five times":         dots("%252525252E"),
		"one dot escaped":                 strings.Replace(planted, ".", "%2e", 1),
		"all escaped":                     escaped(planted),
		"all escaped, and a URL in a URL": "/login?next=" + url.QueryEscape("/a.txt?download_token="+escaped(planted)),
		"first letter escaped":            "%65" + planted[1:],
		"half an escape before":           "%2" + planted,
		"a percent sign before":           "%" + planted,
		"an escape cut behind":            planted + "%2",
		"form body":                       url.Values{"a": {planted}, "b": {"&=" + planted}}.Encode(),
		"bearer":                          `map[Authorization:[Bearer ` + planted + `]]`,
		"cookie":                          "a=b; session=" + planted + "; Path=/",
		"quoted cookie":                   `session="` + planted + `"`,
		"Go string":                       strconv.Quote("parse " + strconv.Quote("/?a="+planted) + ": invalid"),
		"JSON in JSON in JSON":            quoted(quoted(quoted(map[string]string{"url": "/?a&download_token=" + planted + "&<b>"}))),
		"HTML":                            html.EscapeString(`<a href="/?a=1&t=` + planted + `">`),
		"XML in a path":                   "/<" + planted + "/>",
		"Markdown":                        "[link](https://localhost/?t=" + planted + ")",
		"end of a sentence":               "I got " + planted + ".",
		"line end behind the header":      header + ".\n" + payload + "." + signature,
		"line end behind the payload":     header + "." + payload + "\n." + signature,
		"line end in the header":          header[:7] + "\r\n" + header[7:] + "." + payload + "." + signature,
		"without header":                  payload + "." + signature,
		"without header, dot first":       "." + payload + "." + signature,
		"padded":                          header + "=." + payload + "==." + signature + "=",
		"empty second part":               header + ".." + payload + "." + signature,
		"five parts":                      header + ".." + header + "." + payload + "." + signature,
		"white space before the header":   encode("\t\n {\"alg\":\"HS256\"}") + "." + payload + "." + signature,
		"cut in the payload":              planted[:len(header)+40],
		"cut in the signature":            planted[:len(planted)-30],
		"cut at its dot":                  header + "." + payload + ".",
		"cut before its dot":              header + "." + payload,
		"cut, with dots":                  planted[:len(header)+60] + "...",
		"cut, with an ellipsis":           planted[:len(header)+60] + "…",
		"invalid UTF-8 around":            "\xff" + planted + "\xc3",
		"control characters around":       "\x00" + planted + "\x1b[0m",
		"between other tokens":            "eyJhIjox.eyJhIjox.eyJhIjox " + planted + " eyJhIjox",
		"a megabyte before":               strings.Repeat("eyJ.%2e ", 1<<17) + planted,
	} {
		t.Run(name, func(t *testing.T) {
			got := line(t, provisioned(t, new(Encoder)), zapcore.Entry{Message: text}, zap.Strings(text, []string{text}), zap.Any("any", map[string]string{"a": text}))
			for plain := got; ; {
				for _, part := range []string{payload[:15], payload[len(payload)-15:], signature[len(signature)-15:]} {
					if at := strings.Index(plain, part); at >= 0 && !(name == "line end behind the payload" && strings.HasSuffix(signature, part)) { // worth nothing alone
						t.Fatalf("%s is left in %.2000s", part, plain[max(0, at-200):])
					}
				}
				next, err := url.PathUnescape(regexp.MustCompile(`%([^0-9a-fA-F]|.[^0-9a-fA-F]|.?$)`).ReplaceAllString(plain, "!$1"))
				if err != nil || next == plain {
					break
				}
				plain = next
			}
			if !strings.Contains(got, "jwt:") || !json.Valid([]byte(got)) {
				t.Errorf("%.2000s", got)
			}
		})
	}
}

// TestLimits is what the documents say is not found.
func TestLimits(t *testing.T) {
	for name, text := range map[string]string{
		"spaces between its parts": header + ". " + payload + ". " + signature,
		"backslashes in it":        strings.ReplaceAll(planted, ".", `\.`),
		"in base64 again":          base64.StdEncoding.EncodeToString([]byte("user:" + planted)),
		"its beginning is lost":    planted[len(header)+5:],
		"JSON serialisation":       `{"protected":"` + header + `","payload":"` + payload + `","signature":"` + signature + `"}`,
		"look-alike":               strings.ToLower(planted),
		"a header that is no JWT":  "hello.world.token",
	} {
		if got := line(t, provisioned(t, new(Encoder)), zapcore.Entry{Message: text}); strings.Contains(got, "jwt:") {
			t.Errorf("%s: found in %s; say so where it is documented", name, got)
		}
	}
}

// FuzzEncoder: a line of JSON stays one, whatever stands around and in the place of the
// token, and in what it says is no token.
func FuzzEncoder(f *testing.F) {
	for _, seed := range []string{"", "\x1e", "\x0e", ">", "\\u001", "\\", "%2", "%1e", "eyJhIjox.", "=", "\"", "\xff", "\u2028", planted, planted[1:], header} {
		f.Add(seed, planted, "")
		f.Add(seed, planted[1:], seed)
		f.Add("", "", seed)
	}
	e := provisioned(f, new(Encoder))
	f.Fuzz(func(t *testing.T, before, between, after string) {
		text := before + between + after
		got := line(t, e, zapcore.Entry{Message: text}, zap.Strings(text, []string{text, quoted(text)}), zap.Any("any", map[string]string{text: text}))
		var said map[string]any
		if err := json.Unmarshal([]byte(got), &said); err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		for _, text := range []string{got, said["msg"].(string)} {
			if again := token.Redact(text); again != text {
				t.Fatalf("%s was left in %s", text, got)
			}
		}
	})
}
