package token

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Claims are the members of a verified payload. Names are compared byte by byte.
// The methods may be called from many goroutines.
type Claims struct {
	// Issuer and Subject are iss and sub, empty if absent (RFC 7519 4.1.1, 4.1.2).
	Issuer, Subject string

	// Audience is aud, a single string as a list of one (RFC 7519 4.1.3).
	Audience []string

	// ExpiresAt, NotBefore and IssuedAt are exp, nbf and iat, rounded to the
	// microsecond, in UTC, zero if absent (RFC 7519 4.1.4 to 4.1.6). ExpiresAt is
	// never zero in a [Token].
	ExpiresAt, NotBefore, IssuedAt time.Time

	members object
}

// Has tells whether a claim is there, be it null.
func (c *Claims) Has(name string) bool {
	_, ok := c.members.find(name)
	return ok
}

// Names returns the names of all claims, in the order of the payload.
func (c *Claims) Names() (names []string) {
	for _, m := range c.members.members {
		names = append(names, c.members.text[m.name:m.nameEnd])
	}
	return names
}

// Raw returns a copy of a claim as it is written in the payload.
func (c *Claims) Raw(name string) (jsontext.Value, bool) {
	value, ok := c.members.find(name)
	if !ok {
		return nil, false
	}
	return jsontext.Value(value), true
}

// String returns the text of a claim, ok only if it is a JSON string.
func (c *Claims) String(name string) (value string, ok bool) {
	value, _ = c.members.find(name)
	return unquote(value)
}

// Strings returns the texts of a claim: one for a JSON string, all for an array of
// strings. Anything else, an array with one other element too, is not ok.
func (c *Claims) Strings(name string) (values []string, ok bool) {
	value, _ := c.members.find(name)
	return stringsOf(value)
}

const maxNonceBytes = 256

// Nonce returns what makes the token unique, for a store that remembers which were
// used. The first of names that is present decides, whatever it holds. [ErrClaim]:
// none is present, or it is no string of 1 to 256 bytes; a number would have too
// many spellings, and no limit would fill the store (RFC 9449 11.1).
func (c *Claims) Nonce(names ...string) (string, error) {
	for _, name := range names {
		value, present := c.members.find(name)
		if !present {
			continue
		}
		nonce, ok := unquote(value)
		if !ok || nonce == "" || len(nonce) > maxNonceBytes {
			return "", &refusal{ErrClaim, name + " is not a string of 1 to 256 bytes"}
		}
		return nonce, nil
	}
	return "", &refusal{ErrClaim, "there is no nonce: no " + strings.Join(names, ", no ")}
}

// read reads a payload whose signature has verified into c, whose members have
// room for some. The payload must be a strict JSON object, as the header must, and the
// registered claims must have their types; null is none. exp is required. jti is left
// to [Claims.Nonce], which knows whether it matters.
func (c *Claims) read(payload object) error {
	room := slices.Grow(c.members.members, len(payload.members))
	c.members = object{payload.text, append(room, payload.members...)}
	return c.readRegistered()
}

// Decode returns what a token says, whatever its length and signature, to be shown
// and never to be believed. Both parts must be strict JSON objects in base64url, else
// the error is [ErrMalformed]; the header is returned even if the claims cannot be read.
func Decode(text string) (header, claims map[string]jsontext.Value, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return nil, nil, errShape
	}
	header, ok := decodeObject(parts[0])
	if !ok {
		return nil, nil, errHeader
	}
	if claims, ok = decodeObject(parts[1]); !ok {
		return header, nil, errPayload
	}
	return header, claims, nil
}

func decodeObject(encoded string) (members map[string]jsontext.Value, ok bool) {
	data, err := base64url.DecodeString(encoded)
	ok = err == nil && json.Unmarshal(data, &members) == nil && members != nil
	return members, ok
}

func (c *Claims) readRegistered() error {
	var ok bool
	if value, present := c.members.find("iss"); present {
		if c.Issuer, ok = unquote(value); !ok {
			return &refusal{ErrClaim, "iss is not a string"}
		}
	}
	if value, present := c.members.find("sub"); present {
		if c.Subject, ok = unquote(value); !ok {
			return &refusal{ErrClaim, "sub is not a string"}
		}
	}
	if value, present := c.members.find("aud"); present {
		if c.Audience, ok = stringsOf(value); !ok {
			return &refusal{ErrClaim, "aud is neither a string nor a list of strings"}
		}
	}
	if value, present := c.members.find("exp"); !present {
		return &refusal{ErrClaim, "exp is missing"}
	} else if c.ExpiresAt, ok = timeOf(value); !ok {
		return notTime("exp", value)
	}
	if value, present := c.members.find("nbf"); present {
		if c.NotBefore, ok = timeOf(value); !ok {
			return notTime("nbf", value)
		}
	}
	if value, present := c.members.find("iat"); present {
		if c.IssuedAt, ok = timeOf(value); !ok {
			return notTime("iat", value)
		}
	}
	return nil
}

// The times that a claim may hold, in seconds since 1970: after its first second,
// since 0 stands for unset in many libraries, and before the year 2242, since beyond
// lie milliseconds taken for seconds and tokens that never end.
const minTime, maxTime = 1, 1 << 33

// NumericDate returns the time that such a claim holds (RFC 7519 2), as [Claims] have
// it.
func NumericDate(value jsontext.Value) (time.Time, bool) { return timeOf(string(value)) }

func timeOf(value string) (time.Time, bool) {
	if !isNumber(value) {
		return time.Time{}, false
	}
	if !strings.ContainsAny(value, ".eE") { // as most are written, and by the long way the same
		if seconds, err := strconv.ParseUint(value, 10, 64); err == nil && minTime <= seconds && seconds < maxTime {
			return time.Unix(int64(seconds), 0).UTC(), true
		}
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || seconds < minTime || seconds >= maxTime {
		return time.Time{}, false
	}
	// Whole and part apart: together they would need more digits than a float64 has.
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), 0).Add(time.Duration(math.Round(part*1e6)) * time.Microsecond).UTC(), true
}

// notTime says what a claim is that timeOf refuses, as far as the usual mistakes go.
func notTime(name, value string) error {
	is := "it is out of range"
	switch seconds, err := strconv.ParseFloat(value, 64); {
	case isString(value):
		is = "it is text"
	case !isNumber(value):
		is = "it is not a number"
	case err == nil && seconds >= maxTime && seconds < 1000*maxTime:
		is = "it looks like milliseconds"
	}
	return &refusal{ErrClaim, name + " is not a time in seconds: " + is}
}

func stringsOf(value string) (texts []string, ok bool) {
	if isString(value) {
		text, ok := unquote(value)
		return []string{text}, ok
	}
	if !isArray(value) {
		return nil, false
	}
	texts = elements(value)
	for i := range texts {
		if texts[i], ok = unquote(texts[i]); !ok {
			return nil, false
		}
	}
	return texts, true
}
