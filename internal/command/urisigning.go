package command

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/cdni"
)

// uriSigning is what mint is asked for a token of RFC 9246.
type uriSigning struct {
	profile   string
	regex     string
	pathStyle bool
	renew     time.Duration
	clientIP  string
	encrypt   string // where the key is, as for --key

	encrypter jose.Encrypter
}

// prepare reads the key that encrypts, and says what does not belong together.
func (u *uriSigning) prepare(o *mintOptions, stdin io.Reader) error {
	switch {
	case u.profile == "" && *u != uriSigning{}:
		return errors.New("--regex, --path-style, --renew, --client-ip and --encrypt are for tokens of RFC 9246; add --profile " + downloadtoken.ProfileRFC9246)
	case u.profile == "":
		return nil
	case u.profile != downloadtoken.ProfileRFC9246:
		return errors.New("--profile: write " + downloadtoken.ProfileRFC9246)
	case o.url == "":
		return errors.New("--profile: the token is for an address; write it with --url")
	case len(o.paths) > 0 || len(o.scopes) > 0:
		return errors.New("--profile: with RFC 9246 a token opens --url, or what --regex matches; leave out --path and --scope")
	case u.renew != 0 && u.renew < time.Second:
		return errors.New("--renew: must be a second or more, such as 30s")
	case u.encrypt == "" && (o.sub != "" || u.clientIP != ""):
		return errors.New("--sub and --client-ip are encrypted in tokens of RFC 9246; give the key with --encrypt")
	case u.encrypt == "":
		return nil
	}
	text, err := readKey(u.encrypt, stdin)
	if err == nil {
		u.encrypter, err = encrypterOf(strings.TrimSpace(text))
	}
	if err != nil {
		return fmt.Errorf("--encrypt: %s", strings.TrimPrefix(err.Error(), "--key: "))
	}
	return nil
}

// encrypterOf makes what encrypts with a secret itself (RFC 7518 section 4.5): a JWK, or
// base64: and the bytes. The error has nothing of it.
func encrypterOf(text string) (jose.Encrypter, error) {
	var key jose.JSONWebKey
	secret, isJWK := []byte(nil), strings.HasPrefix(text, "{")
	if isJWK {
		if key.UnmarshalJSON([]byte(text)) == nil {
			secret, _ = key.Key.([]byte)
		}
	} else if encoded, ok := strings.CutPrefix(text, "base64:"); ok {
		secret, _ = base64.StdEncoding.DecodeString(encoded)
	}
	content, ok := map[int]jose.ContentEncryption{16: jose.A128GCM, 24: jose.A192GCM, 32: jose.A256GCM}[len(secret)]
	if !ok {
		return nil, errors.New("is no key of 16, 24 or 32 bytes; write base64: and the bytes, or a JSON Web Key of type oct, into the file")
	}
	return jose.NewEncrypter(content, jose.Recipient{Algorithm: jose.DIRECT, Key: secret, KeyID: key.KeyID}, nil)
}

// claims are those that RFC 9246 has for the options.
func (u *uriSigning) claims(o *mintOptions) (claims []claim, err error) {
	container := "regex:" + u.regex
	if u.regex == "" {
		uri, err := u.uri(o)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256([]byte(uri))
		container = "hash:sha-256;" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	claims = append(claims, claim{"cdniuc", "--regex or --url", container})
	if u.renew != 0 {
		seconds := jsontext.Value(strconv.FormatInt(int64(u.renew/time.Second), 10))
		claims = append(claims, claim{"cdniets", "--renew", seconds})
		if !o.claimed("cdnistt") {
			claims = append(claims, claim{"cdnistt", "--renew", jsontext.Value("1")})
		}
	}
	for _, secret := range []struct{ name, option, value string }{{"cdniip", "--client-ip", u.clientIP}, {"sub", "--sub", o.sub}} {
		if secret.value == "" {
			continue
		}
		encrypted, err := u.encrypter.Encrypt([]byte(secret.value))
		if err != nil {
			return nil, fmt.Errorf("--encrypt: %w", err)
		}
		text, err := encrypted.CompactSerialize()
		if err != nil {
			return nil, fmt.Errorf("--encrypt: %w", err)
		}
		claims = append(claims, claim{secret.name, secret.option, text})
	}
	return claims, nil
}

// uri is what a container is compared with.
func (u *uriSigning) uri(o *mintOptions) (string, error) {
	link, err := parseLink(o.url)
	if err != nil {
		return "", err
	}
	if err := scope.CheckLink(link.String()); err != nil {
		return "", fmt.Errorf("--url: no link can open this address: %w", err)
	}
	uri, err := cdni.Target{Scheme: link.Scheme, Host: link.Host, RequestURI: link.RequestURI()}.URI(o.param)
	if err != nil {
		return "", fmt.Errorf("--url: %w", err)
	}
	return uri, nil
}

// check makes sure that a token is one of RFC 9246, and that it opens the address.
func (u *uriSigning) check(o *mintOptions, verified *token.Token) error {
	container, _ := verified.Claims.String("cdniuc")
	parsed, err := cdni.ParseContainer(container)
	if err != nil {
		return err
	}
	uri, err := u.uri(o)
	if err == nil && !parsed.Matches(uri) {
		err = errors.New("--regex does not match --url as a whole; write \\. for each dot that is one, and what stands in the query, too")
	}
	return err
}

// meanings are in words what the claims of RFC 9246 say.
func meanings(claims map[string]jsontext.Value) map[string]string {
	if claims["cdniuc"] == nil {
		return nil
	}
	said := make(map[string]string)
	number := func(name string) int {
		n, err := strconv.Atoi(string(claims[name]))
		if err != nil {
			return -1
		}
		return n
	}
	text := func(name string) (text string) {
		_ = json.Unmarshal(claims[name], &text)
		return text
	}
	say := func(name, words string) {
		if claims[name] != nil {
			said[name] = words
		}
	}
	switch container := text("cdniuc"); {
	case strings.HasPrefix(container, "hash:"):
		say("cdniuc", "opens one URI, of which this is the hash")
	case strings.HasPrefix(container, "regex:"):
		say("cdniuc", "opens each URI that the expression matches as a whole")
	default:
		say("cdniuc", "no container that RFC 9246 knows")
	}
	say("jti", "can be used once for each path")
	say("cdniv", "version of the token; 1 is the only one")
	say("cdnicrit", "claims that the server must understand")
	say("cdniip", "encrypted: the addresses that the client must have")
	say("sub", "encrypted: whom the token is for")
	say("cdniets", "each answer brings a token that is good for so many seconds more")
	switch number("cdnistt") {
	case 0:
		say("cdnistt", "it is not renewed")
	case cdni.InCookie:
		say("cdnistt", "it is renewed in a cookie")
	case cdni.InQuery:
		say("cdnistt", "it is renewed in redirects to other hosts")
	default:
		say("cdnistt", "no transport that RFC 9246 knows")
	}
	switch depth := number("cdnistd"); {
	case depth == 0:
		say("cdnistd", "the cookie is for the whole host")
	case depth > 0:
		say("cdnistd", "how many segments of the path the cookie is for")
	}
	return said
}
