package token

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Here a header and a payload are read with reflection, as plainly as can be. What the
// package does without it must come to the same results, down to the words.

func plainObject(encoded string) (members map[string]jsontext.Value, ok bool) {
	data, err := base64url.DecodeString(encoded)
	ok = err == nil && json.Unmarshal(data, &members) == nil && members != nil
	return members, ok
}

func plainString(value jsontext.Value) (text string, ok bool) {
	if value.Kind() != jsontext.KindString {
		return "", false
	}
	err := json.Unmarshal(value, &text)
	return text, err == nil
}

func plainStrings(value jsontext.Value) (texts []string, ok bool) {
	if text, ok := plainString(value); ok {
		return []string{text}, true
	}
	if value.Kind() != jsontext.KindBeginArray {
		return nil, false
	}
	var elements []jsontext.Value
	if err := json.Unmarshal(value, &elements); err != nil {
		return nil, false
	}
	for _, element := range elements {
		text, ok := plainString(element)
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}

func plainTime(value jsontext.Value) (time.Time, bool) {
	if value.Kind() != jsontext.KindNumber {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	if err != nil || seconds < 1 || seconds >= 1<<33 {
		return time.Time{}, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), 0).Add(time.Duration(math.Round(part*1e6)) * time.Microsecond).UTC(), true
}

func plainAdmits(q Requirement, value jsontext.Value) bool {
	equals := func(value jsontext.Value) bool {
		switch value.Kind() {
		case jsontext.KindString:
			text, ok := plainString(value)
			return ok && slices.Contains(q.Values, text)
		case jsontext.KindNumber, jsontext.KindTrue, jsontext.KindFalse:
			return slices.Contains(q.Values, string(value))
		}
		return false
	}
	var elements []jsontext.Value
	if value.Kind() == jsontext.KindBeginArray && json.Unmarshal(value, &elements) == nil {
		return slices.ContainsFunc(elements, equals)
	}
	return equals(value)
}

func plainHeader(encoded string) (joseHeader, error) {
	members, ok := plainObject(encoded)
	if !ok {
		return joseHeader{}, errHeader
	}
	if members["crit"] != nil {
		return joseHeader{}, ErrCritical
	}
	var h joseHeader
	for _, m := range []struct {
		name string
		text *string
	}{{"alg", &h.alg}, {"kid", &h.kid}, {"typ", &h.typ}} {
		if *m.text, ok = plainString(members[m.name]); !ok && (members[m.name] != nil || m.name == "alg") {
			return joseHeader{}, errHeaderType
		}
	}
	if h.alg == "" {
		return joseHeader{}, errHeaderType
	}
	return h, nil
}

func plainClaims(encoded string) (Claims, map[string]jsontext.Value, error) {
	members, ok := plainObject(encoded)
	if !ok {
		return Claims{}, nil, errPayload
	}
	var c Claims
	for _, m := range []struct {
		name string
		text *string
	}{{"iss", &c.Issuer}, {"sub", &c.Subject}} {
		if *m.text, ok = plainString(members[m.name]); !ok && members[m.name] != nil {
			return Claims{}, nil, &refusal{ErrClaim, m.name + " is not a string"}
		}
	}
	if c.Audience, ok = plainStrings(members["aud"]); !ok && members["aud"] != nil {
		return Claims{}, nil, &refusal{ErrClaim, "aud is neither a string nor a list of strings"}
	}
	for _, m := range []struct {
		name string
		at   *time.Time
	}{{"exp", &c.ExpiresAt}, {"nbf", &c.NotBefore}, {"iat", &c.IssuedAt}} {
		value := members[m.name]
		if value == nil && m.name == "exp" {
			return Claims{}, nil, &refusal{ErrClaim, "exp is missing"}
		}
		if *m.at, ok = plainTime(value); !ok && value != nil {
			return Claims{}, nil, notTime(m.name, string(value))
		}
	}
	return c, members, nil
}

// FuzzObject reads any text as a header and as a payload.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{"alg":"HS256","kid":"a\u0062","typ":"JWT"}`, `{"alg":"HS256","crit":null}`, `{"alg":1}`, `{"alg":""}`, `{"alg":"HS256","kid":null}`,
		`{` + soon + `}`, ` { "exp" : 1800000060 , "nbf" : 1.5e9 , "iat" : 1800000000.123456 } `, `{` + soon + `,"aud":["a","b\n"],"iss":"\ud83d\ude00","sub":""}`,
		`{"\u0065xp":1800000060,"a\\b":[{"c":[]},null,true,-1.5e-3,"\""]}`, `{"exp":01}`, `{"exp":1}{`, `{"exp":1,"exp":2}`, `{"exp":1,"e\u0078p":2}`,
		`{` + soon + `,"a":{"b":1,"b":2}}`, `{` + soon + `,"aud":[1]}`, `{` + soon + `,"aud":["a",]}`, `{` + soon + "\n,\t\"x\":\"\u00e9\\u00e9\"\r}", `null`, `[]`, `""`, `{`, `{}`, ``,
		"{" + soon + ",\"x\":\"\xff\"}", `{` + soon + `,"x":"\ud800"}`, `{"exp":"1800000060"}`, `{"exp":18000000600000}`, `{"exp":0}`, `{"exp":1e400}`,
		`{"exp":99999999999999999999}`, `{"exp":1800000060.00000049999}`, `{"exp":-0}`, repeat(`{"a":`, 600) + `1` + repeat(`}`, 600), `{` + repeat(`"\u0061":1,`, 2) + soon + `}`,
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,` + soon + `}`,
		`{}`, ` { } `, `{"a":1}`, `{"a":1}x`, `{"a":1} 1`, `{"a":1}{}`, `{"a":1,}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"b":1,"b":2}}`, `{"a":[{"b":1,"b":2}]}`,
		`null`, `[]`, `"a"`, `1`, ``, ` `, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a" 1}`, `{a:1}`, `{1:1}`, `{"a":01}`, `{"a":+1}`, `{"a":.5}`, `{"a":1.}`, `{"a":1e}`, `{"a":NaN}`,
		"{\"a\":\"\xff\"}", "{\"\xff\":1}", `{"a":"\ud800"}`, `{"\ud800":1}`, `{"a":"\ud83d\ude00"}`, `{"\u0000":"\u0000"}`, "{\"a\":\"\n\"}", "{\"a\":\t1\r\n}", "\ufeff{}", "{}\x00",
		`{"a":null,"b":true,"c":false,"d":"","e":[],"f":{}}`, `{"":""}`, `{"a\\b":"c\/d","a\"b":"\t"}`, `{"a":"` + strings.Repeat("x", 5000) + `"}`,
		`{"a":` + strings.Repeat("[", 900) + strings.Repeat("]", 900) + `}`, `{"0":0,"1":1,"2":2,"3":3,"4":4,"5":5,"6":6,"7":7,"8":8,"9":9}`, `{"a":1/**/}`, `{'a':1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		encoded := base64url.EncodeToString(data)
		if len(encoded) > MaxLength {
			return
		}
		header, err := parseHeader(encoded)
		wantHeader, wantErr := plainHeader(encoded)
		if header != wantHeader || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("header %+v and %v, want %+v and %v", header, err, wantHeader, wantErr)
		}
		c, err := parseClaims(encoded)
		want, members, wantErr := plainClaims(encoded)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("%v, want %v", err, wantErr)
		}
		if c.Issuer != want.Issuer || c.Subject != want.Subject || !slices.Equal(c.Audience, want.Audience) ||
			c.ExpiresAt != want.ExpiresAt || c.NotBefore != want.NotBefore || c.IssuedAt != want.IssuedAt {
			t.Fatalf("claims %+v, want %+v", c, want)
		}
		if len(c.members.members) != len(members) {
			t.Fatalf("%d members, want %d", len(c.members.members), len(members))
		}
		for name, value := range members {
			sameClaim(t, &c, name, value)
		}
		for _, name := range []string{"", "EXP", `\u0065xp`, `"exp"`, string(data)} {
			if _, present := members[name]; c.Has(name) != present {
				t.Fatalf("has %q: %v", name, !present)
			}
		}
	})
}

func sameClaim(t *testing.T, c *Claims, name string, value jsontext.Value) {
	t.Helper()
	if raw, ok := c.Raw(name); !ok || string(raw) != string(value) {
		t.Fatalf("%q is %s, want %s", name, raw, value)
	}
	text, ok := c.String(name)
	wantText, wantOK := plainString(value)
	if text != wantText || ok != wantOK {
		t.Fatalf("%q is %q, %v, want %q, %v", name, text, ok, wantText, wantOK)
	}
	texts, ok := c.Strings(name)
	wantTexts, wantOK := plainStrings(value)
	if !slices.Equal(texts, wantTexts) || ok != wantOK {
		t.Fatalf("%q is %q, %v, want %q, %v", name, texts, ok, wantTexts, wantOK)
	}
	at, ok := NumericDate(value)
	wantAt, wantOK := plainTime(value)
	if at != wantAt || ok != wantOK {
		t.Fatalf("%q is %v, %v, want %v, %v", name, at, ok, wantAt, wantOK)
	}
	for _, values := range [][]string{{wantText}, wantTexts, {string(value)}, {strings.Trim(string(value), "[]")}, {"true", "null", "1"}} {
		q := Requirement{name, values}
		if len(values) > 0 && q.admits(string(value)) != plainAdmits(q, value) {
			t.Fatalf("%s is admitted by %q: %v", value, values, !plainAdmits(q, value))
		}
	}
}
