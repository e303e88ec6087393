package command

import (
	"context"
	"crypto"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"pgregory.net/rapid"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/jwks"
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
)

// TestMintVerifies mints with every algorithm; golang-jwt and the plugin both
// accept what comes out.
func TestMintVerifies(t *testing.T) {
	for _, alg := range allAlgs {
		for _, form := range [][]string{nil, {"--jwk", "--kid", "k1"}} {
			t.Run(alg+strings.Join(form, ""), func(t *testing.T) {
				text := mustExecute(t, "", append([]string{"keygen", alg}, form...)...)
				made := strings.TrimSpace(mustExecute(t, text, "mint", "--key", "-", "--alg", alg, "--one-time", "--path", "/a b.txt"))

				signer, _, err := parseSigningKey(text, alg, "")
				if err != nil {
					t.Fatal(err)
				}
				key := signer.Key()
				parsed, err := jwt.Parse(made, func(*jwt.Token) (any, error) { return publicOf(text) },
					jwt.WithValidMethods([]string{alg}), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
				if err != nil {
					t.Fatalf("golang-jwt: %v", err)
				}
				if id, _ := parsed.Header["kid"].(string); id != key.ID {
					t.Errorf("kid %q, want %q", id, key.ID)
				}
				table, err := token.NewTable(key)
				if err != nil {
					t.Fatal(err)
				}
				v, rules := token.Verifier{Keys: table}, token.Rules{OneTime: true, MaxTTL: 10 * time.Minute}
				verified, err := v.Verify(context.Background(), made)
				if err == nil {
					err = rules.Accept(verified, time.Now())
				}
				if err != nil {
					t.Fatalf("the plugin: %v", err)
				}
				if values, _ := verified.Claims.Strings("scope"); !(scope.PathScope{Prefix: "download:", Escaped: true}).Admits(values, "/a b.txt") {
					t.Errorf("scope %q does not open the path", values)
				}
				if nonce, err := verified.Claims.Nonce("jti"); err != nil || len(nonce) != 36 || nonce[14] != '4' {
					t.Errorf("nonce %q, %v", nonce, err)
				}
			})
		}
	}
}

// publicOf returns what verifies, of a key that keygen wrote.
func publicOf(text string) (any, error) {
	if key, err := sign.ParsePrivateKey(text); err == nil {
		return key.Public(), nil
	}
	k, err := jwks.Parse([]byte(strings.TrimSpace(text)))
	if err != nil {
		return token.Secret(strings.TrimSpace(text))
	}
	key, err := k.Private()
	if signer, ok := key.(crypto.Signer); ok {
		return signer.Public(), err
	}
	return key, err
}

// minting mints with a secret and returns the token's claims, as they are written.
func minting(t testing.TB, args ...string) (header map[string]any, claims map[string]json.RawMessage) {
	t.Helper()
	var made struct {
		Token  string
		Header map[string]any
		Claims map[string]json.RawMessage
	}
	out := mustExecute(t, testSecret, append([]string{"mint", "--key", "-", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	d, err := describe(made.Token, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(d.Claims)), slices.Sorted(maps.Keys(made.Claims)); !slices.Equal(got, want) {
		t.Errorf("the token has %q, told was %q", got, want)
	}
	for name, value := range made.Claims {
		var in, told any
		if json.Unmarshal(d.Claims[name], &in) != nil || json.Unmarshal(value, &told) != nil || !reflect.DeepEqual(in, told) {
			t.Errorf("%s is %s in the token, told was %s", name, d.Claims[name], value)
		}
	}
	return made.Header, made.Claims
}

func TestMintClaims(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		claim string
		want  string // "" if it must not be there
	}{
		"a text":                  {[]string{"--claim", "typ=download"}, "typ", `"download"`},
		"a text with signs":       {[]string{"--claim", "x=a=b,c:=d"}, "x", `"a=b,c:=d"`},
		"a text like a number":    {[]string{"--claim", "x=3"}, "x", `"3"`},
		"an empty text":           {[]string{"--claim", "x="}, "x", `""`},
		"a number":                {[]string{"--claim", "x:=3.50"}, "x", `3.50`},
		"a truth":                 {[]string{"--claim", "x:= true"}, "x", `true`},
		"an array":                {[]string{"--claim", `x:=["a",1]`}, "x", `["a",1]`},
		"a name that is a URL":    {[]string{"--claim", "https://a.example/x=y"}, "https://a.example/x", `"y"`},
		"a placeholder":           {[]string{"--claim", "x={env.HOME}$HOME"}, "x", `"{env.HOME}$HOME"`},
		"subject":                 {[]string{"--sub", "ada"}, "sub", `"ada"`},
		"issuer":                  {[]string{"--iss", "https://a.example"}, "iss", `"https://a.example"`},
		"one audience":            {[]string{"--aud", "a"}, "aud", `"a"`},
		"two audiences":           {[]string{"--aud", "a", "--aud", "b"}, "aud", `["a","b"]`},
		"an audience by --claim":  {[]string{"--claim", "aud=a"}, "aud", `"a"`},
		"audiences by --claim":    {[]string{"--claim", `aud:=["a"]`}, "aud", `["a"]`},
		"a scope":                 {[]string{"--scope", "dataset:1"}, "scope", `"dataset:1"`},
		"a path":                  {[]string{"--path", "/ü & 100%.txt"}, "scope", `"download:/%C3%BC%20&%20100%25.txt"`},
		"a folder":                {[]string{"--path", "/a/"}, "scope", `"download:/a/"`},
		"two paths and a scope":   {[]string{"--path", "/a", "--path", "/b", "--scope", "c"}, "scope", `["c","download:/a","download:/b"]`},
		"a later start":           {[]string{"--claim", "nbf:=4000000000"}, "nbf", `4000000000`},
		"no nonce unless asked":   {nil, "jti", ""},
		"no scope unless asked":   {nil, "scope", ""},
		"a nonce that is brought": {[]string{"--claim", "jti=x"}, "jti", `"x"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, claims := minting(t, c.args...)
			if got := string(claims[c.claim]); strings.Join(strings.Fields(got), "") != strings.Join(strings.Fields(c.want), "") {
				t.Errorf("%s is %s, want %s", c.claim, got, c.want)
			}
		})
	}
	if _, claims := minting(t, "--one-time=nonce"); len(claims["nonce"]) != 38 || claims["jti"] != nil {
		t.Errorf("--one-time=nonce: %s, %s", claims["nonce"], claims["jti"])
	}
	if header, _ := minting(t, "--typ", "download+jwt", "--kid", "2027"); header["typ"] != "download+jwt" || header["kid"] != "2027" || header["alg"] != "HS256" {
		t.Errorf("header %v", header)
	}
	if header, _ := minting(t, "--typ", ""); header["typ"] != nil {
		t.Errorf("header %v", header)
	}
}

func TestMintRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no time":                {[]string{"--ttl", "0s"}, "--ttl"},
		"less than a second":     {[]string{"--ttl", "999ms"}, "--ttl"},
		"a negative time":        {[]string{"--ttl", "-1m"}, "--ttl"},
		"the end by hand":        {[]string{"--claim", "exp:=1"}, "exp is set twice"},
		"the time by hand":       {[]string{"--claim", "iat:=1"}, "iat is set twice"},
		"a subject twice":        {[]string{"--sub", "a", "--claim", "sub=b"}, "sub is set twice, by --sub and by --claim"},
		"a claim twice":          {[]string{"--claim", "a=b", "--claim", "a=b"}, "a is set twice"},
		"two nonces":             {[]string{"--one-time", "--claim", "jti=b"}, "jti is set twice"},
		"no sign":                {[]string{"--claim", "a"}, "name=text"},
		"no name":                {[]string{"--claim", "=a"}, "name=text"},
		"no JSON":                {[]string{"--claim", "a:=b"}, "not JSON"},
		"a name twice inside":    {[]string{"--claim", `a:={"b":1,"b":2}`}, "not JSON"},
		"a subject of a number":  {[]string{"--claim", "sub:=1"}, "sub is not a string"},
		"an audience of numbers": {[]string{"--claim", "aud:=[1]"}, "aud is neither"},
		"a relative path":        {[]string{"--path", "a"}, "--path"},
		"dot segments":           {[]string{"--path", "/a/../b"}, "--path"},
		"an empty path":          {[]string{"--path", ""}, "--path"},
		"a relative address":     {[]string{"--url", "/a"}, "--url"},
		"another scheme":         {[]string{"--url", "ftp://a.example/"}, "--url"},
		"a token in the address": {[]string{"--url", "https://a.example/?download_token=x"}, "already"},
		"hidden in the address":  {[]string{"--url", "https://a.example/?download%5Ftoken"}, "already"},
		"a bad escape":           {[]string{"--url", "https://a.example/100%.txt"}, "write %25"},
		"dots in the address":    {[]string{"--url", "https://a.example/a/../b"}, "dot segment"},
		"hidden dots":            {[]string{"--url", "https://a.example/%2e%2e/b"}, "dot segment"},
		"a backslash":            {[]string{"--url", `https://a.example/a\b`}, "backslash"},
		"an encoded slash":       {[]string{"--url", "https://a.example/a%2Fb"}, "encoded slash"},
		"a line feed":            {[]string{"--url", "https://a.example/a%0Ab"}, "control byte"},
		"a doubled slash":        {[]string{"--url", "https://a.example//b"}, "doubled slash"},
		"a # that is a name's":   {[]string{"--path", "/a#1.txt", "--url", "https://a.example/a#1.txt"}, "write %23"},
		"an encoded path":        {[]string{"--path", "/a%20b", "--url", "https://a.example/a%20b"}, "'/a b'"},
		"a scope with dots":      {[]string{"--scope", "download:/a/../b"}, "--scope: "},
		"a scope with a %5C":     {[]string{"--scope", "download:/a%5Cb"}, "--scope: "},
		"no parameter":           {[]string{"--url", "https://a.example/", "--param", ""}, "--param"},
		"too much":               {[]string{"--claim", "x=" + strings.Repeat("x", 8192)}, "too large"},
		"a stray argument":       {[]string{"--one-time", "nonce"}, "takes options only"},
		"not UTF-8":              {[]string{"--sub", "\xff"}, "UTF-8"},
		"a key of another alg":   {[]string{"--alg", "RS256"}, "needs a private key"},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, err := execute(testSecret, append([]string{"mint", "--key", "-"}, c.args...)...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if strings.Contains(out, "eyJ") || err != nil && strings.Contains(err.Error(), testSecret) {
				t.Errorf("printed %q, %v", out, err)
			}
		})
	}
}

func TestMintLink(t *testing.T) {
	for address, want := range map[string]string{
		"https://a.example/x":          "https://a.example/x?download_token=",
		"https://a.example":            "https://a.example?download_token=",
		"http://a.example:8000/x%20y/": "http://a.example:8000/x%20y/?download_token=",
		"https://a.example/x?a=%zz&b":  "https://a.example/x?a=%zz&b&download_token=",
		"https://a.example/%41?":       "https://a.example/%41?download_token=",
	} {
		link := mustExecute(t, testSecret, "mint", "-k", "-", "--scope", "x", "-u", address)
		if !strings.HasPrefix(link, want+"eyJ") {
			t.Errorf("%s became %.60s", address, link)
		}
	}
	link, _, err := execute(testSecret, "mint", "-k", "-", "-u", "https://a.example/x#part", "--param", "a b")
	if err != nil || !strings.HasPrefix(link, "https://a.example/x?a+b=eyJ") || !strings.HasSuffix(link, "#part\n") {
		t.Errorf("%s", link)
	}
}

// TestMintWarnsOfLinks: a link that may work, but perhaps not as it was meant.
func TestMintWarnsOfLinks(t *testing.T) {
	const other, none, cut = "--path does not open", "no --scope and no --path", "not sent to the server, so the link asks for /a;"
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"they agree":             {[]string{"--path", "/a b#1%.txt", "--url", "https://a.example/a%20b%231%25.txt"}, nil},
		"a folder":               {[]string{"--path", "/a/", "--url", "https://a.example/a/b"}, nil},
		"all":                    {[]string{"--path", "/", "--url", "https://a.example"}, nil},
		"one of two":             {[]string{"--path", "/b", "--path", "/a", "--url", "https://a.example/a"}, nil},
		"another file":           {[]string{"--path", "/b", "--url", "https://a.example/a"}, []string{other + " /a,"}},
		"a beginning":            {[]string{"--path", "/a", "--url", "https://a.example/ab"}, []string{other}},
		"a scope may open it":    {[]string{"--path", "/b", "--scope", "file:a", "--url", "https://a.example/a"}, nil},
		"a scope":                {[]string{"--scope", "file:a", "--url", "https://a.example/a"}, nil},
		"nothing":                {[]string{"--url", "https://a.example/a"}, []string{none}},
		"nothing, once":          {[]string{"--one-time", "--url", "https://a.example/a"}, []string{none}},
		"nothing but a type":     {[]string{"--claim", "typ=download", "--url", "https://a.example/a"}, []string{none}},
		"permissions":            {[]string{"--claim", `access:={"pathPermissions":[]}`, "--url", "https://a.example/a"}, nil},
		"a path in another":      {[]string{"--claim", `paths:=["/a"]`, "--url", "https://a.example/a"}, nil},
		"a fragment":             {[]string{"--path", "/a", "--url", "https://a.example/a#page=3"}, []string{cut}},
		"a fragment and nothing": {[]string{"--url", "https://a.example/a#1.txt"}, []string{none, cut}},
		"no address":             {[]string{"--one-time"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, form := range [][]string{nil, {"--json"}} {
				out, stderr, err := execute(testSecret, slices.Concat([]string{"mint", "--key", "-"}, c.args, form)...)
				if err != nil || !strings.Contains(out, "eyJ") || strings.Contains(out, "Warning") {
					t.Fatalf("%q, %v", out, err)
				}
				if got := strings.Count(stderr, "Warning: "); got != len(c.want) || strings.Contains(stderr, "eyJ") {
					t.Errorf("%d warnings: %s", got, stderr)
				}
				for _, want := range c.want {
					if !strings.Contains(stderr, want) {
						t.Errorf("%q does not say %q", stderr, want)
					}
				}
			}
		})
	}
}

func TestMintWarns(t *testing.T) {
	_, stderr, err := execute("django-insecure-"+testSecret, "mint", "--key", "-")
	if err != nil || !strings.Contains(stderr, "Warning: secret begins with django-insecure-") {
		t.Errorf("%q, %v", stderr, err)
	}
	if strings.Contains(stderr, testSecret) {
		t.Errorf("the warning has the secret: %s", stderr)
	}
}

// TestMintTimes: whatever the clock and the length, the token is good at once,
// not good for longer than it says, and its iat has milliseconds.
func TestMintTimes(t *testing.T) {
	key, err := sign.New("HS256", "", []byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	table, err := token.NewTable(key.Key())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		now := time.UnixMicro(rapid.Int64Range(1_000_000_000_000_000, 3_000_000_000_000_000).Draw(t, "now"))
		ttl := time.Duration(rapid.Int64Range(int64(time.Second), int64(1000*time.Hour)).Draw(t, "ttl"))
		made, err := mint(mintOptions{ttl: ttl}, key, now)
		if err != nil {
			t.Fatal(err)
		}
		v, rules := token.Verifier{Keys: table}, token.Rules{OneTime: true, MaxTTL: ttl}
		verified, err := v.Verify(context.Background(), made.Token)
		if err == nil {
			err = rules.Accept(verified, now)
		}
		if err != nil {
			t.Fatalf("refused at once: %v", err)
		}
		if iat := verified.Claims.IssuedAt; !iat.Equal(now.Truncate(time.Millisecond)) {
			t.Errorf("iat %v, now %v", iat, now)
		}
		if !verified.Claims.ExpiresAt.Equal(made.ExpiresAt) || made.ExpiresIn < 1 {
			t.Errorf("exp %v, told %v, %d", verified.Claims.ExpiresAt, made.ExpiresAt, made.ExpiresIn)
		}
	})
}
