package issuer

import (
	"encoding/binary"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/problem"
	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

// The media types of answers. ChRIS clients ask for the second.
const (
	plainJSON      = "application/json"
	collectionJSON = "application/vnd.collection+json"
)

// answer sends the token to the client that asked for it.
func (i *Issuer) answer(x *exchange, m *minted, link string) error {
	location := x.location(i.sealer.seal(receipt{m.fingerprint, m.expires}, x.user))
	var document any = tokenDocument{
		Token:     m.text,
		ExpiresIn: int64(i.minter.ttl / time.Second),
		ExpiresAt: m.expires.UTC().Format(time.RFC3339),
		Link:      link,
	}
	mediaType := plainJSON
	if prefersCollection(x.r.Header.Values("Accept")) {
		document, mediaType = collectionOf(x, m, location), collectionJSON
	}
	header := x.w.Header()
	header.Set("Location", location)
	header.Add("Vary", "Accept")
	return problem.WriteJSON(x.w, i.Status, mediaType, document)
}

// tokenDocument is the answer in JSON.
type tokenDocument struct {
	Token     string `json:"token"`
	ExpiresIn int64  `json:"expires_in"` // seconds
	ExpiresAt string `json:"expires_at"` // RFC 3339, UTC
	Link      string `json:"link,omitzero"`
}

// A collection is the answer in Collection+JSON, with the names that ChRIS uses.
type (
	collectionDocument struct {
		Collection collection `json:"collection"`
	}
	collection struct {
		Version string           `json:"version"`
		Href    string           `json:"href"`
		Items   []collectionItem `json:"items"`
		Links   []struct{}       `json:"links"`
	}
	collectionItem struct {
		Href  string     `json:"href"`
		Data  []datum    `json:"data"`
		Links []struct{} `json:"links"`
	}
	datum struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	}
)

// collectionOf describes the token. Its URLs are absolute, as those clients
// expect.
func collectionOf(x *exchange, m *minted, location string) collectionDocument {
	origin := originOf(x.r)
	return collectionDocument{collection{
		Version: "1.0",
		Href:    origin + response.AskedPath(x.r),
		Items: []collectionItem{{
			Href: origin + location,
			Data: []datum{
				{"id", numberOf(m.fingerprint)},
				{"creation_date", m.issued.UTC().Format("2006-01-02T15:04:05.000000-07:00")},
				{"token", m.text},
				{"owner_username", x.user},
			},
		}},
	}}
}

// numberOf is the token's id where an id is an integer: always the same for the
// same token, and exact in every JSON parser (RFC 8259 section 6).
func numberOf(f token.Fingerprint) uint64 { return binary.BigEndian.Uint64(f[:]) >> 11 }

// location is the URL by which the token can be revoked, below that of the
// request, and with a slash at the end if that has one.
func (x *exchange) location(receipt string) string {
	asked := response.AskedPath(x.r)
	if collection, ok := strings.CutSuffix(asked, "/"); ok {
		return collection + "/" + receipt + "/"
	}
	return asked + "/" + receipt
}

// originOf is scheme and host as the client knows them, if proxies in front of
// Caddy are among the trusted ones.
func originOf(r *http.Request) string {
	scheme := "http"
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	if r.TLS != nil || trusted && r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// prefersCollection reports whether Collection+JSON is asked for by name, and JSON
// not more so (RFC 9110 section 12.5.1).
func prefersCollection(accept []string) bool {
	var collection, plain float64
	for _, element := range strings.Split(strings.Join(accept, ","), ",") {
		mediaType, params, err := mime.ParseMediaType(strings.TrimSpace(element))
		if err != nil {
			continue
		}
		quality := 1.0
		if q, ok := params["q"]; ok {
			if quality, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		switch mediaType {
		case collectionJSON:
			collection = quality
		case plainJSON:
			plain = quality
		}
	}
	return collection > 0 && collection >= plain
}
