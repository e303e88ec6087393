// Package token decides whether the JSON Web Token (RFC 7519) in a request is
// genuine and acceptable at a given time. It does the first half of a download
// check: which file the token opens, and whether it was used before, is decided
// elsewhere.
//
// # Use
//
// Make the keys once, when the configuration is loaded, and a [Verifier] over
// them:
//
//	key, warnings, err := token.ParseKey("HS256", secret)
//	table, err := token.NewTable(key)
//	verifier := token.Verifier{Keys: table}
//	rules := token.Rules{MaxTTL: 2 * time.Minute}
//
// Then, for each request, four calls:
//
//	text, from, err := token.Find(r, sources) // which bytes are the token
//	token.Strip(r, sources)                   // the next handlers do not need them
//	tok, err := verifier.Verify(ctx, text)    // is it genuine
//	err = rules.Accept(tok, now)              // is it acceptable, and now
//
// The order inside [Verifier.Verify] is a security property. What is cheap comes
// before what is dear, and nothing of the payload is decoded before a signature
// over it has verified: length and alphabet, header, key, signature, claims. What
// time it is does not matter there; [Rules.Accept] asks the claims about it.
//
// # Keys
//
// A key is bound to one algorithm when it is made (RFC 8725 3.1) and cannot be
// talked into another by a token. [ParseKey] and [NewKey] refuse weak keys: HMAC
// secrets under 32 bytes, RSA under 2048 bits, curves that do not belong to the
// algorithm. A good secret comes out of a random generator:
//
//	openssl rand -hex 32
//
// A token that names a key (kid) is verified with that key or not at all. One
// that names none tries the keys without an ID, of which a [Table] holds at most
// [MaxKidless] per algorithm. Addresses of keys inside a token (jku, x5u, jwk,
// x5c) are never followed. To rotate a key, add the new one with an ID of its
// own, sign with it, and take the old one away when its last token has expired.
// Leave the old one as it is meanwhile: with an ID that its tokens do not name, it
// would verify none of them.
//
// Keys that an issuer publishes come from a [KeySource] that changes, such as the ring
// of package jwks. Package sign makes tokens.
//
// # What is stricter than usual
//
// The cryptography is golang-jwt's, and of HMAC the standard library's. Around it, this package refuses what that
// library (measured at 5.3.1) and many others let through: critical header
// parameters, duplicate and case-variant member names, line breaks and spare bits
// inside base64url, RSA-PSS salts of odd length, exp as 0, null or a string, and
// claim times that no calendar will reach. It follows RFC 7515, RFC 7518, RFC 7519
// and RFC 8725.
//
// A genuine token has more than one spelling all the same: an ECDSA signature
// (r, s) can be turned into (r, n-s) by any client. So do not remember tokens by
// their text; remember their nonce ([Claims.Nonce]) together with the key that
// verified it ([Key.Fingerprint]).
//
// # Errors and secrets
//
// Each refusal is one of the sentinel errors, to be asked for with [errors.Is].
// They say more than a client should hear: log them, and answer with less. No
// error, and no formatted [Key], holds a secret, a token or the value of a claim.
// In a log a token goes by its [Fingerprint].
//
// # Purity
//
// There is no network, file, goroutine or clock in this package: what judges a token
// takes the time as an argument. Every function may be called from many goroutines at
// once.
package token
