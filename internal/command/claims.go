package command

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
)

// claim is something that an option of mint has the token say.
type claim struct {
	name, option string
	value        any // a string, a []string or JSON; nil for a random nonce
}

// say puts all claims together. Two options that set the same one are an error:
// the user would have to guess which wins.
func (o *mintOptions) say(now time.Time) (said *sign.Claims, expires time.Time, err error) {
	claims, err := o.listClaims()
	if err != nil {
		return nil, time.Time{}, err
	}
	said = new(sign.Claims)
	_, expires = said.Stamp(now, o.ttl, time.Millisecond) // for a store that has just started
	setBy := map[string]string{"iat": "iat, which is always now", "exp": "--ttl"}
	for _, c := range claims {
		if earlier, ok := setBy[c.name]; ok {
			return nil, time.Time{}, fmt.Errorf("the claim %s is set twice, by %s and by %s", c.name, earlier, c.option)
		}
		setBy[c.name] = c.option
		if c.value == nil {
			said.Nonce(c.name)
			continue
		}
		value, err := json.Marshal(c.value)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("%s: the value of %s cannot be written as JSON (is it UTF-8?)", c.option, c.name)
		}
		said.Set(c.name, value)
	}
	return said, expires, nil
}

// listClaims lists the claims of all options but --ttl, in the order in which the
// token has them.
func (o *mintOptions) listClaims() (claims []claim, err error) {
	// One value is a string, several are an array.
	add := func(name, option string, values ...string) {
		switch len(values) {
		case 0:
		case 1:
			claims = append(claims, claim{name, option, values[0]})
		default:
			claims = append(claims, claim{name, option, values})
		}
	}
	if o.oneTime != "" {
		claims = append(claims, claim{o.oneTime, "--one-time", nil})
	}
	scopes, err := o.listScopes()
	if err != nil {
		return nil, err
	}
	add("scope", "--scope or --path", scopes...)
	add("aud", "--aud", o.aud...)
	if o.uri.profile != "" {
		own, err := o.uri.claims(o)
		if err != nil {
			return nil, err
		}
		claims = append(claims, own...)
	} else if o.sub != "" {
		add("sub", "--sub", o.sub)
	}
	if o.iss != "" {
		add("iss", "--iss", o.iss)
	}
	for _, option := range o.claims {
		c, err := parseClaim(option)
		if err != nil {
			return nil, err
		}
		claims = append(claims, c)
	}
	return claims, nil
}

// listScopes lists the scopes, and behind them those that open the paths with
// `scope path`: download: and the path, percent-encoded, after the WLCG Common JWT
// Profile.
func (o *mintOptions) listScopes() (scopes []string, err error) {
	for _, one := range o.scopes {
		if err := scope.CheckScope(one); err != nil {
			return nil, fmt.Errorf("--scope: %w", err)
		}
		scopes = append(scopes, one)
	}
	for _, path := range o.paths {
		u := url.URL{Path: path}
		if _, err := scope.Path(&u); err != nil {
			return nil, errors.New("--path: it must begin with a slash and have neither dot segments, empty segments nor backslashes; " +
				"write it decoded, with spaces as spaces")
		}
		scopes = append(scopes, "download:"+u.EscapedPath())
	}
	return scopes, nil
}

// parseClaim reads name=text, or name:=JSON.
func parseClaim(option string) (claim, error) {
	name, text, ok := strings.Cut(option, "=")
	name, isJSON := strings.CutSuffix(name, ":")
	value := jsontext.Value(strings.TrimSpace(text))
	switch {
	case !ok || name == "":
		return claim{}, errors.New("--claim: write name=text, or name:=JSON for anything but a string, such as count:=3")
	case !isJSON:
		return claim{name, "--claim", text}, nil
	case !value.IsValid():
		return claim{}, fmt.Errorf("--claim %s: what follows := is not JSON; a string is written %s=text", name, name)
	}
	return claim{name, "--claim", value}, nil
}
