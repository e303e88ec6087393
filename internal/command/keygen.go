package command

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/jwks"
)

const keygenHelp = `
Makes a key for one algorithm and prints it: the one that signs, to --out or
standard output, and the one that verifies, to --public.

HS256, HS384 and HS512 have one secret for both sides: base64: and as many random
bytes as the hash has (32, 48 or 64). The Caddyfile and mint take it as it is.

RS256 RS384 RS512 PS256 PS384 PS512 (RSA), ES256 ES384 ES512 (ECDSA) and EdDSA
(Ed25519) have a pair: the private key in PEM (PKCS #8) belongs to the program that
mints, the public key in PEM (PKIX) to Caddy. The second follows from the first:

  openssl pkey -in private.pem -pubout

--jwk writes JSON Web Keys (RFC 7517) instead. Of a pair, publish only what --public
writes. A file with a secret or private key is made with mode 0600, and no file that
exists is written to, unless --force is given.`

const keygenExamples = `  A secret, to standard output:
  $ caddy download-token keygen HS256

  A secret in a file, for: key HS256 {file./etc/caddy/download.key}
  $ caddy download-token keygen HS256 --out /etc/caddy/download.key

  A key pair, for: key EdDSA {file./etc/caddy/download.pem}
  $ caddy download-token keygen EdDSA --out private.pem --public /etc/caddy/download.pem

  A key pair as JSON Web Keys
  $ caddy download-token keygen ES256 --jwk --kid 2027 --out private.jwk --public public.jwk`

// keygenOptions are what the user asks of keygen.
type keygenOptions struct {
	alg         string
	bits        int
	kid         string
	jwk         bool
	out, public string // files, "-" for standard output
	force       bool
	json        bool
}

func keygenCommand() *cobra.Command {
	var o keygenOptions
	cmd := &cobra.Command{
		Use:     "keygen <alg> [--out <file>] [--public <file>]",
		Short:   "Makes a secret or a key pair",
		Long:    keygenHelp,
		Example: keygenExamples,
		Args:    arguments(1, 1, "write one algorithm, such as: keygen HS256"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.alg = args[0]
			return runKeygen(cmd, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.out, "out", "o", "-", "File for the secret or private key; - is standard output")
	flags.StringVar(&o.public, "public", "", "File for the public key; - is standard output (default: not written)")
	flags.IntVar(&o.bits, "bits", defaultRSABits, "Size of an RSA key, 2048 to 16384")
	flags.BoolVar(&o.jwk, "jwk", false, "Write JSON Web Keys instead of PEM or base64")
	flags.StringVar(&o.kid, "kid", "", "ID of the key, for --jwk and --json")
	flags.BoolVar(&o.force, "force", false, "Replace files that exist")
	flags.BoolVar(&o.json, "json", false, "Print a JSON object with alg, kid, private, public; what goes to a file is left out")
	return cmd
}

// keygenReport is what --json prints.
type keygenReport struct {
	Alg         string `json:"alg"`
	KeyID       string `json:"kid,omitzero"`
	Private     any    `json:"private,omitzero"`
	PrivateFile string `json:"private_file,omitzero"`
	Public      any    `json:"public,omitzero"`
	PublicFile  string `json:"public_file,omitzero"`
}

func runKeygen(cmd *cobra.Command, o keygenOptions) error {
	if err := o.check(cmd.Flags().Changed("bits")); err != nil {
		return err
	}
	key, err := generate(o.alg, o.bits)
	if err != nil {
		return err
	}
	var private, public string
	if o.jwk {
		private, public, err = jwks.Write(key, o.alg, o.kid)
	} else {
		private, public, err = halves(key)
	}
	if err == nil {
		err = o.writeFiles(private, public)
	}
	if err != nil {
		return err
	}
	toPrint, report := "", keygenReport{Alg: o.alg, KeyID: o.kid}
	if isFile(o.out) {
		report.PrivateFile = o.out
	} else {
		toPrint, report.Private = private, o.member(private)
	}
	if isFile(o.public) {
		report.PublicFile = o.public
	} else if public != "" {
		report.Public = o.member(public)
		if o.public == "-" {
			toPrint += public
		}
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), report)
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), toPrint)
	return err
}

// writeFiles writes the halves that go to files, both or none.
func (o *keygenOptions) writeFiles(private, public string) error {
	if isFile(o.out) {
		if err := writeFile(o.out, private, 0o600, o.force); err != nil {
			return err
		}
	}
	if !isFile(o.public) {
		return nil
	}
	err := writeFile(o.public, public, 0o644, o.force)
	if err != nil && isFile(o.out) && !o.force {
		os.Remove(o.out) // it was not there before
	}
	return err
}

// member is a key in the report: a JWK as an object, all else as a string.
func (o *keygenOptions) member(text string) any {
	if o.jwk {
		return jsontext.Value(text)
	}
	return strings.TrimSuffix(text, "\n")
}

func isFile(name string) bool { return name != "" && name != "-" }

// check refuses what makes no sense together.
func (o *keygenOptions) check(bitsGiven bool) error {
	family, err := token.FamilyOf(o.alg)
	switch {
	case err != nil:
		return err
	case bitsGiven && family != token.RSA:
		return fmt.Errorf("--bits is for RSA; a key of %s has one size only", o.alg)
	case o.bits < defaultRSABits || o.bits > maxRSABits:
		return fmt.Errorf("--bits: %d is not between %d and %d; smaller keys are weak, larger ones make every request slow", o.bits, defaultRSABits, maxRSABits)
	case family == token.HMAC && o.public != "":
		return fmt.Errorf("--public: %s has one secret for both sides, and nothing about it is public; leave the option out", o.alg)
	case o.kid != "" && !o.jwk && !o.json:
		return errors.New("--kid: neither PEM nor base64 can hold an ID; add --jwk, or give the ID to mint and in the Caddyfile")
	case !isFile(o.out) && o.public == "-" && !o.json:
		return errors.New("--public -: give a file for one of the two keys, or nothing tells them apart")
	case isFile(o.out) && o.out == o.public:
		return errors.New("--out and --public are the same file; the private key must not be published")
	}
	return nil
}
