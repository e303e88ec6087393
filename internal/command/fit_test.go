package command

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	_ "github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes/pathpermissions"
)

// fitConfig has a directive with these lines, on a site that serves files.
func fitConfig(lines ...string) string {
	return site("\tdownload_token {\n\t\t" + strings.Join(lines, "\n\t\t") + "\n\t}\n\tfile_server")
}

const fitKey = "key HS256 " + testSecret

// TestFit: a configuration and an address are enough for a link that works, and what
// was chosen for it is said.
func TestFit(t *testing.T) {
	t.Setenv("FIT_SECRET", testSecret)
	for name, c := range map[string]struct {
		config string
		url    string // default: http://a.example/d/f%20g.txt
		args   []string
		chosen string
	}{
		"scope path": {config: fitConfig(fitKey, "scope path"),
			chosen: "--ttl 10m0s --claim scope=download:/d/f%20g.txt --alg HS256 and its secret"},
		"a claim":          {config: fitConfig(fitKey, "scope path paths"), chosen: "--ttl 10m0s --claim 'paths=/d/f g.txt' --alg HS256 and its secret"},
		"scope template":   {config: fitConfig(fitKey, "scope template x:{d}:{f} /{d}/{f}"), chosen: "--ttl 10m0s --claim 'scope=x:d:f g.txt' --alg HS256 and its secret"},
		"the second scope": {config: fitConfig(fitKey, "scope template x:{f} /{f}", "scope path"), chosen: "--ttl 10m0s --claim scope=download:/d/f%20g.txt --alg HS256 and its secret"},
		"permissions": {config: fitConfig(fitKey, "scope path_permissions thumb {\naccount W1\n}", "one_time", "max_ttl 7d"), args: []string{"--ttl", "1d"},
			chosen: `--one-time=jti --claim 'access:={"pathPermissions":[{"match":{"path":"/d/f g.txt","scope":"This"},` +
				`"permissions":{"read":{"file":{"downloadFile":["thumb"]}}}}]}' --claim accountId=W1 --alg HS256 and its secret`},
		"a folder": {config: fitConfig(fitKey, "scope path_permissions"), url: "http://a.example/d/",
			chosen: `--ttl 10m0s --claim 'access:={"pathPermissions":[{"match":{"path":"/d","scope":"This"},` +
				`"permissions":{"read":{"folder":{"listFolderChildren":true}}}}]}' --alg HS256 and its secret`},
		"scope any": {config: fitConfig(fitKey, "scope any"), chosen: "--ttl 10m0s --alg HS256 and its secret"},
		"all of it": {config: fitConfig("from header X-T", "from query dl", "key HS384 {env.FIT_SECRET}0123456789abcdef0123456789abcdef {\nkid k1\nissuer me\n}", "scope path",
			"audience you they", "header_typ dl+jwt", "require kind file", "max_ttl 5m", "one_time n"),
			chosen: "--param dl --ttl 5m0s --one-time=n --typ dl+jwt --aud you --claim kind=file --claim scope=download:/d/f%20g.txt --alg HS384 --kid k1 --iss me and its secret"},
		"behind handle_path": {config: site("\thandle_path /d/* {\n\t\tdownload_token {\n" + fitKey + "\nscope path\npath_prefix /d\n\t\t}\n\t\tfile_server\n\t}"),
			chosen: "--ttl 10m0s --claim scope=download:/d/f%20g.txt --alg HS256 and its secret"},
		"what is given stays": {config: fitConfig(fitKey, "scope path", "max_ttl 5m", "require sub", "require kind file"),
			args:   []string{"--ttl", "1m", "--sub", "ada", "--path", "/d/", "--claim", "kind=file", "--alg", "HS256"},
			chosen: "--alg HS256 and its secret"},
		"the second key": {config: fitConfig(fitKey+" {\nkid a\n}", "key HS256 {env.FIT_SECRET}x {\nkid b\n}", "scope path"), args: []string{"--kid", "b"},
			chosen: "--ttl 10m0s --claim scope=download:/d/f%20g.txt --alg HS256 --kid b and its secret"},
		"a folder to send to": {config: fitConfig(fitKey, "methods GET HEAD PUT POST", "scope template inbox:{name} /{name}/* {\nallow create\n}", "max_ttl 24h", "one_time"),
			url: "http://a.example/ada/", args: []string{"--ttl", "24h", "--claim", "max_size:=1000"},
			chosen: "--one-time=jti --claim scope=inbox:ada --alg HS256 and its secret"},
		"a file to send": {config: fitConfig(fitKey, "methods GET PUT POST", "scope path {\nallow create\n}"),
			chosen: "--ttl 10m0s --claim scope=download:/d/f%20g.txt --alg HS256 and its secret"},
		"a file to send as a form": {config: fitConfig(fitKey, "methods GET POST", "scope claims /{sub}/* {\nallow create\n}"),
			chosen: "--ttl 10m0s --claim sub=d --alg HS256 and its secret"},
		"a file to read or send": {config: fitConfig(fitKey, "methods GET PUT", "scope claims /{sub}/* {\nallow create\n}", "scope path"),
			chosen: "--ttl 10m0s --claim scope=download:/d/f%20g.txt --alg HS256 and its secret"},
		"a client's address": {config: fitConfig(fitKey, "scope path", "ip_claim ip"), args: []string{"--claim", "ip=127.0.0.1"},
			chosen: "--ttl 10m0s --claim scope=download:/d/f%20g.txt --alg HS256 and its secret"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.url == "" {
				c.url = "http://a.example/d/f%20g.txt"
			}
			config := writeConfig(t, c.config)
			link, said, err := execute("", append([]string{"mint", "--config", config, "--url", c.url}, c.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			if want := "Chosen to fit the directive: " + c.chosen + "\n"; !strings.HasSuffix(said, want) {
				t.Errorf("it says %q, want %q", said, want)
			}
			if strings.Contains(said, "every file") != (name == "scope any") {
				t.Errorf("it says %q", said)
			}
			if strings.Contains(said, testSecret) {
				t.Error("it says the secret")
			}
			if found, err := inspectJSON(t, link, "--config", config); err != nil || found.Verdict != "passed" {
				t.Errorf("the link: %+v, %v", found, err)
			}
		})
	}
}

// TestFitForPrograms: what was chosen are options, one by one.
func TestFitForPrograms(t *testing.T) {
	out, _, err := execute("", "mint", "--config", writeConfig(t, fitConfig(fitKey, "scope any")), "--url", "http://a.example/f", "--json")
	var made struct{ Chosen []string }
	if err := errors.Join(err, json.Unmarshal([]byte(out), &made)); err != nil || !slices.Equal(made.Chosen, []string{"--ttl 10m0s", "--alg HS256"}) {
		t.Errorf("%q, %v", made.Chosen, err)
	}
}

// TestFitWithKey: only the holder of the private key can sign.
func TestFitWithKey(t *testing.T) {
	dir := t.TempDir()
	mustExecute(t, "", "keygen", "ES256", "--out", dir+"/private", "--public", dir+"/public")
	config := writeConfig(t, fitConfig("key ES256 {file."+dir+"/public} {\nkid k1\n}", "scope path"))
	link, said, err := execute("", "mint", "--config", config, "--url", "http://a.example/f", "--key", dir+"/private")
	if err != nil || !strings.Contains(said, "--kid k1") {
		t.Fatal(said, err)
	}
	if found, err := inspectJSON(t, link, "--config", config); err != nil || found.Verdict != "passed" {
		t.Errorf("the link: %+v, %v", found, err)
	}
}

// TestUnfit: what cannot be made is an error that says what is missing.
func TestUnfit(t *testing.T) {
	dir := t.TempDir()
	mustExecute(t, "", "keygen", "ES256", "--out", dir+"/private", "--public", dir+"/public")
	for name, c := range map[string]struct {
		config string
		args   []string // default: --url
		says   string
	}{
		"no address":               {fitConfig(fitKey, "scope path"), []string{"--one-time"}, "write it with --url"},
		"no directive":             {site("\tfile_server"), nil, "no download_token directive of the configuration judges this address"},
		"public keys":              {fitConfig("key ES256 {file."+dir+"/public}", "scope path"), nil, "--key is missing"},
		"another key":              {fitConfig("key ES256 {file."+dir+"/public}", "scope path"), []string{"--url", "http://a.example/f", "--key", dir + "/none"}, "no such file"},
		"a header":                 {fitConfig(fitKey, "scope path", "from header X-Token"), nil, "looks for it in header X-Token"},
		"another name":             {fitConfig(fitKey, "scope path"), []string{"--url", "http://a.example/f", "--param", "x"}, "does not look there"},
		"a claim":                  {fitConfig(fitKey, "scope path", "require tenant"), nil, "--claim tenant="},
		"an address":               {fitConfig(fitKey, "scope path", "ip_claim ip"), nil, "--claim ip="},
		"too long":                 {fitConfig(fitKey, "scope path", "max_ttl 5m"), []string{"--url", "http://a.example/f", "--ttl", "6m"}, "max_ttl 5m0s at most"},
		"other paths":              {fitConfig(fitKey, "scope template x:{f} /x/{f}"), nil, "no scope line can name this path in a claim; say with --scope, --path or --claim"},
		"opens another":            {fitConfig(fitKey, "scope path"), []string{"--url", "http://a.example/f", "--path", "/g"}, "the directive would refuse this token (scope)"},
		"no such file":             {"", []string{"--config", dir + "/none", "--url", "http://a.example/f"}, "no such file"},
		"a bad duration":           {fitConfig(fitKey, "scope path"), []string{"--url", "http://a.example/f", "--ttl", "7 days"}, "--ttl"},
		"a bad path":               {fitConfig(fitKey, "scope path"), []string{"--url", "http://a.example//f"}, "path"},
		"no folder by PUT":         {fitConfig(fitKey, "methods GET PUT", "scope any {\nallow create\n}"), []string{"--url", "http://a.example/d/"}, "no scope line can name this path"},
		"not the secret":           {fitConfig(fitKey, "scope path"), []string{"--url", "http://a.example/f", "--key", dir + "/private"}, "algorithm"},
		"two directives":           {site("\troute {\n" + guard + "\tdownload_token {\n" + fitKey + "\nscope path\n}\n\tfile_server\n\t}"), nil, "would refuse this token (missing)"},
		"another key, ID":          {fitConfig(fitKey, "scope path"), []string{"--url", "http://a.example/f", "--kid", "x"}, "no secret that fits --alg, --kid and --iss"},
		"another algorithm":        {fitConfig(fitKey, "scope path"), []string{"--url", "http://a.example/f", "--alg", "HS512"}, "no secret that fits"},
		"a public key, and its ID": {fitConfig("key ES256 {file."+dir+"/public} {\nkid k\n}", "scope path"), []string{"--url", "http://a.example/f", "--kid", "k"}, "--key private.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.args == nil {
				c.args = []string{"--url", "http://a.example/f"}
			}
			out, _, err := execute("", append([]string{"mint", "--config", writeConfig(t, c.config)}, c.args...)...)
			if err == nil || !strings.Contains(err.Error(), c.says) || out != "" {
				t.Errorf("%q, %v", out, err)
			}
			if err != nil && strings.Contains(err.Error(), testSecret) {
				t.Error("it says the secret")
			}
		})
	}
}
