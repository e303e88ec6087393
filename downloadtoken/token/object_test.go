package token

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// objects are texts that are one, or nearly.
var objects = []string{
	`{}`, ` { } `, `{"a":1}`, `{"a":1}x`, `{"a":1} 1`, `{"a":1}{}`, `{"a":1,}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"b":1,"b":2}}`, `{"a":[{"b":1,"b":2}]}`,
	`null`, `[]`, `"a"`, `1`, ``, ` `, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a" 1}`, `{a:1}`, `{1:1}`, `{"a":01}`, `{"a":+1}`, `{"a":.5}`, `{"a":1.}`, `{"a":1e}`, `{"a":NaN}`,
	"{\"a\":\"\xff\"}", "{\"\xff\":1}", `{"a":"\ud800"}`, `{"\ud800":1}`, `{"a":"\ud83d\ude00"}`, `{"\u0000":"\u0000"}`, "{\"a\":\"\n\"}", "{\"a\":\t1\r\n}", "\ufeff{}", "{}\x00",
	`{"a":null,"b":true,"c":false,"d":"","e":[],"f":{}}`, `{"":""}`, `{"a\\b":"c\/d","a\"b":"\t"}`, `{"a":"` + strings.Repeat("x", 5000) + `"}`,
	`{"a":` + strings.Repeat("[", 900) + strings.Repeat("]", 900) + `}`, `{"0":0,"1":1,"2":2,"3":3,"4":4,"5":5,"6":6,"7":7,"8":8,"9":9}`, `{"a":1/**/}`, `{'a':1}`,
}

// FuzzObject: what is read is what the library makes a map of, and nothing else is.
func FuzzObject(f *testing.F) {
	for _, text := range objects {
		f.Add(text, "a")
	}
	f.Fuzz(func(t *testing.T, text, other string) {
		if len(text) > 6000 {
			return
		}
		want, valid := decodeObject(encode(text))
		var o object
		if got := o.parse(encode(text)); got != valid {
			t.Fatalf("%q: %v, and the library %v", text, got, valid)
		}
		if !valid {
			return
		}
		names := []string{other, "", "a", `\`, `\u0061`}
		for name := range want {
			names = append(names, name)
		}
		for _, name := range names {
			got, found := o.member(name)
			if value, there := want[name]; found != there || got != string(value) {
				t.Errorf("%q: %q is %q, %v; and for the library %q, %v", text, name, got, found, value, there)
			}
			var reference string
			err := json.Unmarshal(want[name], &reference)
			if text, ok := textOf(got); ok != (err == nil && isString(got)) || text != reference {
				t.Errorf("%q: the text of %q is %q, %v; and for the library %q, %v", o.text, got, text, ok, reference, err)
			}
		}
		if len(o.members) != len(want) {
			t.Errorf("%q: %d members, and the library has %d", text, len(o.members), len(want))
		}
	})
}

// TestHeadersRemembered: a header is read once, but only what has been signed under.
func TestHeadersRemembered(t *testing.T) {
	verifier := verifierOf(t, "HS256")
	remembered := func() (texts []string) {
		if known := verifier.headers.known.Load(); known != nil {
			for text := range *known {
				texts = append(texts, text)
			}
		}
		return texts
	}
	good := mintClaims(t, `{`+soon+`}`)
	header, rest, _ := strings.Cut(good, ".")
	forged := encode(`{"alg":"HS256","kid":""}`) + "." + rest
	for range 2 {
		if _, err := verifier.Verify(t.Context(), forged); err == nil {
			t.Fatal("forged")
		}
	}
	if got := remembered(); got != nil {
		t.Errorf("a header that nothing was signed under is remembered: %q", got)
	}
	if _, err := verifier.Verify(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if got := remembered(); !slices.Equal(got, []string{header}) {
		t.Errorf("%q", got)
	}
	if _, err := verifier.Verify(t.Context(), good[:len(good)-4]+"AAAA"); err == nil {
		t.Error("a signature is not verified under a header that is remembered")
	}
	for i := range 2 * maxHeaders {
		text := mint(t, "HS256", `{"alg":"HS256","x":"`+strings.Repeat("x", i)+`"}`, `{`+soon+`}`)
		if _, err := verifier.Verify(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(remembered()); n != maxHeaders {
		t.Errorf("%d headers are remembered", n)
	}
}
