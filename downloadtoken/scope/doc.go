// Package scope answers one question: does this token open this path?
//
// Everything here is a pure function of its arguments. There is no clock, no
// file system and no server, so the answer can be tested by table, by
// property and by fuzzing.
//
// # The path that is judged
//
// [Path] turns a request into the one path that all scopes are asked about: it
// is decoded once, and refused if more than one spelling of it could reach the
// same file (dot segments, doubled or encoded slashes, backslashes, control
// bytes). Call it first, answer 400 if it fails, and hand its result to every
// Admits. The matchers refuse a path that Path would have refused, so that a
// forgotten call closes instead of opening.
//
// After the request has been handed on, [Suffix] tells whether the path has
// been rewritten to another file in the meantime.
//
// # Which scope
//
//   - [Template] is for tokens that name a thing, and a site that keeps that
//     thing under a path: the claim dataset:42 opens /datasets/42/*.
//   - [ClaimsPath] is for tokens whose own claims stand in the path:
//     /users/{sub}/* is the folder of whom the token is for.
//   - [PathScope] is for tokens that name paths, by the rules of the WLCG
//     token profile: download:/a/b/ opens that directory, and so does a plain
//     claim that holds a path. [PathScopes] is several of them.
//   - [Permissions] is for the tokens of Upload (now Bytescale), whose access
//     claim holds a list of path permissions.
//
// # What may be done there
//
// An [Operation] reads or writes. What a scope lets be done with the paths that
// it opens is an [Allowance], which is reading unless something else is said;
// Permissions hold what the token says.
//
// # What holds for all of them
//
// Whatever is not admitted is refused; there is no way to say "all but". Text
// in a token is data: a dot, a star or a bracket in it means itself, except
// where the vendor gives it a meaning. Comparison is case-sensitive and ends
// at segment boundaries: /users/x never opens /users/xy. An empty or relative
// path in a token opens nothing.
package scope
