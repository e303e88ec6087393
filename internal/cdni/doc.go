// Package cdni is what RFC 9246, URI Signing for Content Delivery Network
// Interconnection, adds to a JSON Web Token: the URI container that says which URI a
// token is for, the claims around it, and the codes of its refusals.
//
// It decides and does nothing else: it knows neither Caddy nor the time, and of a
// request only what its [Target] says. A token is read here after its signature has
// verified, never before, because a container may hold a regular expression (RFC 9246
// section 7).
package cdni

// Attribute is the default name of the package attribute: the parameter of the query or
// of the path, and the cookie, that holds the token (RFC 9246 sections 2.2 and 3.3).
const Attribute = "URISigningPackage"
