package command

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

const revokeHelp = `
Takes tokens back, in the Caddy that runs, through its admin API: one token, given as
itself, as a link, or by the fingerprint that log lines and pages show; or all tokens
with a nonce, a sub (or user) or a kid, or issued before a time. It is in force for
every request from then on, and survives restarts. Downloads that have begun go on.

With --undo a revocation that names the same is taken back. That gives no use of a
token back.`

const revokeExamples = `  The token of a log line
  $ caddy download-token revoke 3f1c9a60b2d4e871

  The token of a link, from standard input
  $ caddy download-token revoke - < link.txt

  Everything that was made for somebody until now
  $ caddy download-token revoke --sub ada --for 30d

  What is revoked
  $ caddy download-token status`

// revokeRequest is what the admin API is asked.
type revokeRequest struct {
	Store        string    `json:"store,omitzero"`
	Fingerprint  string    `json:"fingerprint,omitzero"`
	Nonce        string    `json:"nonce,omitzero"`
	Subject      string    `json:"sub,omitzero"`
	KeyID        string    `json:"kid,omitzero"`
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	Issuer       string    `json:"issuer,omitzero"`
	For          string    `json:"for,omitzero"`
}

func revokeCommand() *cobra.Command {
	var (
		asked        revokeRequest
		running      server
		issuedBefore string
		undo, asJSON bool
	)
	cmd := &cobra.Command{
		Use:     "revoke <token>|<link>|<fingerprint>|- [--undo]\n  caddy download-token revoke --nonce <value>",
		Short:   "Takes tokens back",
		Long:    revokeHelp,
		Example: revokeExamples,
		Args:    arguments(0, 1, "write one token, link or fingerprint, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) > 0 {
				if asked.Fingerprint, err = fingerprintOf(args[0], cmd.InOrStdin()); err != nil {
					return err
				}
			}
			if issuedBefore != "" {
				if asked.IssuedBefore, err = time.Parse(time.RFC3339, issuedBefore); err != nil {
					return errors.New("--issued-before: write a time as in RFC 3339, such as 2026-01-31T12:00:00Z")
				}
			}
			named := rules.Revocation{Fingerprint: asked.Fingerprint, Nonce: asked.Nonce, Subject: asked.Subject, KeyID: asked.KeyID, IssuedBefore: asked.IssuedBefore}
			if named.Check() != nil {
				return errors.New("name exactly one thing: a token, link or fingerprint, or --nonce, --sub, --kid or --issued-before")
			}
			path, done := "revoke", "Revoked."
			if undo {
				path, done = "reinstate", "Reinstated."
			}
			var answer map[string]bool
			if err := running.ask("POST", path, asked, &answer); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), answer)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), done)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&asked.Nonce, "nonce", "", "The tokens with this jti, nonce, or what one_time names")
	flags.StringVar(&asked.Subject, "sub", "", "The tokens with this sub or user")
	flags.StringVar(&asked.KeyID, "kid", "", "The tokens with this kid in their header")
	flags.StringVar(&issuedBefore, "issued-before", "", "The tokens with an iat before this time, and all that have none")
	flags.StringVar(&asked.Issuer, "issuer", "", "Only tokens with this iss (default: any)")
	flags.StringVar(&asked.For, "for", "", "When it is forgotten, such as 24h or 30d; by then the tokens should have expired (default: never)")
	flags.StringVar(&asked.Store, "store", "", "The store that it is for (default: default)")
	flags.BoolVar(&undo, "undo", false, "Take a revocation back that names the same")
	flags.BoolVar(&asJSON, "json", false, "Print a JSON object instead of a sentence")
	running.flags(flags)
	return cmd
}
