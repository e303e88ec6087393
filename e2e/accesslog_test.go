package e2e

import (
	"encoding/json"
	"net/url"
	"strings"
)

// accessLine is a line of Caddy's access log.
type accessLine struct {
	Logger  string
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
