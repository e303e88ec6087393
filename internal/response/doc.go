// Package response is what goes out for one authorised request: it holds an answer
// of the next handlers back until it may go out, counts its bytes, says who may
// keep it, and sees to it that one request gets one answer and nothing more.
//
// It knows nothing of tokens. What a directive wants is a [Policy]; whether an
// answer may go out is decided by a [Gate].
package response
