package command

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-json-experiment/json"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
	"github.com/caddy-download-token/caddy-download-token/internal/rehearsal"
	"github.com/caddy-download-token/caddy-download-token/internal/trust"
)

// fitting is mint's options as they come to fit a directive: what the user gave stays,
// the rest is what the directive asks for.
type fitting struct {
	*mintOptions
	given     func(option string) bool
	directive *downloadtoken.Handler
	named     map[string]any // claims that open the address
	method    string         // of the request that they are for; "": GET
	unnamed   error          // why there are none
	chosen    []string       // options that would have said the same
	warnings  []string
}

// fit looks for the directive that judges --url.
func (o *mintOptions) fit(given func(option string) bool) (*fitting, error) {
	f := &fitting{mintOptions: o, given: given}
	if o.url == "" {
		return nil, errors.New("--config: which directive is meant follows from the address; write it with --url")
	}
	if err := f.rehearse("", func(h *downloadtoken.Handler, r *http.Request) {
		if f.directive == nil {
			f.directive = h
			f.named, f.method, f.unnamed = h.Name(r)
		}
	}); err != nil {
		return nil, err
	}
	if f.directive.Profile != nil && o.uri.profile == "" {
		o.uri.profile = f.directive.Profile.Name
		f.choose("--profile", o.uri.profile)
	}
	for _, choose := range []func() error{f.chooseParam, f.chooseTTL, f.chooseClaims, f.chooseScope} {
		if err := choose(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// rehearse takes the request through the configuration. With a token, it is an error if
// it would be refused.
func (f *fitting) rehearse(text string, meet func(*downloadtoken.Handler, *http.Request)) error {
	u, err := parseLink(f.url)
	if err != nil {
		return err
	}
	config, err := loadConfig(f.config, f.adapter)
	if err != nil {
		return err
	}
	found, err := rehearsal.Run(config, rehearsal.Request{
		Method: cmp.Or(f.method, http.MethodGet), URL: u, Header: make(http.Header), ClientIP: "127.0.0.1", Token: text, Meet: meet,
	})
	switch {
	case err != nil:
		return err
	case len(found.Checks) == 0:
		return errors.New("--url: no download_token directive of the configuration judges this address")
	}
	if check := found.Checks[len(found.Checks)-1]; text != "" && check.Reason != "" {
		return fmt.Errorf("the directive would refuse this token (%s): %s", check.Reason, check.Detail)
	}
	return nil
}

// finish makes sure that the directive takes the token.
func (f *fitting) finish(made *minted) error {
	made.Chosen, made.warnings = f.chosen, append(made.warnings, f.warnings...)
	return f.rehearse(made.Token, nil)
}

// choose notes an option that the user might have given. Its value may need quotes.
func (f *fitting) choose(option, value string) {
	if strings.ContainsAny(value, " '\"{[$&|;<>()*?#~`\\") {
		value = "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
	}
	f.chosen = append(f.chosen, option+" "+value)
}

func (f *fitting) chooseParam() error {
	var elsewhere []string
	for _, from := range f.directive.From {
		for _, source := range from.Sources() {
			switch {
			case source.Kind != token.Query:
				elsewhere = append(elsewhere, strings.TrimSpace(from.In+" "+source.Name))
			case !f.given("param"):
				if f.param = source.Name; f.param != downloadtoken.DefaultQuery {
					f.choose("--param", f.param)
				}
				return nil
			case f.param == source.Name:
				return nil
			}
		}
	}
	if f.given("param") {
		return errors.New("--param: the directive does not look there; see its from lines")
	}
	return fmt.Errorf("--url: no link can hold the token, because the directive looks for it in %s; "+
		"make it without --config", strings.Join(elsewhere, ", "))
}

func (f *fitting) chooseTTL() error {
	longest := time.Duration(f.directive.MaxTTL)
	switch {
	case longest == 0:
	case !f.given("ttl"):
		f.ttl = min(f.ttl, longest)
	case f.ttl > longest:
		return fmt.Errorf("--ttl: the directive takes tokens of max_ttl %v at most", longest)
	}
	if !f.given("ttl") {
		f.choose("--ttl", f.ttl.String())
	}
	return nil
}

func (f *fitting) chooseClaims() error {
	h := f.directive
	if !f.given("one-time") && h.OneTime != nil && h.Profile == nil {
		f.oneTime = cmp.Or(slices.Concat(h.OneTime.Claim, []string{"jti"})...)
		f.chosen = append(f.chosen, "--one-time="+f.oneTime)
	}
	for _, one := range []struct {
		option string
		values []string
		set    func(value string)
	}{
		{"typ", h.HeaderTyp, func(value string) { f.typ = value }},
		{"iss", h.Issuer, func(value string) { f.iss = value }},
		{"aud", h.Audience, func(value string) { f.aud = []string{value} }},
	} {
		if !f.given(one.option) && len(one.values) > 0 {
			one.set(one.values[0])
			f.choose("--"+one.option, one.values[0])
		}
	}
	required := h.Require
	if h.IPClaim != "" {
		required = append(slices.Clone(required), verification.Requirement{Claim: h.IPClaim})
	}
	for _, r := range required {
		switch {
		case f.says(r.Claim):
		case len(r.Values) == 0:
			return fmt.Errorf("the directive requires the claim %[1]s; give it, such as with --claim %[1]s=<value>", r.Claim)
		default:
			f.claims = append(f.claims, r.Claim+"="+r.Values[0])
			f.choose("--claim", r.Claim+"="+r.Values[0])
		}
	}
	return nil
}

// says reports whether the token will have a claim.
func (f *fitting) says(name string) bool {
	switch name {
	case "iat", "exp", f.oneTime:
		return true
	case "sub":
		return f.sub != ""
	case "iss":
		return f.iss != ""
	case "aud":
		return len(f.aud) > 0
	case "scope":
		return len(f.scopes) > 0 || len(f.paths) > 0 || f.named["scope"] != nil
	}
	return f.claimed(name) || f.named[name] != nil
}

// claimed reports whether --claim names it.
func (o *mintOptions) claimed(name string) bool {
	return slices.ContainsFunc(o.claims, func(option string) bool {
		before, _, _ := strings.Cut(option, "=")
		return strings.TrimSuffix(before, ":") == name
	})
}

// chooseScope has the token open the address, unless the user says what it opens.
func (f *fitting) chooseScope() error {
	if f.uri.profile != "" || len(f.scopes) > 0 || len(f.paths) > 0 || len(f.claims) > 0 && f.unnamed != nil {
		return nil
	}
	if f.unnamed != nil {
		return fmt.Errorf("--url: %w; say with --scope, --path or --claim what opens it", f.unnamed)
	}
	for _, name := range slices.Sorted(maps.Keys(f.named)) {
		value := f.named[name]
		if f.claimed(name) {
			continue
		}
		option := name + "="
		if text, ok := value.(string); ok {
			option += text
		} else {
			encoded, err := json.Marshal(value, json.Deterministic(true))
			if err != nil {
				return err
			}
			option = name + ":=" + string(encoded)
		}
		f.claims = append(f.claims, option)
		f.choose("--claim", option)
	}
	if len(f.named) == 0 {
		f.warnings = append(f.warnings, "with scope any this token opens every file, not only this one")
	}
	return nil
}

// secret is the text of the first secret of the directive, or "" if --key has the key;
// and of either it says what the directive knows it by, if that is certain.
func (f *fitting) secret() (text string, err error) {
	keys := slices.DeleteFunc(slices.Clone(f.directive.Key), func(k verification.TrustedKey) bool {
		family, err := token.FamilyOf(k.Alg)
		return err != nil || family != token.HMAC && !f.given("key") ||
			f.alg != "" && f.alg != k.Alg || f.kid != "" && f.kid != k.KeyID ||
			f.given("iss") && k.Issuer != "" && k.Issuer != f.iss
	})
	switch {
	case f.given("key") && len(keys) != 1: // there is no telling which of the directive's it is
		return "", nil
	case len(keys) == 0 && (f.given("alg") || f.given("kid") || f.given("iss")):
		return "", errors.New("the directive has no secret that fits --alg, --kid and --iss; leave them out, and what fits is chosen, " +
			"or give the private key of a public one, such as with --key private.pem")
	case len(keys) == 0:
		return "", errors.New("--key is missing: the directive has no secret that signs, only what verifies; " +
			"give the private key, such as with --key private.pem")
	}
	k := keys[0]
	f.alg, f.kid = k.Alg, k.KeyID
	f.choose("--alg", k.Alg)
	if k.KeyID != "" {
		f.choose("--kid", k.KeyID)
	}
	if k.Issuer != "" && f.iss != k.Issuer {
		f.iss = k.Issuer
		f.choose("--iss", k.Issuer)
	}
	if f.given("key") {
		return "", nil
	}
	return trust.Material(k.Key)
}

// duration is the value of an option: as in a Caddyfile, with days.
type duration struct{ *time.Duration }

// Set implements pflag.Value.
func (d duration) Set(text string) (err error) {
	*d.Duration, err = caddy.ParseDuration(text)
	return err
}

// Type implements pflag.Value.
func (duration) Type() string { return "duration" }
