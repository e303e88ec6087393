// Package jwks keeps the keys that an issuer publishes as a JWK set (RFC 7517), at a URL
// or in a file, and reads and writes single JSON Web Keys.
//
//	set, err := jwks.New(jwks.Options{Location: "https://id.example/jwks", Issuer: "https://id.example"})
//	set.Start(ctx) // reads it now and then every 15 minutes, until ctx ends
//	verifier := token.Verifier{Keys: jwks.NewRing(table, set)}
//	tok, err := verifier.Verify(r.Context(), text)
//
// A key that the issuer has just begun to sign with is fetched when the first token
// names it; one that the issuer took out of the set is refused after the next refresh.
// If the issuer's server is down, the keys from before stay in use.
//
// # Why no JWK library
//
// go-jose v4.1.6 and MicahParks/jwkset v0.11.4 were run against the hostile keys of the
// tests. Both skip line breaks in base64url (jwkset takes padding too), so one key has
// many spellings; both leave out a good public key whose private half or x5c is damaged,
// so that a publisher's slip takes a key out of service; and both quote the set in
// their errors. go-jose cuts an exponent of more than 64 bits down and accepts an EC d
// that does not belong to x and y; jwkset takes member names in any case.
package jwks
