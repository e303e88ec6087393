package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// TestWarningOfPlainLogs: a log that would show a token is named when it is loaded, and
// no other.
func TestWarningOfPlainLogs(t *testing.T) {
	s := start(t, nil, oneTime)
	file := func(name string) string { return "output file " + s.dir + "/" + name + "\n" }
	const redact, query = "format redact_jwt\n", "format filter {\nrequest>uri query {\nreplace download_token x\n}\n}\n"
	byHeader := strings.Replace(oneTime, "key ", "from header X-Token\n\t\tkey ", 1)
	byPath := strings.Replace(oneTime, "key ", "from path download_token\n\t\tkey ", 1)
	warning := regexp.MustCompile(`tokens get into the logs.*"loggers": ?\[([^]]*)\]`) // as JSON, or on a console
	for name, tt := range map[string]struct{ format, log, body, beside, want string }{
		"redacted":                   {format: redact},
		"json":                       {format: "format json\n", want: "http.log.access http.log.error"},
		"console":                    {format: "format console\n", want: "http.log.access http.log.error"},
		"redacted inside":            {format: "format append {\nwrap redact_jwt\nx y\n}\n"},
		"filter of the name":         {format: query},
		"filter of another name":     {format: strings.Replace(query, "download_token", "token", 1), want: "http.log.access http.log.error"},
		"field redacted":             {format: "format filter {\nrequest>uri redact_jwt\n}\n"},
		"field deleted":              {format: "format filter {\nrequest>uri delete\n}\n"},
		"field by a regexp":          {format: "format filter {\nrequest>uri regexp eyJ.* x\n}\n"},
		"filter, another source":     {format: query, body: byHeader, want: "http.log.access http.log.error"},
		"redacted, another source":   {format: redact, body: byHeader},
		"filter, in the path":        {format: query, body: byPath, want: "http.log.access http.log.error"},
		"redacted, in the path":      {format: redact, body: byPath},
		"cookie only":                {format: "format json\n", body: strings.Replace(oneTime, "key ", "from cookie session\n\t\tkey ", 1)},
		"cookie, with credentials":   {format: "format json\n}\nservers {\nlog_credentials\n", body: strings.Replace(oneTime, "key ", "from cookie session\n\t\tkey ", 1), want: "http.log.access http.log.error"},
		"no access log":              {format: "format json\n", log: "-"},
		"site's own, plain":          {format: redact, log: "log {\n" + file("a") + "}", want: "http.log.access.log0"},
		"site's own, redacted":       {format: redact, log: "log {\n" + file("b") + redact + "}"},
		"only the site's redacted":   {format: "format json\n", log: "log {\n" + file("c") + redact + "}", want: "http.log.error.log0"},
		"discarded":                  {format: redact, log: "log {\noutput discard\n}"},
		"a site that has no tokens":  {format: redact, beside: "log {\n" + file("d") + "}\nrespond ok"},
		"and ours is named by a log": {format: redact, log: "log own {\n" + file("e") + "}", beside: "log\nrespond ok", want: "http.log.access.own"},
		"no directive":               {format: "format json\n", body: "file_server"},
		"another log takes all":      {format: redact + "}\nlog more {\n" + file("f"), want: "http.log.access http.log.error"},
		"another log takes others":   {format: redact + "}\nlog more {\ninclude tls\n" + file("g")},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			body := tt.body
			if body == "" {
				body = oneTime
			}
			config := strings.Replace(s.caddyfile(body), redact, tt.format, 1)
			switch tt.log {
			case "":
			case "-":
				config = strings.Replace(config, " {\n\tlog\n", " {\n", 1)
			default:
				config = strings.Replace(config, " {\n\tlog\n", " {\n"+tt.log+"\n", 1)
			}
			if tt.beside != "" {
				config += strings.Replace(s.url, "127.0.0.1", "localhost", 1) + " {\n" + tt.beside + "\n}\n"
			}
			before := len(s.logs())
			if err := s.post(s.adaptWhole(config)); err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, match := range warning.FindAllStringSubmatch(s.logs()[before:], -1) {
				said = append(said, regexp.MustCompile(`http[\w.]+`).FindAllString(match[1], -1)...)
			}
			if got := strings.Join(said, " "); got != tt.want {
				t.Errorf("warned of %q, want %q", got, tt.want)
			}
			if strings.Contains(s.logs(), "bWFkZSI") || strings.Contains(s.logs(), "eyJtYWRl") {
				t.Error("the made-up token is in the log")
			}
		})
	}
}
