package token

import "testing"

func TestParseHeader(t *testing.T) {
	tests := []struct {
		name, header string
		want         joseHeader
		err          error
	}{
		{"alg only", `{"alg":"HS256"}`, joseHeader{alg: "HS256"}, nil},
		{"all", ` {"typ":"JWT", "kid":"k\u0031" ,"alg":"RS256"} `, joseHeader{"RS256", "k1", "JWT"}, nil},
		{"empty kid is none", `{"alg":"HS256","kid":"","typ":""}`, joseHeader{alg: "HS256"}, nil},
		{"key addresses are ignored", `{"alg":"HS256","jku":"https://x.example","x5u":1,"jwk":{},"x5c":[],"b64":false}`, joseHeader{alg: "HS256"}, nil},
		{"any alg, the key step knows better", `{"alg":"nOnE"}`, joseHeader{alg: "nOnE"}, nil},
		{"case variants are other members", `{"alg":"HS256","Alg":"none","ALG":1,"KID":"x","Crit":["x"]}`, joseHeader{alg: "HS256"}, nil},

		{"crit", `{"alg":"HS256","crit":["exp"]}`, joseHeader{}, ErrCritical},
		{"crit empty", `{"alg":"HS256","crit":[]}`, joseHeader{}, ErrCritical},
		{"crit null", `{"alg":"HS256","crit":null}`, joseHeader{}, ErrCritical},
		{"crit and b64", `{"alg":"HS256","b64":false,"crit":["b64"]}`, joseHeader{}, ErrCritical},
		{"crit by escape", `{"alg":"HS256","\u0063rit":[]}`, joseHeader{}, ErrCritical},

		{"no alg", `{"typ":"JWT"}`, joseHeader{}, ErrMalformed},
		{"alg empty", `{"alg":""}`, joseHeader{}, ErrMalformed},
		{"alg null", `{"alg":null}`, joseHeader{}, ErrMalformed},
		{"alg number", `{"alg":256}`, joseHeader{}, ErrMalformed},
		{"alg list", `{"alg":["HS256"]}`, joseHeader{}, ErrMalformed},
		{"alg in other case", `{"ALG":"HS256"}`, joseHeader{}, ErrMalformed},
		{"kid null", `{"alg":"HS256","kid":null}`, joseHeader{}, ErrMalformed},
		{"kid number", `{"alg":"HS256","kid":1}`, joseHeader{}, ErrMalformed},
		{"typ null", `{"alg":"HS256","typ":null}`, joseHeader{}, ErrMalformed},
		{"typ number", `{"alg":"HS256","typ":1}`, joseHeader{}, ErrMalformed},
		{"duplicate alg", `{"alg":"HS256","alg":"HS256"}`, joseHeader{}, ErrMalformed},
		{"duplicate by escape", `{"alg":"HS256","\u0061lg":"none"}`, joseHeader{}, ErrMalformed},
		{"duplicate that we do not read", `{"alg":"HS256","x":1,"x":2}`, joseHeader{}, ErrMalformed},
		{"duplicate inside", `{"alg":"HS256","jwk":{"k":1,"k":2}}`, joseHeader{}, ErrMalformed},
		{"lone surrogate", `{"alg":"HS256","x":"\ud800"}`, joseHeader{}, ErrMalformed},
		{"not UTF-8", "{\"alg\":\"HS256\",\"x\":\"\xff\"}", joseHeader{}, ErrMalformed},
		{"null", `null`, joseHeader{}, ErrMalformed},
		{"list", `[]`, joseHeader{}, ErrMalformed},
		{"string", `"alg"`, joseHeader{}, ErrMalformed},
		{"empty object", `{}`, joseHeader{}, ErrMalformed},
		{"nothing", ``, joseHeader{}, ErrMalformed},
		{"garbage after", `{"alg":"HS256"}{`, joseHeader{}, ErrMalformed},
		{"comma after", `{"alg":"HS256",}`, joseHeader{}, ErrMalformed},
		{"byte order mark", "\ufeff" + `{"alg":"HS256"}`, joseHeader{}, ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseHeader(encode(test.header))
			wantErr(t, err, test.err)
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestParseHeaderRefusesSpareBits(t *testing.T) {
	// e30 is {}, and e31 differs in the two bits that belong to no byte.
	for _, encoded := range []string{"e31", "e32", "e33", "e", "e3"} {
		_, err := parseHeader(encoded)
		wantErr(t, err, ErrMalformed)
	}
	text := encode(`{"alg":"HS256"} `) // 16 bytes: the last digit has four spare bits
	if text[len(text)-1] != 'A' {
		t.Fatal("the last digit has no spare bits")
	}
	_, err := parseHeader(text)
	wantErr(t, err, nil)
	_, err = parseHeader(text[:len(text)-1] + "B")
	wantErr(t, err, ErrMalformed)
}

// changing is a source whose keys change.
type changing struct{ *Table }

func TestHeadersAreRememberedOnceVerified(t *testing.T) {
	keys := &changing{makeTable(t, named(makeKey(t, "HS256"), "a", ""))}
	v := judgeBy(keys)
	header := `{"alg":"HS256","kid":"a","typ":"x"}`
	good := mint(t, "HS256", header, `{`+soon+`}`)
	forged := mintWith(t, "HS256", []byte(otherSecret), header, `{`+soon+`}`)
	remembered := func() bool {
		_, ok := v.known.find(encode(header))
		return ok
	}

	_, err := v.judge(forged, now)
	wantErr(t, err, ErrSignature)
	if remembered() {
		t.Fatal("remembered for a forged token")
	}
	for range 2 {
		got, err := v.judge(good, now)
		wantErr(t, err, nil)
		if got.Alg != "HS256" || got.KeyID != "a" || got.Typ != "x" || !remembered() {
			t.Fatalf("%+v, remembered: %v", got, remembered())
		}
		_, err = v.judge(forged, now)
		wantErr(t, err, ErrSignature)
	}

	keys.Table = makeTable(t, named(makeSecret(t, "HS256", otherSecret), "a", ""))
	_, err = v.judge(good, now)
	wantErr(t, err, ErrSignature)
	_, err = v.judge(forged, now)
	wantErr(t, err, nil)
	keys.Table = makeTable(t, named(makeKey(t, "HS512"), "a", ""))
	_, err = v.judge(good, now)
	wantErr(t, err, ErrAlgorithm)
	keys.Table = new(Table)
	_, err = v.judge(good, now)
	wantErr(t, err, ErrUnknownKey)
}

func TestRememberedHeadersAreFew(t *testing.T) {
	v := verifierOf(t, "HS256")
	for i := range 100 {
		header := `{"alg":"HS256","typ":"` + repeat("t", i) + `"}`
		for range 2 {
			got, err := v.judge(mint(t, "HS256", header, `{`+soon+`}`), now)
			wantErr(t, err, nil)
			if got.Typ != repeat("t", i) {
				t.Fatalf("typ is %q", got.Typ)
			}
		}
		if known, ok := v.known.find(encode(header)); !ok || known.typ != repeat("t", i) {
			t.Fatalf("not remembered: %d", i)
		}
	}
	if _, ok := v.known.find(encode(`{"alg":"HS256","typ":""}`)); ok {
		t.Error("the first is still remembered")
	}
	long := `{"alg":"HS256","x5c":["` + repeat("A", maxKnownBytes) + `"]}`
	_, err := v.judge(mint(t, "HS256", long, `{`+soon+`}`), now)
	wantErr(t, err, nil)
	if _, ok := v.known.find(encode(long)); ok {
		t.Error("a long header is remembered")
	}
}
