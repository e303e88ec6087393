package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// fingerprint is what logs call a token.
func fingerprint(text string) string { return token.FingerprintOf(text).String() }

// own is what this plugin has logged so far, each line as an object.
func (s *server) own() (lines []map[string]any) {
	s.t.Helper()
	for text := range strings.Lines(s.logs()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil && strings.Contains(line["logger"].(string), "download_token") {
			lines = append(lines, line)
		}
	}
	return lines
}

// line waits for a line of the plugin in which the fields have these values, and
// returns the last one.
func (s *server) line(fields ...string) (found map[string]any) {
	s.t.Helper()
	s.eventually(func() bool {
		for _, line := range s.own() {
			ok := true
			for i := 0; i < len(fields); i += 2 {
				ok = ok && line[fields[i]] == fields[i+1]
			}
			if ok {
				found = line
			}
		}
		return found != nil
	})
	return found
}

// TestNoTokenInAPathIsLogged puts tokens into the path, where the filter of the
// documents does not look for them, and goes through every line that has a path.
func TestNoTokenInAPathIsLogged(t *testing.T) {
	hidden := once(t)
	print := "jwt:" + fingerprint(hidden)
	s := start(t, map[string]string{hidden + "/a.txt": "a", "other.txt": "other"}, `handle /tokens/* {
		download_token_issuer {
			key HS256 "`+secret+`"
			ttl 1m
		}
	}
	handle {
		download_token {
			key HS256 "`+secret+`"
			scope any
			max_ttl 10m
			one_time
		}
		handle /bad/* {
			rewrite * /other.txt
			file_server
		}
		file_server
	}`)
	s.raw("/a.txt%3Fdownload_token="+hidden).want(t, http.StatusUnauthorized)
	if got := s.line("reason", "missing")["path"]; got != "/a.txt?download_token="+print {
		t.Errorf("path %q", got)
	}
	s.raw("/b.txt%253Fdownload_token%253D"+strings.ReplaceAll(hidden, ".", "%252E")).want(t, http.StatusUnauthorized)
	s.eventually(func() bool { return strings.Contains(s.logs(), "/b.txt%3Fdownload_token%3D"+print) })
	s.get("/"+hidden+"/a.txt?download_token="+once(t)).wantBody(t, "a")
	if got := s.line("msg", "token spent")["path"]; got != "/"+print+"/a.txt" {
		t.Errorf("path %q", got)
	}
	s.get("/"+hidden+"/none?download_token="+once(t)).want(t, http.StatusNotFound)
	s.get("/bad/"+hidden+"?download_token="+once(t)).want(t, http.StatusInternalServerError)
	s.do(http.MethodPost, "/tokens/"+hidden)
	seen := 0
	signature := hidden[strings.LastIndexByte(hidden, '.')+1:]
	for _, line := range s.own() {
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), signature) {
			t.Errorf("token in %s", text)
		}
		if strings.Contains(string(text), print) {
			seen++
		}
	}
	if seen < 6 {
		t.Errorf("only %d lines with the path", seen)
	}
}

// TestRefusalDetail: the line says what was wrong, and never a value.
func TestRefusalDetail(t *testing.T) {
	s := start(t, nil, `download_token {
		key HS256 "`+secret+`"
		scope any
		require tier gold
		max_ttl 10m
		one_time {
			uses claim planted_uses 5
		}
	}
	file_server`)
	good := func() claims { return claims{"tier": "gold", "jti": "j"} }
	with := func(name string, value any) string { c := good(); c[name] = value; return mint(t, c) }
	exp := time.Now().Add(time.Minute)
	for _, tt := range []struct{ token, reason, detail string }{
		{with("exp", exp.UnixMilli()), "claim", "exp is not a time in seconds: it looks like milliseconds"},
		{with("exp", "planted"), "claim", "exp is not a time in seconds: it is text"},
		{with("exp", nil), "claim", "exp is missing"},
		{with("jti", nil), "claim", "there is no nonce: no jti, no nonce"},
		{with("jti", 7), "claim", "jti is not a string of 1 to 256 bytes"},
		{with("tier", "planted"), "claim", "tier has another value than required"},
		{with("tier", nil), "claim", "tier is missing"},
		{with("planted_uses", "planted"), "claim", "planted_uses is not a whole number of at least 1"},
		{with("aud", "planted"), "audience", "it has an aud, and no audience is configured"},
		{with("iat", exp.Unix()), "not_yet_valid", "iat lies in the future"},
		{with("nbf", exp.Unix()), "not_yet_valid", "nbf lies in the future"},
		{with("iat", exp.Unix()-3600), "too_long_lived", "exp is further from iat than max_ttl"},
		{mintWith(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good()) + "AAAA", "algorithm", "no key can have the alg of the header"},
		{"planted", "malformed", "it is not three texts in base64url with dots between them"},
	} {
		a := s.get("/a.txt?download_token="+tt.token).want(t, http.StatusUnauthorized)
		line := s.line("reason", tt.reason, "detail", tt.detail)
		if text, _ := json.Marshal(line); strings.Contains(strings.ReplaceAll(string(text), "planted_uses", ""), "planted") {
			t.Errorf("a value in %s", text)
		}
		if strings.Contains(a.body, tt.detail) {
			t.Errorf("the client is told: %s", a.body)
		}
	}
	s.get("/x//y?download_token="+mint(t, good())).want(t, http.StatusBadRequest)
	if line := s.line("reason", "bad_path"); line["detail"] == nil {
		t.Errorf("no detail in %v", line)
	}
	s.get("/a.txt").want(t, http.StatusUnauthorized)
	if line := s.line("reason", "missing"); line["detail"] != nil {
		t.Errorf("detail in %v", line)
	}
}

// warned returns the texts of the warnings so far.
func (s *server) warned() string {
	var texts []string
	for _, line := range s.own() {
		if line["level"] == "warn" {
			texts = append(texts, line["msg"].(string))
		}
	}
	return strings.Join(texts, "\n")
}

// TestWarningsAtLoad: what is allowed, and is not what people think.
func TestWarningsAtLoad(t *testing.T) {
	guard := strings.TrimSuffix(oneTime, "file_server")
	s := start(t, nil, oneTime)
	if said := s.warned(); strings.Count(said, "no marks of an earlier run were found") != 1 {
		t.Errorf("a first start says %q", said)
	}
	const errors, unguarded, elsewhere = "handle_errors has a file_server", "download_token_upload stores nothing", "another folder"
	inbox := strings.Replace(inbox, "\n\tfile_server", "", 1)
	guarded, _, _ := strings.Cut(inbox, "download_token_upload")
	for name, tt := range map[string]struct{ body, want string }{
		"resume beyond max_ttl": {strings.Replace(oneTime, "one_time", "one_time {\n\t\t\tresume 30m\n\t\t}", 1), "resume 30m0s is longer than max_ttl 10m0s"},
		"resume within":         {strings.Replace(oneTime, "one_time", "one_time {\n\t\t\tresume 10m\n\t\t}", 1), ""},
		"resume, no max_ttl":    {strings.Replace(oneTime, "max_ttl 10m\n\t\tone_time", "require iat\n\t\tone_time {\n\t\t\tresume 30m\n\t\t}", 1), ""},

		"file_server in error routes": {oneTime + "\n\thandle_errors {\n\t\tfile_server\n\t}", errors},
		"of some statuses":            {oneTime + "\n\thandle_errors 403 404 {\n\t\tfile_server\n\t}", errors},
		"of all":                      {oneTime + "\n\thandle_errors 4xx {\n\t\tfile_server\n\t}", errors},
		"of others":                   {oneTime + "\n\thandle_errors 404 5xx {\n\t\trewrite * /x\n\t\tfile_server\n\t}\n\thandle_errors 404 410 {\n\t\tfile_server\n\t}", ""},
		"in a handle":                 {oneTime + "\n\thandle_errors {\n\t\thandle /a/* {\n\t\t\trespond no\n\t\t}\n\t\thandle {\n\t\t\tfile_server\n\t\t}\n\t}", errors},
		"guard in a handle":           {"handle /a/* {\n" + oneTime + "\n\t}\n\thandle_errors {\n\t\tfile_server\n\t}", errors},
		"a rewrite before it":         {oneTime + "\n\thandle_errors {\n\t\trewrite * /{err.status_code}.html\n\t\tfile_server\n\t}", ""},
		"a rewrite of some":           {oneTime + "\n\thandle_errors {\n\t\trewrite /a/* /b.html\n\t\tfile_server\n\t}", errors},
		"a rewrite of the query":      {oneTime + "\n\thandle_errors {\n\t\trewrite * ?a=b\n\t\tfile_server\n\t}", errors},
		"of a status answered before": {oneTime + "\n\thandle_errors 4xx {\n\t\trespond no\n\t}\n\thandle_errors {\n\t\tfile_server\n\t}", errors},
		"an answer before it":         {oneTime + "\n\thandle_errors {\n\t\trespond no\n\t\tfile_server\n\t}", ""},
		"other files":                 {oneTime + "\n\thandle_errors {\n\t\troot /srv/errors\n\t\tfile_server\n\t}", ""},
		"other files, otherwise":      {oneTime + "\n\thandle_errors {\n\t\tfile_server {\n\t\t\troot /srv/errors\n\t\t}\n\t}", ""},
		"the same files":              {oneTime + "\n\thandle_errors {\n\t\troot " + s.root + "\n\t\tfile_server\n\t}", errors},
		"refusals as 404":             {strings.Replace(oneTime, "one_time", "one_time\n\t\tstatus 404", 1) + "\n\thandle_errors 404 {\n\t\tfile_server\n\t}", errors},
		"nothing guarded":             {"handle_errors {\n\t\tfile_server\n\t}", ""},
		"uploads":                     {inbox, ""},
		"uploads to the same root":    {strings.Replace(inbox, "max_size 50MB", "root "+s.root, 1), ""},
		"uploads in a handle":         {guarded + "handle /a/* {\n\t\tdownload_token_upload\n\t}", ""},
		"uploads, no methods":         {guard + "download_token_upload", unguarded},
		"uploads behind another":      {"handle /a/* {\n" + guard + "\n\t}\n\thandle {\n\t\tdownload_token_upload\n\t}", unguarded},
		"uploads elsewhere":           {strings.Replace(inbox, "max_size 50MB", "root /srv/inbox", 1), elsewhere},
		"judged elsewhere":            {strings.Replace(inbox, "PUT POST", "PUT POST {\n\t\t\troot /srv/inbox\n\t\t}", 1), elsewhere},
		"both elsewhere":              {strings.NewReplacer("PUT POST", "PUT POST {\n\t\t\troot /srv/inbox\n\t\t}", "max_size 50MB", "root /srv/inbox").Replace(inbox), ""},
		"named route":                 {guard + "invoke files\n\thandle_errors {\n\t\tinvoke files\n\t}", errors},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			config := s.caddyfile(tt.body)
			if strings.Contains(tt.body, "invoke") {
				config = strings.Replace(config, s.url+" {", "&(files) {\n\troute {\n\t\tfile_server\n\t}\n}\n\n"+s.url+" {", 1)
			}
			before := len(s.warned())
			if err := s.post(s.adaptWhole(config)); err != nil {
				t.Fatal(err)
			}
			said := s.warned()[before:]
			if tt.want == "" && said != "" || !strings.Contains(said, tt.want) {
				t.Errorf("warned %q, want %q", said, tt.want)
			}
		})
	}
	t.Run("another site of the same server", func(t *testing.T) {
		s.t = t
		other := strings.Replace(s.url, "127.0.0.1", "localhost", 1)
		before := len(s.warned())
		if err := s.post(s.adaptWhole(s.caddyfile(oneTime) + "\n" + other + " {\n\troot " + s.root + "\n\tfile_server\n\thandle_errors {\n\t\tfile_server\n\t}\n}\n")); err != nil {
			t.Fatal(err)
		}
		if said := s.warned()[before:]; said != "" {
			t.Errorf("warned %q", said)
		}
	})
}

// TestAKeyFileThatCannotBeRead: the error says why.
func TestAKeyFileThatCannotBeRead(t *testing.T) {
	s := start(t, nil, oneTime)
	for file, want := range map[string]string{
		s.dir:                        "key 1: the file " + s.dir + " cannot be read: is a directory",
		filepath.Join(s.dir, "none"): "/none cannot be read: no such file or directory; write the absolute path",
	} {
		if err := s.reload(strings.Replace(oneTime, `"`+secret+`"`, "{file."+file+"}", 1)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestDepartedClients: a client that leaves while a mark is written, or before the
// site has answered, is nobody's failure.
func TestDepartedClients(t *testing.T) {
	begun := make(chan struct{}, 10)
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
	}))
	defer upstream.Close()
	s := start(t, map[string]string{"a.txt": "a"}, oneTime)
	config := strings.Replace(string(s.adapt(strings.Replace(oneTime, "file_server", "reverse_proxy /proxy "+strings.TrimPrefix(upstream.URL, "http://")+"\n\tfile_server", 1))),
		`"module":"file_system"`, `"module":"test_slow"`, 1)
	if err := s.post([]byte(config)); err != nil {
		t.Fatal(err)
	}
	before := s.outcomes()

	goOn, waiting := make(chan struct{}), slowMarksWait.Load()
	slowMarks.Store(&goOn)
	link := "/a.txt?download_token=" + once(t)
	s.leave(link, func() { s.eventually(func() bool { return slowMarksWait.Load() > waiting }) })
	s.eventually(func() bool { return strings.Contains(s.logs(), `"reason":"store_unavailable"`) })
	if line := s.line("reason", "store_unavailable"); line["level"] != "debug" {
		t.Errorf("logged: %v", line)
	}
	slowMarks.Store(nil)
	close(goOn)

	s.leave("/proxy?download_token="+once(t), func() { <-begun })
	s.noneReserved()
	s.get(link).wantBody(t, "a")
	after := s.outcomes()
	for _, outcome := range []string{"store_unavailable", "failed", "site_error", "in_use"} {
		if after[outcome] != before[outcome] {
			t.Errorf("%s was counted", outcome)
		}
	}
	if after["spent"] != before["spent"]+1 {
		t.Errorf("spent: %v and %v", before["spent"], after["spent"])
	}
	for _, line := range s.own() {
		if line["msg"] == "not served" {
			t.Errorf("logged: %v", line)
		}
	}
	if err := s.reload(oneTime); err != nil { // what the test needed no more
		t.Fatal(err)
	}
}
