package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

const statusHelp = `
Asks the Caddy that runs, through its admin API: which stores are in use, how full they
are, what is wrong with them, and what is revoked.

With a token, a link, or the fingerprint that log lines and pages show, it tells what
became of a one-time token that was shown there lately: unused, uses_left (of a token
for several), reserved, open (a grant of resume can still be drawn on), spent, used_up, unproven,
revoked or expired; and when it was seen and first spent. Tokens that are not for one use
are not remembered.`

const statusExamples = `  All is well?
  $ caddy download-token status

  Why does this link not work any more?
  $ caddy download-token status 3f1c9a60b2d4e871`

func statusCommand() *cobra.Command {
	var (
		running server
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:     "status [<token>|<link>|<fingerprint>|-]",
		Short:   "Tells how the stores are, or what became of a token",
		Long:    statusHelp,
		Example: statusExamples,
		Args:    arguments(0, 1, "write one token, link or fingerprint, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if len(args) > 0 {
				f, err := fingerprintOf(args[0], cmd.InOrStdin())
				if err != nil {
					return err
				}
				var token map[string]jsontext.Value
				if err := running.ask("GET", "tokens/"+f, nil, &token); err != nil {
					return err
				}
				if asJSON {
					return printJSON(out, token)
				}
				return writeStatus(out, "Token "+f, token)
			}
			var found struct {
				Stores      map[string]map[string]jsontext.Value   `json:"stores"`
				Revocations map[string][]map[string]jsontext.Value `json:"revocations"`
			}
			if err := running.ask("GET", "stores", nil, &found.Stores); err != nil {
				return err
			}
			if err := running.ask("GET", "revocations", nil, &found.Revocations); err != nil {
				return err
			}
			if asJSON {
				return printJSON(out, found)
			}
			for _, name := range slices.Sorted(maps.Keys(found.Stores)) {
				if err := writeStatus(out, "Store "+name, found.Stores[name]); err != nil {
					return err
				}
				for _, r := range found.Revocations[name] {
					if err := writeStatus(out, "  Revoked", r); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	running.flags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print a JSON object with stores and revocations, or of the token")
	return cmd
}

// writeStatus prints an object of the admin API for people, its members deeper than the
// title.
func writeStatus(w io.Writer, title string, members map[string]jsontext.Value) error {
	fmt.Fprintln(w, title)
	indent := title[:len(title)-len(strings.TrimLeft(title, " "))] + "  "
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		text := string(members[name])
		if unquoted, err := jsontext.AppendUnquote(nil, members[name]); err == nil {
			text = string(unquoted)
		}
		fmt.Fprintf(table, "%s%s\t%s\n", indent, name, printable(text))
	}
	return table.Flush()
}
