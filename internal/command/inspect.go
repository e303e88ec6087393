package command

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-download-token/caddy-download-token/internal/rehearsal"
)

const inspectHelp = `
Shows what a token says: header, claims, times in words, and the fingerprint by
which logs call it. The token is an argument, or the value of a parameter of a
link; without an argument, or for -, it is read from standard input, where no other
user of the machine can see it. Nothing of what it says is verified.

With --config (an adjacent Caddyfile by default) and --url (which a link brings
along), the request is rehearsed: Caddy takes it through the routes of the
configuration, and each download_token directive that it comes to is asked what it
would say to the token, now, with its own keys and rules. A token that the address
does not hold is put where the directive looks first. Environment variables that the
configuration reads must be set here, too.

The rehearsal leaves no trace: nothing is started, no port is opened, no network is
used, and no store is asked. So it cannot tell whether a one-time token was used
or a token was revoked, and keys of a jwks address are not fetched. Handlers that
might answer or refuse a request before the directive, such as an authentication,
are assumed to let it pass, and named.

Exit codes: 0 the token was shown, and the request would be let through; 1 it
cannot be read, or no directive would judge the request; 2 a directive would refuse
the request.`

const inspectExamples = `  What does this token say?
  $ caddy download-token inspect < token.txt

  Why is this link refused?
  $ caddy download-token inspect --config /etc/caddy/Caddyfile \
        'https://example.com/reports/q3.pdf?download_token=eyJhbGci...'

  Would this token open that file?
  $ caddy download-token inspect --config Caddyfile \
        --url https://example.com/reports/q3.pdf - < token.txt`

// inspectOptions are what the user asks of inspect.
type inspectOptions struct {
	config, adapter string
	url             string
	method          string
	header          []string
	clientIP        string
	json            bool
}

func inspectCommand() *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:     "inspect [<token>|<link>|-] [--config <file>] [--url <url>]",
		Short:   "Shows what a token says, and what a configuration would say to it",
		Long:    inspectHelp,
		Example: inspectExamples,
		Args:    arguments(0, 1, "write one token or link, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := "-"
			if len(args) > 0 {
				given = args[0]
			}
			return runInspect(cmd, o, given)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.config, "config", "c", "", "Configuration to rehearse with, in any format that Caddy reads")
	flags.StringVarP(&o.adapter, "adapter", "a", "", "Name of the config adapter, if it does not follow from the file's name")
	flags.StringVarP(&o.url, "url", "u", "", "Address of the request to rehearse")
	flags.StringVar(&o.method, "method", "GET", "Method of the request")
	flags.StringArrayVarP(&o.header, "header", "H", nil, "Header field of the request, as 'Name: value' (repeatable)")
	flags.StringVar(&o.clientIP, "client-ip", "127.0.0.1", "Address of the client")
	flags.BoolVar(&o.json, "json", false, "Print a JSON object with fingerprint, header, claims, times, and rehearsal")
	return cmd
}

// inspection is what --json prints.
type inspection struct {
	description
	Problem   string               `json:"problem,omitzero"`
	Rehearsal *rehearsal.Rehearsal `json:"rehearsal,omitzero"`
}

func runInspect(cmd *cobra.Command, o inspectOptions, given string) error {
	text, link, err := readToken(given, cmd.InOrStdin())
	if err != nil {
		return err
	}
	if o.url == "" && link != nil && o.config != "" {
		o.url = link.String()
	}
	if o.url == "" && o.config != "" {
		return errors.New("--url is missing; write the address that the token is meant to open")
	}
	d, problem := describe(text, time.Now())
	found := inspection{description: *d}
	if problem != nil {
		found.Problem = problem.Error()
	}
	if o.url != "" {
		if found.Rehearsal, err = rehearse(o, text); err != nil {
			return err
		}
	}
	if o.json {
		err = printJSON(cmd.OutOrStdout(), found)
	} else {
		found.write(cmd.OutOrStdout())
	}
	switch {
	case err != nil:
		return err
	case found.Rehearsal == nil:
		return problem
	case found.Rehearsal.Verdict == rehearsal.Refused:
		return refused(cmd)
	case found.Rehearsal.Verdict == rehearsal.Unjudged:
		return errors.New("no download_token directive would judge this request")
	}
	return nil
}

// write prints the inspection for people.
func (i *inspection) write(w io.Writer) {
	i.description.write(w)
	fmt.Fprintln(w)
	if i.Rehearsal == nil {
		fmt.Fprintln(w, "Nothing of this was verified; that takes --config and --url.")
		return
	}
	if i.Problem != "" {
		fmt.Fprintf(w, "%s%s.\n\n", strings.ToUpper(i.Problem[:1]), i.Problem[1:])
	}
	writeRehearsal(w, i.Rehearsal)
}

// maxTokenText bounds what is read for a token or link.
const maxTokenText = 64 << 10

// readToken finds the token in an argument, which may be a link, or - for
// standard input. Of a link, the token may be missing if --url tells so.
func readToken(given string, stdin io.Reader) (text string, link *url.URL, err error) {
	if given == "-" {
		content, err := io.ReadAll(io.LimitReader(stdin, maxTokenText))
		if err != nil {
			return "", nil, fmt.Errorf("reading the token: %w", err)
		}
		given = string(content)
	}
	given = strings.TrimSpace(given)
	if given == "" {
		return "", nil, errors.New("there is no token; give a token or a link as argument, or on standard input")
	}
	if !strings.Contains(given, "://") {
		return given, nil, nil
	}
	if link, err = parseLink(given); err != nil {
		return "", nil, err
	}
	if text, err = tokenIn(link); err == nil && text == "" {
		err = errors.New("there is no token in the link")
	}
	return text, link, err
}
