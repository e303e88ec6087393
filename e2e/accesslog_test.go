package e2e

import (
	"encoding/json"
	"net/url"
	"strings"
)

// accessLine is a line of Caddy's access log, or of this plugin's.
type accessLine struct {
	Logger  string
	Msg     string
	Path    string // of this plugin's lines
	Status  int
	Size    int // of the body, as it was written
	Request struct {
		Method, URI string
		Headers     map[string][]string
	}
}

// accessLines are the requests for a path that have ended.
func (s *server) accessLines(path string) (lines []accessLine) {
	s.t.Helper()
	for text := range strings.Lines(s.logs()) {
		var line accessLine
		if json.Unmarshal([]byte(text), &line) != nil || !strings.HasPrefix(line.Logger, "http.log.access") {
			continue
		}
		if u, err := url.Parse(line.Request.URI); err == nil && u.Path == path {
			lines = append(lines, line)
		}
	}
	return lines
}

// spent is how many tokens were spent for a path.
func (s *server) spent(path string) (n int) {
	s.t.Helper()
	for text := range strings.Lines(s.logs()) {
		var line accessLine
		if json.Unmarshal([]byte(text), &line) == nil && line.Msg == "token spent" && line.Path == path {
			n++
		}
	}
	return n
}
