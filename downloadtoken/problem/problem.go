// Package problem is how this plugin's handlers refuse a request: by an error, if
// the server has an error route that will answer it, or else with problem
// details (RFC 9457).
package problem

import (
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"
)

// details is the body of a refusal (RFC 9457), with the extension member
// reason.
type details struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Reason string `json:"reason"`
}

// Write answers with problem details: the reason is a word for programs, the
// detail a sentence for people. Neither may hold a token, a key or a claim.
func Write(w http.ResponseWriter, status int, reason, detail string) error {
	body, err := json.Marshal(details{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Detail: detail,
		Reason: reason,
	})
	if err != nil {
		return caddyhttp.Error(status, err)
	}
	body = append(body, '\n')
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone: nobody left to tell
	return nil
}
