// Package sign makes download tokens. The issuer and the command line share it: one
// [Signer], one reader of private keys, and one way to say when a token was made, when it
// ends and what makes it unique ([Claims]).
package sign
