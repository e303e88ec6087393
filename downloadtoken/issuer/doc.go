// Package issuer makes tokens and takes them back.
//
// [Issuer] is the handler download_token_issuer. It stands behind what
// authenticates the user (basic_auth, forward_auth, another plugin), and answers
// POST with a signed token that says what the configuration says. DELETE revokes
// one. It keeps nothing: what a token may do stands in the token, and what its
// revocation needs stands in the URL that Location names.
//
// Signing keys are read when the configuration is loaded, are checked as strictly
// as those that verify, and are in no log line, error or JSON. Neither are tokens
// and the values of claims, except in the answer to the client that asked for the token.
package issuer
