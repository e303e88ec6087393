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

// Refusal is one way to be refused: a status, a word for programs and the log, and
// a sentence for people.
type Refusal struct {
	Status         int
	Reason, Detail string
}

// New makes a refusal. Neither word nor sentence may hold a token, a key or a claim.
func New(status int, reason, detail string) *Refusal { return &Refusal{status, reason, detail} }

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
	document, err := NewDocument(status, reason, detail)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	document.Write(w)
	return nil
}

// Document is an answer with problem details that is made once and sent often.
type Document struct {
	status int
	body   []byte
}

// NewDocument makes the answer that [Write] gives.
func NewDocument(status int, reason, detail string) (*Document, error) {
	body, err := json.Marshal(details{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Detail: detail,
		Reason: reason,
	})
	return &Document{status, append(body, '\n')}, err
}

// Write answers with the document.
func (d *Document) Write(w http.ResponseWriter) {
	write(w, d.status, "application/problem+json", d.body)
}

// WriteJSON answers with a document.
func WriteJSON(w http.ResponseWriter, status int, mediaType string, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	write(w, status, mediaType, append(body, '\n'))
	return nil
}

func write(w http.ResponseWriter, status int, mediaType string, body []byte) {
	header := w.Header()
	header.Set("Content-Type", mediaType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the client is gone
}

// ClientIP is the client's address as Caddy determined it, in text, for the line
// in the log.
func ClientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}
