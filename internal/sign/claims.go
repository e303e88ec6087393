package sign

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Claims are what a token is to say, in the order in which it is set. Setting a claim
// twice, or to what is no JSON, is an error of [Signer.Sign]. The zero value says nothing.
type Claims struct {
	payload bytes.Buffer
	out     *jsontext.Encoder
	err     error // the first
	salt    string
}

// Set says something.
func (c *Claims) Set(name string, value jsontext.Value) {
	c.write(jsontext.String(name))
	if c.err == nil {
		c.err = c.out.WriteValue(value)
	}
}

func (c *Claims) write(token jsontext.Token) {
	if c.out == nil {
		c.out = jsontext.NewEncoder(&c.payload)
		c.err = c.out.WriteToken(jsontext.BeginObject)
	}
	if c.err == nil {
		c.err = c.out.WriteToken(token)
	}
}

// Nonce makes the token unique by a random UUID of version 4 (RFC 9562 5.4) in a claim.
func (c *Claims) Nonce(name string) {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	c.Set(name, fmt.Appendf(nil, `"%x-%x-%x-%x-%x"`, u[:4], u[4:6], u[6:8], u[8:10], u[10:]))
}

// Salt makes the token unlike any other that says the same, by a random member salt of
// the header.
func (c *Claims) Salt() { c.salt = rand.Text()[:16] }

// Stamp says when the token is made (iat), and until when it is good (exp). exp is in
// whole seconds and never more than ttl from now. iat is cut to precision, a second or a
// millisecond: a store can tell a token with milliseconds from those before a restart
// without waiting for the next second, but some libraries that compare with whole seconds
// take such an iat for one in the future.
func (c *Claims) Stamp(now time.Time, ttl, precision time.Duration) (issued, expires time.Time) {
	issued, expires = now.Truncate(precision), now.Add(ttl).Truncate(time.Second)
	iat := fmt.Appendf(nil, "%d", issued.Unix())
	if ms := issued.Nanosecond() / int(time.Millisecond); ms > 0 {
		iat = fmt.Appendf(iat, ".%03d", ms)
	}
	c.Set("iat", iat)
	c.Set("exp", fmt.Appendf(nil, "%d", expires.Unix()))
	return issued, expires
}

func (c *Claims) text() ([]byte, error) {
	c.write(jsontext.EndObject)
	return bytes.TrimSpace(c.payload.Bytes()), c.err
}
