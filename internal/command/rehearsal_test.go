package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-download-token/caddy-download-token/caddyfile"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/any"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/claims"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/path"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/template"
	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/store/memory"
	"github.com/caddy-download-token/caddy-download-token/internal/rehearsal"
)

// writeConfig writes a Caddyfile.
func writeConfig(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// inspectJSON runs inspect and returns what it found.
func inspectJSON(t testing.TB, text string, args ...string) (*rehearsal.Rehearsal, error) {
	t.Helper()
	out, _, err := execute(text, append([]string{"inspect", "--json"}, args...)...)
	var found struct{ Rehearsal *rehearsal.Rehearsal }
	if out != "" {
		if jsonErr := json.Unmarshal([]byte(out), &found); jsonErr != nil {
			t.Fatal(jsonErr)
		}
	}
	return found.Rehearsal, err
}

// site is a Caddyfile with one site.
func site(body string) string {
	return "{\n\tadmin off\n}\n\nhttp://a.example {\n\troot /srv\n" + body + "\n}\n"
}

// guard is the directive of most tests.
const guard = `
	download_token {
		key HS256 ` + testSecret + `
		scope path
		max_ttl 10m
		one_time
	}
`

// inbox takes files that are sent, into a folder that is there.
var inbox = "\tdownload_token {\n\t\tkey HS256 " + testSecret + "\n\t\tmethods GET PUT POST {\nroot .\n}\n\t\tscope path {\nallow create\n}\n\t}\n"

// TestRehearsal follows one request through many configurations.
func TestRehearsal(t *testing.T) {
	for name, c := range map[string]struct {
		config     string
		url        string // default: http://a.example/f.txt
		args       []string
		verdict    string
		reason     string
		answeredBy string
		assumed    []string
	}{
		"passed":              {config: site(guard + "\tfile_server"), verdict: "passed", answeredBy: "file_server"},
		"another path":        {config: site(guard + "\tfile_server"), url: "http://a.example/g.txt", verdict: "refused", reason: "scope"},
		"a bad path":          {config: site(guard + "\tfile_server"), url: "http://a.example//f.txt", verdict: "refused", reason: "bad_path"},
		"another method":      {config: site(guard + "\tfile_server"), args: []string{"--method", "POST"}, verdict: "refused", reason: "method"},
		"HEAD":                {config: site(guard + "\tfile_server"), args: []string{"--method", "HEAD"}, verdict: "passed", answeredBy: "file_server"},
		"a file to send":      {config: site(inbox + "\tdownload_token_upload\n\tfile_server"), args: []string{"--method", "PUT"}, verdict: "passed", answeredBy: "download_token_upload"},
		"a page to send by":   {config: site(inbox + "\tdownload_token_upload"), verdict: "passed", answeredBy: "download_token_upload"},
		"a file to overwrite": {config: site(strings.Replace(inbox, "root .", "root /none", 1) + "\tdownload_token_upload"), args: []string{"--method", "PUT"}, verdict: "refused", reason: "scope"},
		"another host":        {config: site(guard + "\tfile_server"), url: "http://b.example/f.txt", verdict: "unjudged"},
		"no directive":        {config: site("\tfile_server"), verdict: "unjudged", answeredBy: "file_server"},
		"a respond before":    {config: site("\troute {\n\t\trespond /f.txt 200\n" + guard + "\t\tfile_server\n\t}"), verdict: "unjudged", answeredBy: "static_response"},
		"a respond for others": {config: site("\troute {\n\t\trespond /g.txt 200\n" + guard + "\t\tfile_server\n\t}"),
			verdict: "passed", answeredBy: "file_server"},
		"unmatched": {config: site("\t@g path /g.txt\n\tdownload_token @g {\n\t\tkey HS256 " + testSecret + "\n\t\tscope any\n\t}\n\tfile_server"),
			verdict: "unjudged", answeredBy: "file_server"},
		"handle": {config: site("\thandle /other/* {\n\t\tfile_server\n\t}\n\thandle {\n" + guard + "\t\tfile_server\n\t}"),
			verdict: "passed", answeredBy: "file_server"},
		"the first handle only": {config: site("\thandle /f.txt {\n\t\trespond 200\n\t}\n\thandle {\n" + guard + "\t\tfile_server\n\t}"),
			verdict: "unjudged", answeredBy: "static_response"},
		"the first handle even if it does nothing": {config: site("\thandle /f.txt {\n\t\tencode\n\t}\n\thandle {\n" + guard + "\t\tfile_server\n\t}"),
			verdict: "unjudged"},
		"a site that does nothing": {config: site("\tencode") + "\nhttp:// {\n" + guard + "\tfile_server\n}\n", verdict: "unjudged"},
		"handle_path without path_prefix": {config: site("\thandle_path /pub/* {\n" + guard + "\t\tfile_server\n\t}"),
			url: "http://a.example/pub/f.txt", verdict: "passed", answeredBy: "file_server"},
		"handle_path with path_prefix": {config: site("\thandle_path /pub/* {\n" + strings.Replace(guard, "\t\tone_time", "\t\tpath_prefix /pub", 1) + "\t\tfile_server\n\t}"),
			url: "http://a.example/pub/f.txt", verdict: "refused", reason: "scope"},
		"a rewrite before": {config: site("\trewrite /x /f.txt\n" + guard + "\tfile_server"), url: "http://a.example/x", verdict: "passed", answeredBy: "file_server"},
		"a map before":     {config: site("\tmap {path} {to} {\n\t\t/x /f.txt\n\t}\n\trewrite {to}\n" + guard + "\tfile_server"), url: "http://a.example/x", verdict: "passed", answeredBy: "file_server"},
		"vars before": {config: site("\tvars who me\n\t@me vars who me\n\troute @me {\n" + guard + "\t\tfile_server\n\t}"),
			verdict: "passed", answeredBy: "file_server"},
		"basic_auth before": {config: site("\tbasic_auth {\n\t\ta $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n\t}\n" + guard + "\tfile_server"),
			verdict: "passed", answeredBy: "file_server", assumed: []string{"authentication"}},
		"forward_auth before": {config: site("\tforward_auth 127.0.0.1:1 {\n\t\turi /auth\n\t}\n" + guard + "\tfile_server"),
			verdict: "passed", answeredBy: "file_server", assumed: []string{"reverse_proxy"}},
		"reverse_proxy behind": {config: site(guard + "\treverse_proxy 127.0.0.1:1 {\n\t\thealth_uri /\n\t}"), verdict: "passed", answeredBy: "reverse_proxy"},
		"invoke":               {config: "{\n\tadmin off\n}\n\n&(shared) {\n\troute {\n" + guard + "\t\tfile_server\n\t}\n}\n\nhttp://a.example {\n\tinvoke shared\n}\n", verdict: "passed", answeredBy: "file_server"},
		"nobody answers":       {config: site(guard), verdict: "passed"},
		"two directives":       {config: site("\troute {\n" + guard + guard + "\t\tfile_server\n\t}"), verdict: "refused", reason: "missing"},
		"forwarded to a second": {config: site("\troute {\n" + strings.Replace(guard, "\t\tone_time", "\t\tone_time\n\t\tforward", 1) + guard + "\t\tfile_server\n\t}"),
			verdict: "passed", answeredBy: "file_server"},
		"from a cookie": {config: site(strings.Replace(guard, "key", "from cookie t\n\t\tkey", 1) + "\tfile_server"), verdict: "passed", answeredBy: "file_server"},
		"from a path":   {config: site(strings.Replace(guard, "key", "from path t\n\t\tkey", 1) + "\tfile_server"), verdict: "passed", answeredBy: "file_server"},
		"from an escaped path": {config: site(strings.Replace(guard, "key", "from path t\n\t\tkey", 1) + "\tfile_server"),
			url: "http://a.example/%66.txt", verdict: "passed", answeredBy: "file_server"},
		"from a header": {config: site(strings.Replace(guard, "key", "from header Authorization\n\t\tkey", 1) + "\tfile_server"), verdict: "passed", answeredBy: "file_server"},
		"from a password": {config: site(strings.Replace(guard, "key", "from basic anna bert\n\t\tkey", 1) + "\tfile_server"),
			verdict: "passed", answeredBy: "file_server"},
		"from any password": {config: site(strings.Replace(guard, "key", "from basic\n\t\tkey", 1) + "\tfile_server"),
			verdict: "passed", answeredBy: "file_server"},
		"another user's password": {config: site(strings.Replace(guard, "key", "from basic anna\n\t\tfrom query t\n\t\tkey", 1) + "\tfile_server"),
			args: []string{"--header", "Authorization: Basic Y2FybDp4"}, verdict: "passed", answeredBy: "file_server"},
		"a password that is no token": {config: site(strings.Replace(guard, "key", "from basic\n\t\tkey", 1) + "\tfile_server"),
			args: []string{"--header", "Authorization: Basic Y2FybDp4"}, verdict: "refused", reason: "malformed"},
		"one in another": {config: site(guard + "\tfile_server"), args: []string{"--url", "http://a.example/f.txt?download_token=x"}, verdict: "refused", reason: "malformed"},
		"sent twice":     {config: site(guard + "\tfile_server"), args: []string{"--url", "http://a.example/f.txt?download_token=x&download_token=y"}, verdict: "refused", reason: "ambiguous"},
		"no ip_claim":    {config: site(strings.Replace(guard, "\t\tone_time", "\t\tip_claim ip", 1) + "\tfile_server"), verdict: "refused", reason: "client_ip"},
		"a claim missing": {config: site(strings.Replace(guard, "\t\tone_time", "\t\trequire typ download", 1) + "\tfile_server"),
			verdict: "refused", reason: "claim"},
		"another nonce": {config: site(strings.Replace(guard, "\t\tone_time", "\t\tone_time nonce", 1) + "\tfile_server"), verdict: "refused", reason: "claim"},
		"another key":   {config: site(strings.Replace(guard, testSecret, "x"+testSecret, 1) + "\tfile_server"), verdict: "refused", reason: "signature"},
		"another alg":   {config: site(strings.Replace(guard, "HS256", "HS512", 1) + "\tfile_server"), verdict: "refused", reason: "algorithm"},
		"a kid":         {config: site(strings.Replace(guard, testSecret, testSecret+" {\n\t\t\tkid x\n\t\t}", 1) + "\tfile_server"), verdict: "refused", reason: "unknown_key"},
		"an issuer":     {config: site(strings.Replace(guard, "\t\tone_time", "\t\tissuer x", 1) + "\tfile_server"), verdict: "refused", reason: "issuer"},
		"a header_typ":  {config: site(strings.Replace(guard, "\t\tone_time", "\t\theader_typ x", 1) + "\tfile_server"), verdict: "refused", reason: "header_typ"},
		"an audience":   {config: site(strings.Replace(guard, "\t\tone_time", "\t\taudience x", 1) + "\tfile_server"), verdict: "refused", reason: "audience"},
		"a short life":  {config: site(strings.Replace(guard, "10m", "5m", 1) + "\tfile_server"), verdict: "refused", reason: "too_long_lived"},
		"a header that is matched": {config: site("\t@h header X-Who me\n\troute @h {\n" + guard + "\t\tfile_server\n\t}"),
			args: []string{"--header", "X-Who: me"}, verdict: "passed", answeredBy: "file_server"},
		"an address that is matched": {config: site("\t@ip client_ip 192.0.2.0/24\n\troute @ip {\n" + guard + "\t\tfile_server\n\t}"),
			args: []string{"--client-ip", "192.0.2.7"}, verdict: "passed", answeredBy: "file_server"},
		"https, another port, two servers": {
			config: "{\n\tadmin off\n}\n\nhttps://a.example:8443 {\n" + guard + "\tfile_server\n}\n\nhttp://a.example {\n\trespond 200\n}\n",
			url:    "https://a.example:8443/f.txt", verdict: "passed", answeredBy: "file_server"},
		"behind a proxy on another port": {config: "{\n\tadmin off\n}\n\n:8080 {\n" + guard + "\tfile_server\n}\n",
			url: "https://a.example/f.txt", verdict: "passed", answeredBy: "file_server"},
	} {
		t.Run(name, func(t *testing.T) {
			text := mustExecute(t, testSecret, "mint", "--key", "-", "--one-time", "--path", "/f.txt")
			address := c.url
			if address == "" {
				address = "http://a.example/f.txt"
			}
			r, err := inspectJSON(t, text, append([]string{"--config", writeConfig(t, c.config), "--url", address, "-"}, c.args...)...)
			if r == nil {
				t.Fatal(err)
			}
			var reason string
			if len(r.Checks) > 0 {
				reason = r.Checks[len(r.Checks)-1].Reason
			}
			if r.Verdict != c.verdict || reason != c.reason || r.AnsweredBy != c.answeredBy || !slices.Equal(r.Assumed, c.assumed) {
				t.Errorf("%+v", r)
			}
			if (err == nil) != (c.verdict == rehearsal.Passed) {
				t.Errorf("error %v", err)
			}
			if r.Verdict == rehearsal.Refused {
				if last := r.Checks[len(r.Checks)-1]; last.Step == 0 || last.Remedy == "" || last.Detail == "" {
					t.Errorf("%+v says too little", last)
				}
			}
		})
	}
}

// TestRehearsalOfLinks: a token that stands in the address stays there.
func TestRehearsalOfLinks(t *testing.T) {
	config := writeConfig(t, site(guard+"\tfile_server"))
	mintLink := func(args ...string) string {
		return strings.TrimSpace(mustExecute(t, testSecret, append([]string{"mint", "--key", "-", "--one-time", "--path", "/f.txt", "--url", "http://a.example/f.txt"}, args...)...))
	}
	if r, err := inspectJSON(t, "", "--config", config, mintLink()); err != nil || r.Verdict != rehearsal.Passed {
		t.Errorf("%+v, %v", r, err)
	}
	wrong := mintLink("--param", "token")
	if r, err := inspectJSON(t, "", "--config", config, wrong); err == nil || r == nil || r.Checks[0].Reason != "missing" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := inspectJSON(t, "", "--config", config, "--url", mintLink(), wrong); err == nil || r != nil {
		t.Errorf("two tokens: %+v, %v", r, err)
	}
}

func TestInspectRefuses(t *testing.T) {
	text := mustExecute(t, testSecret, "mint", "--key", "-")
	config := writeConfig(t, site(guard+"\tfile_server"))
	loop := writeConfig(t, "{\n\tadmin off\n}\n\n&(loop) {\n\tinvoke loop\n}\n\nhttp://a.example {\n\tinvoke loop\n}\n")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no address":         {[]string{"--config", config}, "--url is missing"},
		"no such file":       {[]string{"--config", config + "x", "--url", "http://a.example"}, "no such file"},
		"no address at all":  {[]string{"--config", config, "--url", "a.example"}, "--url"},
		"no IP address":      {[]string{"--config", config, "--url", "http://a.example", "--client-ip", "a"}, "--client-ip"},
		"no header":          {[]string{"--config", config, "--url", "http://a.example", "--header", "a"}, "--header"},
		"no method":          {[]string{"--config", config, "--url", "http://a.example", "--method", "A B"}, "--method"},
		"a bad Caddyfile":    {[]string{"--config", writeConfig(t, "a {\n\tno_such\n}\n"), "--url", "http://a.example"}, "no_such"},
		"a bad setting":      {[]string{"--config", writeConfig(t, site(strings.Replace(guard, testSecret, "short", 1))), "--url", "http://a.example"}, "only 5 bytes"},
		"a loop":             {[]string{"--config", loop, "--url", "http://a.example"}, "nested too deeply"},
		"an unknown adapter": {[]string{"--config", config, "--adapter", "no", "--url", "http://a.example"}, "adapter"},
		"two tokens":         {[]string{"-", "-"}, "write one token"},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, err := execute(text, append([]string{"inspect"}, c.args...)...)
			if err == nil || !strings.Contains(err.Error(), c.want) || out != "" {
				t.Errorf("error %v, want %q; printed %q", err, c.want, out)
			}
		})
	}
}

// TestInspectInWords reads as people would.
func TestInspectInWords(t *testing.T) {
	config := writeConfig(t, site("\tbasic_auth {\n\t\ta $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n\t}\n"+guard+"\tfile_server"))
	text := mustExecute(t, testSecret, "mint", "--key", "-", "--one-time", "--path", "/f.txt")
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"alone":   {nil, []string{"expires in 9 minutes", "Nothing of this was verified"}},
		"passed":  {[]string{"--config", config, "--url", "http://a.example/f.txt"}, []string{"server srv0", "by authentication, which was not asked", "nonce would be reserved", "answered by file_server"}},
		"refused": {[]string{"--config", config, "--url", "http://a.example/g"}, []string{"refused by download_token (scope) at step 8, the path and the scope: no scope of the token opens this path", "path_prefix"}},
		"elsewhere": {[]string{"--config", config, "--url", "http://b.example/"},
			[]string{"No route of the server has a handler for it"}},
	} {
		out, _, _ := execute(text, append([]string{"inspect"}, c.args...)...)
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is missing in:\n%s", name, want, out)
			}
		}
	}
	out, _, err := execute("damaged", "inspect", "--config", config, "--url", "http://a.example/f.txt")
	if err == nil || !strings.Contains(out, "This is no token") || !strings.Contains(out, "(malformed) at step 2") {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, _, err := execute("damaged", "inspect"); err == nil {
		t.Errorf("a damaged token alone is fine: %s", out)
	}
}
