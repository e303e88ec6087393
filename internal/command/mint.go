package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/cdni"
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
)

const mintHelp = `
Makes a token and prints it, or with --url a whole link.

The key is what keygen makes: a secret (as it is, or base64:...), a private key in
PEM (PKCS #8, PKCS #1, SEC 1), or a JSON Web Key. The algorithm follows from it
(HS256 for a secret, RS256 for RSA, ES256, ES384 or ES512 by the curve, EdDSA),
unless --alg says otherwise. One with a passphrase comes through a pipe:

  openssl pkey -in private.pem | caddy download-token mint --key -

A token always has iat, the current time with a fraction, and exp, --ttl later.
What it opens depends on the directive's scope:

  scope path              --path /reports/q3.pdf
  scope template          --scope dataset:2489e9ad-2ee2-8e00-8ec9-32d5f69181c0
  scope path_permissions  --claim 'access:={"pathPermissions":[...]}'
  scope any               nothing is needed

--scope and --path may be mixed; several make an array.

With --profile rfc9246, the token is one of RFC 9246 (URI Signing for CDNI): it opens
--url alone, by its hash, or what --regex matches; see docs/rfc9246.md.

With --config and --url, all of that follows from the directive that judges the
address: what opens it, for how long, for one use or more, by which parameter, and
the secret that signs. Where nothing may be read, the link is one to send a file by.
What is given stays as it is, and what was chosen is said on standard error.

Before it is printed, the token is checked as the directive would, so that
claims that it can never accept are an error here. An address that --path does not
open, or nothing that says what is opened, is a warning.`

const mintExamples = `  A link that opens one file, once, for ten minutes
  $ export DOWNLOAD_SECRET=$(caddy download-token keygen HS256)
  $ caddy download-token mint --key env:DOWNLOAD_SECRET --one-time \
        --path /reports/q3.pdf --url https://example.com/reports/q3.pdf

  A link that works, by what the Caddyfile says
  $ caddy download-token mint --config Caddyfile --url https://example.com/reports/q3.pdf

  A link by which one file can be sent, to a folder where a Caddyfile lets files be created
  $ caddy download-token mint --config Caddyfile --ttl 24h --url https://example.com/inbox/

  A token for a folder, for an hour, signed with a private key
  $ caddy download-token mint --key private.pem --ttl 1h --path /reports/

  A token for a dataset
  $ caddy download-token mint --key - --ttl 2m --claim typ=download \
        --scope dataset:2489e9ad-2ee2-8e00-8ec9-32d5f69181c0 < secret

  A link of RFC 9246 for the segments of a film, renewed as they are fetched
  $ caddy download-token mint --key private.pem --profile rfc9246 --ttl 30s --renew 30s \
        --claim cdnistd:=2 --regex 'https://example\.com/films/42/[a-z0-9]+\.(m3u8|ts)' \
        --url https://example.com/films/42/index.m3u8

  For programs
  $ caddy download-token mint --key secret --sub ada --claim admin:=false --json`

// mintOptions are what the user asks of mint.
type mintOptions struct {
	key, alg, kid, typ string
	ttl                time.Duration
	oneTime            string // the claim; "" for none
	claims             []string
	sub, iss           string
	aud, scopes, paths []string
	url, param         string
	config, adapter    string
	json               bool
	uri                uriSigning
}

func mintCommand() *cobra.Command {
	var o mintOptions
	cmd := &cobra.Command{
		Use:     "mint --key <file>|env:<name>|- [--one-time] [--path <path>] [--url <url>]\n  caddy download-token mint --config <file> --url <url>",
		Short:   "Makes a token, or a whole link",
		Long:    mintHelp,
		Example: mintExamples,
		Args:    arguments(0, 0, "mint takes options only; the value of --one-time follows a =, such as: --one-time=nonce"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runMint(cmd, o) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.key, "key", "k", "", "The key that signs: a file's name, env:NAME, or - for standard input (required, unless --config has a secret)")
	flags.StringVar(&o.alg, "alg", "", "Algorithm (default: what goes with the key; HS256 for a secret)")
	flags.StringVar(&o.kid, "kid", "", "ID of the key, for the token's header (default: that of a JSON Web Key)")
	flags.StringVar(&o.typ, "typ", "JWT", "The header's typ, for directives with header_typ")
	o.ttl = 10 * time.Minute
	flags.Var(duration{&o.ttl}, "ttl", "How long the token is good for, such as 120s, 10m, 1h or 7d")
	flags.StringVar(&o.oneTime, "one-time", "", "Make the token good for one use, with a random UUID in this claim")
	flags.Lookup("one-time").NoOptDefVal = "jti"
	flags.StringArrayVar(&o.paths, "path", nil, "A path that the token opens, for scope path; a folder ends in a slash (repeatable)")
	flags.StringArrayVar(&o.scopes, "scope", nil, "The claim scope (repeatable)")
	flags.StringArrayVar(&o.claims, "claim", nil, "Another claim, name=text or name:=JSON (repeatable)")
	flags.StringVar(&o.sub, "sub", "", "The claim sub, whom the token is for")
	flags.StringVar(&o.iss, "iss", "", "The claim iss, who made the token")
	flags.StringArrayVar(&o.aud, "aud", nil, "The claim aud, whom the token is meant to be shown to (repeatable)")
	flags.StringVarP(&o.url, "url", "u", "", "Print this address with the token in its query, instead of the token")
	flags.StringVar(&o.param, "param", downloadtoken.DefaultQuery, "The query parameter for --url")
	flags.StringVar(&o.uri.profile, "profile", "", "Make a token of this standard, for --url: rfc9246")
	flags.StringVar(&o.uri.regex, "regex", "", "With --profile: open each URI that this POSIX extended regular expression matches, instead of --url alone")
	flags.BoolVar(&o.uri.pathStyle, "path-style", false, "With --profile: print the address with the token in its path, instead of its query")
	flags.Var(duration{&o.uri.renew}, "renew", "With --profile: have each answer renew the token for so long, in a cookie (cdniets; cdnistt 1)")
	flags.StringVar(&o.uri.clientIP, "client-ip", "", "With --profile: the address or range that the client must have, encrypted (cdniip)")
	flags.StringVar(&o.uri.encrypt, "encrypt", "", "With --profile: the key that encrypts --client-ip and --sub: a file's name or env:NAME, with base64:... or a JSON Web Key")
	flags.StringVarP(&o.config, "config", "c", "", "Make what the directive of this configuration that judges --url asks for, signed with its secret unless --key is given")
	flags.StringVarP(&o.adapter, "adapter", "a", "", "Name of the config adapter, if it does not follow from the file's name")
	flags.BoolVar(&o.json, "json", false, "Print a JSON object with token, link, header, claims, fingerprint, expires_at, expires_in and, with --config, chosen")
	return cmd
}

func runMint(cmd *cobra.Command, o mintOptions) error {
	text, fit, err := o.prepare(cmd)
	if err != nil {
		return err
	}
	key, warnings, err := parseSigningKey(text, o.alg, o.kid)
	if err != nil {
		return err
	}
	made, err := mint(o, key, time.Now())
	if err == nil && fit != nil {
		err = fit.finish(made)
	}
	if err != nil {
		return err
	}
	for _, warning := range append(warnings, made.warnings...) {
		fmt.Fprintln(cmd.ErrOrStderr(), "Warning:", warning)
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), made)
	}
	if len(made.Chosen) > 0 {
		said := strings.Join(made.Chosen, " ")
		if o.key == "" {
			said += " and its secret"
		}
		fmt.Fprintln(cmd.ErrOrStderr(), "Chosen to fit the directive:", said)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), cmp.Or(made.Link, made.Token))
	return err
}

// prepare finds the key, and with --config completes the options.
func (o *mintOptions) prepare(cmd *cobra.Command) (key string, fit *fitting, err error) {
	if o.config != "" {
		if fit, err = o.fit(cmd.Flags().Changed); err == nil {
			key, err = fit.secret()
		}
		if err != nil {
			return key, fit, err
		}
	}
	if o.uri.profile != "" && !cmd.Flags().Changed("param") && fit == nil {
		o.param = cdni.Attribute
	}
	if err := o.uri.prepare(o, cmd.InOrStdin()); err != nil || key != "" {
		return key, fit, err
	}
	key, err = readKey(o.key, cmd.InOrStdin())
	return key, fit, err
}

// minted is a token, and what --json prints.
type minted struct {
	Token       string                    `json:"token"`
	Link        string                    `json:"link,omitzero"`
	Header      map[string]jsontext.Value `json:"header"`
	Claims      map[string]jsontext.Value `json:"claims"`
	Fingerprint string                    `json:"fingerprint"`
	ExpiresAt   time.Time                 `json:"expires_at"`
	ExpiresIn   int64                     `json:"expires_in"`      // seconds
	Chosen      []string                  `json:"chosen,omitzero"` // with --config

	warnings []string
}

// mint makes the token, and the link if there is an address for it.
func mint(o mintOptions, key *sign.Signer, now time.Time) (*minted, error) {
	if o.ttl < time.Second {
		return nil, errors.New("--ttl: must be a second or more, such as 10m")
	}
	said, expires, err := o.say(now)
	if err != nil {
		return nil, err
	}
	signed, err := key.Sign(o.typ, said)
	if err == nil {
		err = o.try(signed, key, now)
	}
	if err != nil {
		return nil, fmt.Errorf("the directive would never accept this token: %w", err)
	}
	made := &minted{
		Token:       signed,
		Fingerprint: token.FingerprintOf(signed).String(),
		ExpiresAt:   expires.UTC(),
		ExpiresIn:   int64(expires.Sub(now.Truncate(time.Second)) / time.Second),
	}
	made.Header, made.Claims, err = token.Decode(signed)
	if err == nil && o.url != "" {
		made.Link, made.warnings, err = o.link(made)
	}
	if err != nil {
		return nil, err
	}
	return made, nil
}

// try judges the token as the directive would, by rules that it fits. A later nbf is
// a wish.
func (o *mintOptions) try(signed string, key *sign.Signer, now time.Time) error {
	table, err := token.NewTable(key.Key())
	if err != nil {
		return err
	}
	v := token.Verifier{Keys: table}
	verified, err := v.Verify(context.Background(), signed)
	if err != nil {
		return err
	}
	rules := token.Rules{Audiences: verified.Claims.Audience}
	if err := rules.Accept(verified, now); err != nil && !errors.Is(err, token.ErrNotYetValid) {
		return err
	}
	if o.uri.profile != "" {
		return o.uri.check(o, verified)
	}
	return nil
}
