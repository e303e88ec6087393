package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// description is what a token says of itself; nothing of it is verified.
type description struct {
	Fingerprint string                    `json:"fingerprint"`
	Header      map[string]jsontext.Value `json:"header,omitzero"`
	Claims      map[string]jsontext.Value `json:"claims,omitzero"`
	Times       map[string]instant        `json:"times,omitzero"`
	Meanings    map[string]string         `json:"meanings,omitzero"` // of the claims of RFC 9246
}

// instant is a claim that holds a time.
type instant struct {
	Time  time.Time `json:"time"`
	Words string    `json:"words"`
}

// describe decodes a token without believing it. On an error, the description has
// the fingerprint, by which a log may know the text, and what could be read.
func describe(text string, now time.Time) (*description, error) {
	d := &description{Fingerprint: token.FingerprintOf(text).String()}
	var err error
	if d.Header, d.Claims, err = token.Decode(text); err != nil {
		return d, fmt.Errorf("this is no token: %w", err)
	}
	d.Times = make(map[string]instant)
	for _, name := range []string{"exp", "nbf", "iat"} {
		if at, ok := token.NumericDate(d.Claims[name]); ok {
			d.Times[name] = instant{at, inWords(name, at, now)}
		}
	}
	d.Meanings = meanings(d.Claims)
	return d, nil
}

// write prints the description for people.
func (d *description) write(w io.Writer) {
	fmt.Fprintf(w, "Token %s, as logs call it\n", d.Fingerprint)
	writeMembers(w, "Header", d.Header, nil, nil, "alg", "kid", "typ")
	writeMembers(w, "Claims", d.Claims, d.Times, d.Meanings, "iss", "sub", "aud", "exp", "nbf", "iat", "jti")
}

// writeMembers prints the members of an object, those of first in that order
// before the others.
func writeMembers(w io.Writer, title string, members map[string]jsontext.Value, times map[string]instant, meanings map[string]string, first ...string) {
	if members == nil {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range inOrder(members, first) {
		line := printable(name) + "\t" + printable(string(members[name]))
		if at, ok := times[name]; ok {
			line += "  " + at.Words + " (" + at.Time.Format(time.RFC3339) + ")"
		}
		if meaning, ok := meanings[name]; ok {
			line += "  " + meaning
		}
		fmt.Fprintln(table, "  "+line)
	}
	_ = table.Flush() // as with all that is printed, a closed pipe is no failure
}

// inOrder lists the names of members: those of first, then the others by name.
func inOrder(members map[string]jsontext.Value, first []string) (names []string) {
	for _, name := range slices.Concat(first, slices.Sorted(maps.Keys(members))) {
		if members[name] != nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// printable escapes what could steer a terminal: a token is a stranger's text.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
