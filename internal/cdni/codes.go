package cdni

// The codes of the log field s-uri-signing (RFC 9246 sections 4.5 and 6.4). They are
// written with three digits.
const (
	CodeNone      = 0 // no verification was performed
	CodeOK        = 200
	CodeSignature = 400
	CodeIssuer    = 401
	CodeSubject   = 402
	CodeAudience  = 403
	CodeExpired   = 404
	CodeNotBefore = 405
	CodeRenewal   = 406 // only one of cdnistt and cdniets
	CodeJWTID     = 407
	CodeVersion   = 408
	CodeCritical  = 409
	CodeClientIP  = 410
	CodeContainer = 411
	CodeMalformed = 500
)

// codes has the reasons of the handler's denials for which there is a code of their own.
var codes = map[string]int{
	"":               CodeOK,
	"missing":        CodeNone,
	"prefetch":       CodeNone,
	"early_data":     CodeNone,
	"unknown_key":    CodeSignature,
	"algorithm":      CodeSignature,
	"signature":      CodeSignature,
	"issuer":         CodeIssuer,
	"subject":        CodeSubject,
	"audience":       CodeAudience,
	"expired":        CodeExpired,
	"too_long_lived": CodeExpired,
	"not_yet_valid":  CodeNotBefore,
	"renewal":        CodeRenewal,
	"replayed":       CodeJWTID,
	"unproven":       CodeJWTID,
	"budget":         CodeJWTID,
	"in_use":         CodeJWTID,
	"version":        CodeVersion,
	"critical":       CodeCritical,
	"client_ip":      CodeClientIP,
	"scope":          CodeContainer,
}

// Code returns the code for a reason of the handler's denials, [CodeOK] for "", and
// [CodeMalformed] for what RFC 9246 has no code for.
func Code(reason string) int {
	if code, ok := codes[reason]; ok {
		return code
	}
	return CodeMalformed
}
