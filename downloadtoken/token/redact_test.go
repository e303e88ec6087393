package token

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	whole := mintClaims(t, `{`+soon+`,"sub":"somebody"}`)
	print := "jwt:" + FingerprintOf(whole).String()
	parts := strings.Split(whole, ".")
	spaced := encode("{\r\n\t \"alg\" : \"HS256\"}") + "." + parts[1] + "." + parts[2]
	ahead := encode("\n {\"alg\":\"HS256\"}") + "." + parts[1] + "." + parts[2]
	quoted := encode(`{"a\"b":1,"alg":"HS256"}`) + "." + parts[1] + "." + parts[2]
	tests := []struct{ name, text, want string }{
		{"alone", whole, print},
		{"escaped question mark", "/a.txt?download_token=" + whole, "/a.txt?download_token=" + print},
		{"question mark still escaped", "/a.txt%3Fdownload_token%3D" + whole, "/a.txt%3Fdownload_token%3D" + print},
		{"a segment of a path", "/dl/" + whole + "/a.txt", "/dl/" + print + "/a.txt"},
		{"behind letters", "/a.txtdownload_token" + whole, "/a.txtdownload_token" + print},
		{"before an extension", "/" + whole + ".txt", "/" + print},
		{"followed by parameters", "x?t=" + whole + "&y=1", "x?t=" + print + "&y=1"},
		{"twice", whole + " " + whole, print + " " + print},
		{"dots escaped", strings.ReplaceAll(whole, ".", "%2E"), print},
		{"dots escaped twice", strings.ReplaceAll(whole, ".", "%252e"), print},
		{"dots escaped three times", strings.ReplaceAll(whole, ".", "%25252e"), print},
		{"all escaped", "=" + escapeAll(whole) + "&", "=" + print + "&"},
		{"all escaped twice", "=" + strings.ReplaceAll(escapeAll(whole), "%", "%25") + "&", "=" + print + "&"},
		{"behind an escape of its own", "%3D%65" + whole[1:], "%3D" + print},
		{"in JSON", `{"a":"` + whole + `"}`, `{"a":"` + print + `"}`},
		{"white space in the header", spaced, "jwt:" + FingerprintOf(spaced).String()},
		{"white space before the header", "/" + ahead, "/jwt:" + FingerprintOf(ahead).String()},
		{"quotation mark in a name", quoted, "jwt:" + FingerprintOf(quoted).String()},
		{"cut in the signature", whole[:len(whole)-5], print},
		{"cut at the second dot", parts[0] + "." + parts[1] + ".", Redacted},
		{"without a signature", parts[0] + "." + parts[1], Redacted},
		{"cut in the payload", whole[:len(parts[0])+9], Redacted},
		{"detached payload", parts[0] + ".." + parts[2], Redacted},
		{"without the header", parts[1] + "." + parts[2], Redacted},
		{"broken by a line end", parts[0][:5] + "\n" + parts[0][5:] + "." + parts[1] + "." + parts[2],
			parts[0][:5] + "\n" + parts[0][5:] + "." + Redacted},
		{"five parts", whole + ".x.y", print},
		{"much white space before the header", "/" + encode(strings.Repeat("\n ", 150)+`{"a":1}`) + "." + parts[1] + ".x&y", "/jwt:" + FingerprintOf(encode(strings.Repeat("\n ", 150)+`{"a":1}`)+"."+parts[1]+".").String() + "&y"},
		{"white space without an object", strings.Repeat("ICAg", 6) + ".x " + strings.Repeat("ICAg", 5) + ".x", Redacted + " " + strings.Repeat("ICAg", 5) + ".x"},
		{"very long name", encode(`{"`+strings.Repeat("n", 300)+`":1}`) + ".e30", Redacted},

		{"padded", pad(parts[0]) + "." + pad(parts[1]) + "." + pad(parts[2]), "jwt:" + FingerprintOf(pad(parts[0])+"."+pad(parts[1])+".").String()},
		{"padding escaped", parts[0] + "." + parts[1] + "%3D%3d." + parts[2] + "%3D&x", "jwt:" + FingerprintOf(parts[0]+"."+parts[1]+"==.").String() + "&x"},
		{"padded and cut", "?t=" + parts[0] + "=." + parts[1][:20], "?t=" + Redacted},
		{"padded value of another kind", "?state=" + parts[0] + "=&t=a.txt", "?state=" + parts[0] + "=&t=a.txt"},
		{"equals sign behind", parts[0] + "=file.txt", parts[0] + "=file.txt"},

		{"half in an escape of JSON", `a\u001` + whole, `a` + print},
		{"half in an escape that is none", `a\\u001` + whole, `a\\u001` + print},
		{"half in an escape behind a backslash", `a\\\u001` + whole, `a\\` + print},
		{"too short for an escape", `u001` + whole, `u001` + print},

		{"header alone", parts[0], parts[0]},
		{"header at the end of a sentence", parts[0] + ". Next", parts[0] + ". Next"},
		{"signature alone", parts[2], parts[2]},
		{"file name", "/honeyJar.txt", "/honeyJar.txt"},
		{"another", "/eyJ.eyJ.eyJ", "/eyJ.eyJ.eyJ"},
		{"percent signs", "100%, %e, %, %%2, %25", "100%, %e, %, %%2, %25"},
		{"names that begin like white space", "/CgCg/ICAg.ICAg.IC/DQoN.x.y/Iran.Italy.txt", "/CgCg/ICAg.ICAg.IC/DQoN.x.y/Iran.Italy.txt"},
		{"domain", "https://eye.example.com/ewe.ewo.txt", "https://eye.example.com/ewe.ewo.txt"},
		{"empty", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Redact(test.text); got != test.want {
				t.Errorf("Redact(%q) = %q, want %q", test.text, got, test.want)
			}
			if got := redactEverywhere(test.text); got != test.want {
				t.Errorf("redactEverywhere(%q) = %q", test.text, got)
			}
		})
	}
}

// pad adds the padding of base64, which a token must not have.
func pad(part string) string { return part + strings.Repeat("=", -len(part)&3) }

// escapeAll percent-encodes every byte.
func escapeAll(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func TestRedactCostsNothingWithoutAToken(t *testing.T) {
	text := strings.Repeat("/eyes/of/the/keeper%20e%65/honeyJar.txt?eyJhbGciOiJIUzI1NiJ9 ", 20)
	if n := testing.AllocsPerRun(10, func() { Redact(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzRedact puts a token between any two texts, some of its bytes escaped. Its
// signature never comes out, nothing is redacted a second time, and what is no part
// of the token's run stays.
func FuzzRedact(f *testing.F) {
	good := mintClaims(f, `{`+soon+`}`)
	for i, seed := range []string{"", "/a.txt?t=", "eyJ", "eyJhbGciOiJIUzI1NiJ9.", "%", "%2", "%25", ".", good, good[:20], "ey", "%65", "\\", "e30.", "=.", "\\u001", "%3D"} {
		f.Add(seed, "", int64(i))
		f.Add("", seed, int64(i))
		f.Add(seed, seed, int64(-i))
	}
	signature := good[strings.LastIndexByte(good, '.')+1:]
	f.Fuzz(func(t *testing.T, before, after string, seed int64) {
		random := rand.New(rand.NewSource(seed))
		var written strings.Builder
		for _, c := range []byte(good) {
			if seed == 0 || random.Intn(4) > 0 {
				written.WriteByte(c)
			} else {
				fmt.Fprintf(&written, "%%%s%02x", strings.Repeat("25", random.Intn(3)), c)
			}
		}
		got := Redact(before + written.String() + after)
		if want := redactEverywhere(before + written.String() + after); got != want {
			t.Fatalf("%q instead of %q", got, want)
		}
		if plain := unescapeAll(got); strings.Contains(plain, signature) && !strings.Contains(unescapeAll(before+"\n"+after), signature) {
			t.Fatalf("the signature is in %q", got)
		}
		if again := Redact(got); again != got {
			t.Fatalf("%q became %q", got, again)
		}
	})
}

// redactEverywhere is Redact without a way to go over the text quickly.
func redactEverywhere(text string) string {
	var redacted strings.Builder
	for i := 0; i < len(text); {
		end, found := jwtAt(text, i)
		if end == i {
			end++
		}
		if found == "" {
			found = text[i:end]
		} else {
			before := redacted.String()
			redacted.Reset()
			redacted.WriteString(before[:len(before)-(i-beginOfEscape(text, i))])
		}
		redacted.WriteString(found)
		i = end
	}
	return redacted.String()
}

// unescapeAll is text with every escape decoded.
func unescapeAll(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		c, n := unescaped(text, i)
		b.WriteByte(c)
		i += n
	}
	return b.String()
}

func BenchmarkRedact(b *testing.B) {
	for name, text := range map[string]string{
		"path":    "/datasets/2489e9ad-2ee2-8e00-8ec9-32d5f69181c0/elevation/cog.tif",
		"hostile": strings.Repeat("eyJhIjox", 8<<10),
		"spaces":  strings.Repeat(strings.Repeat("ICAg", 84)+"AAAA", 200) + ".",
		"nested":  strings.Repeat("ICAg", 80) + "%" + strings.Repeat("25", 32<<10) + ".",
		"dots":    strings.Repeat("eyJhIjox.", 8<<10),
		"percent": strings.Repeat("%25", 20<<10),
		"encoded": strings.Repeat("%65%79%4A", 8<<10),
		"token":   "/a.txt?download_token=" + mintClaims(b, `{`+soon+`}`),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				Redact(text)
			}
		})
	}
}
