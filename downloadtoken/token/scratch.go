package token

import (
	"bytes"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// A scratch is what it takes to read a token, and of no use afterwards. What a method
// returns lies in the scratch, until the next call that writes the same field.
type scratch struct {
	text    []byte   // of bytes and decode
	decoded []byte   // of decode and object
	members []member // of object

	decoder *jsontext.Decoder
	source  bytes.Buffer // of the decoder
}

var scratches = sync.Pool{New: func() any { return &scratch{decoder: new(jsontext.Decoder)} }}

func takeScratch() *scratch { return scratches.Get().(*scratch) }

// giveBack drops what a text that is no token has made large.
func (s *scratch) giveBack() {
	if cap(s.text) <= 2*MaxLength {
		scratches.Put(s)
	}
}

// bytes returns a copy of a text.
func (s *scratch) bytes(text string) []byte {
	s.text = append(s.text[:0], text...)
	return s.text
}

// decode decodes strict base64url that has passed the screen: of itself, the decoder
// would skip line breaks.
func (s *scratch) decode(encoded string) (decoded []byte, ok bool) {
	decoded, err := base64url.AppendDecode(s.decoded[:0], s.bytes(encoded))
	s.decoded = decoded
	return decoded, err == nil
}

// read lets the decoder begin at the first of these bytes.
func (s *scratch) read(text []byte) {
	s.source = *bytes.NewBuffer(text)
	s.decoder.Reset(&s.source)
}
