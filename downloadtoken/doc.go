// Package downloadtoken has the Caddy modules of download tokens: the handler
// http.handlers.download_token, which lets a request through only with a JSON
// Web Token that is genuine, meant for this path and, with one_time, unused;
// the app download_token, which owns the stores that remember what was used and
// what was revoked; and admin.api.download_token, by which operators see the
// stores and take tokens back.
//
// # Use
//
// In a Caddyfile the handler is a directive in front of file_server:
//
//	http://localhost:8080 {
//		root /srv/files
//		download_token {
//			key HS256 {env.DOWNLOAD_SECRET}
//			scope template file:{name} /{name}
//			max_ttl 10m
//			one_time
//		}
//		file_server
//	}
//
// The grammar is in package caddyfile, and every setting is described with its
// field in [Handler]. The application mints the tokens, or the handlers of
// package issuer do; nothing here does.
//
// # The request
//
// [Handler.ServeHTTP] is the whole story in the order of its steps, and the
// order is a security property. Each step is a question:
//
//   - package token: is this token genuine, and acceptable now?
//   - package scope: does it open this path? The kinds of it are guest modules, in
//     package scopes
//   - package store, by its rules: was it used before, or taken back?
//   - this package: what does Caddy know, and what is the client told?
//
// The first three decide. What decides in them is pure, knows nothing of Caddy and
// takes the time as an argument. What refuses a request is a sentinel error of theirs, and
// denial.go is the one place where reason, status and codes meet.
//
// # One time
//
// A nonce is reserved when every other check has passed. The response writer of
// package response then holds the header of a 2xx answer back until a first byte is
// there; the gate spends the nonce, and only then does anything go out. Whatever ends in
// another way, by an error, a redirect, a panic or a client that is gone, gives
// the nonce back. So a token is never honoured twice, and never spent for
// nothing.
//
// With resume, spending a nonce opens a grant. Later requests for the same file
// join it instead of being refused, and a meter draws every byte on its budget
// before it is written. With confirm, people are asked first: a probe finds out by
// HEAD what the next handlers would serve, and package confirm makes a page of it.
//
// # Secrets
//
// Keys stay placeholders in the configuration, which others can read; their
// values are held privately. No error, log line, metric or answer of this
// package holds a token, a key or the value of a claim, but for the sub of a one-time
// download that has ended.
package downloadtoken
