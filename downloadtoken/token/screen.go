package token

// MaxLength is the length in bytes above which a text is refused unread. Real
// download tokens have a few hundred; header lines of 8 KiB are what most servers
// in front of us allow.
const MaxLength = 8192

// A compact is a JWS in compact form (RFC 7515 7.1), cut at its dots and not
// decoded.
type compact struct {
	header, payload, signature string
	signed                     string // header, dot, payload: what the signature covers
}

// IsCompact reports whether a text has the form of a token, alone and whole. Nothing
// of it is verified.
func IsCompact(text string) bool {
	_, err := screen(text)
	return err == nil && beginsObject(text, 0)
}

// screen cuts a text into its three parts, or refuses it, before anything is
// decoded or allocated.
//
// Only the JWT alphabet may pass ("Check JWT Format Type", RFC 8725bis): Go's
// base64 skips CR and LF, which a query can carry, so without it one token would
// have any number of spellings.
func screen(text string) (compact, error) {
	if len(text) > MaxLength {
		return compact{}, ErrTooLarge
	}
	var dots [2]int
	count := 0
	for i := 0; i < len(text); i++ {
		switch {
		case inAlphabet[text[i]]:
		case text[i] == '.' && count < len(dots):
			dots[count] = i
			count++
		default:
			return compact{}, errShape
		}
	}
	if count < len(dots) {
		return compact{}, errShape
	}
	parts := compact{
		header:    text[:dots[0]],
		payload:   text[dots[0]+1 : dots[1]],
		signature: text[dots[1]+1:],
		signed:    text[:dots[1]],
	}
	if parts.header == "" || parts.payload == "" || parts.signature == "" {
		return compact{}, errShape
	}
	return parts, nil
}

// alphabet is the base64url digits in their order (RFC 4648 5).
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// inAlphabet holds the base64url digits.
var inAlphabet = func() (in [256]bool) {
	for _, c := range []byte(alphabet) {
		in[c] = true
	}
	return in
}()
