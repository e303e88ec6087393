// Package command is the command line of the plugin, and part of every Caddy
// that is built with it:
//
//	caddy download-token keygen    makes a key
//	caddy download-token mint      makes a token, or a whole link
//	caddy download-token inspect   shows what a token says, and what would refuse it
//	caddy download-token revoke    takes tokens back, in the Caddy that runs
//	caddy download-token status    tells how its stores are, or what became of a token
//
// Secrets are read from files, from the environment or from standard input,
// never from arguments, which every user of the machine can see. They are written
// only where the command was told to write them, or to standard output; messages
// and errors hold none.
//
// Exit codes are 0 for success, 1 for a failure or wrong usage, and 2 if inspect
// finds that the request would be refused.
package command

import (
	"errors"
	"fmt"
	"io"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

// exitRefused is the exit code of inspect for a request that would be refused.
// 1 is Caddy's for every failure.
const exitRefused = 2

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:      "download-token",
		Usage:     "keygen|mint|inspect|revoke|status",
		Short:     "Makes keys and download tokens, tells why one is refused, and takes them back",
		Long:      longHelp,
		CobraFunc: build,
	})
}

// build completes the command that Caddy made.
func build(cmd *cobra.Command) {
	cmd.Args = arguments(0, 0, "write keygen, mint, inspect, revoke or status behind download-token, such as: download-token inspect -")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(keygenCommand(), mintCommand(), inspectCommand(), revokeCommand(), statusCommand())
}

// arguments takes so many, and says what to write instead of others. Cobra would
// quote them, and one may be a token or a key.
func arguments(least, most int, instead string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return errors.New(instead)
		}
		return nil
	}
}

// refused ends a command that has said that a request would be refused. Only Caddy's
// own wrapper can make an error mean another exit code than 1.
func refused(cmd *cobra.Command) error {
	cmd.SilenceErrors = true
	run := caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return exitRefused, nil })
	return run(cmd, nil)
}

// printJSON writes one JSON document, for other programs.
func printJSON(w io.Writer, document any) error {
	text, err := json.Marshal(document, jsontext.WithIndent("  "), json.Deterministic(true))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

const longHelp = `
Makes the keys and the tokens that the directive download_token asks for, and
tells why it would refuse one. For these no server needs to run, and none is
contacted. Revoke and status ask a running Caddy through its admin API.

Secrets are read from a file, from the environment or from standard input, never
from arguments, which every user of the machine can see.

Exit codes: 0 success; 1 failure or wrong usage; 2 inspect found that the
request would be refused. Every command takes --json for programs.`
