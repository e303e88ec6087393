package token

import (
	"bytes"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// An object is a strict JSON object (RFC 8259): no name twice, at any depth, no lone
// surrogates, nothing behind it. Its values stay as they are written until they are
// asked for.
type object struct {
	text    string // the object, and behind it the names that it writes with escapes
	members []member
}

// A member says where in the text its name, without quotes and escapes, and its value
// stand.
type member struct{ name, nameEnd, value, valueEnd uint16 }

const _ = uint16(2 * MaxLength) // the greatest offset fits into a member

// find returns the value of a member as it is written. Names are compared byte by byte.
func (o *object) find(name string) (value string, ok bool) {
	for _, m := range o.members {
		if o.text[m.name:m.nameEnd] == name {
			return o.text[m.value:m.valueEnd], true
		}
	}
	return "", false
}

// object decodes an object that has passed the screen.
func (s *scratch) object(encoded string) (o object, ok bool) {
	text, ok := s.decode(encoded)
	if !ok || len(text) > MaxLength {
		return object{}, false
	}
	s.members = s.members[:0]
	s.read(text)
	if opening, err := s.decoder.ReadToken(); err != nil || opening.Kind() != jsontext.KindBeginObject {
		return object{}, false
	}
	for s.decoder.PeekKind() != jsontext.KindEndObject {
		var m member
		name, err := s.decoder.ReadValue()
		if err != nil {
			return object{}, false
		}
		if bytes.IndexByte(name, '\\') < 0 {
			m.nameEnd = uint16(s.decoder.InputOffset()) - 1
			m.name = m.nameEnd + 2 - uint16(len(name))
		} else {
			m.name = uint16(len(text))
			text, _ = jsontext.AppendUnquote(text, name)
			m.nameEnd = uint16(len(text))
		}
		value, err := s.decoder.ReadValue()
		if err != nil {
			return object{}, false
		}
		m.valueEnd = uint16(s.decoder.InputOffset())
		m.value = m.valueEnd - uint16(len(value))
		s.members = append(s.members, m)
	}
	_, err := s.decoder.ReadToken() // the brace
	if err == nil {
		_, err = s.decoder.ReadToken()
	}
	return object{string(text), s.members}, err == io.EOF
}

// elements returns the elements of an array that stands in an [object], as they are
// written.
func elements(array string) []string {
	s := takeScratch()
	defer s.giveBack()
	s.read(s.bytes(array))
	if _, err := s.decoder.ReadToken(); err != nil { // the bracket
		return nil
	}
	var values []string
	for s.decoder.PeekKind() != jsontext.KindEndArray {
		value, err := s.decoder.ReadValue()
		if err != nil {
			return nil
		}
		end := int(s.decoder.InputOffset())
		values = append(values, array[end-len(value):end])
	}
	return values
}

// What a value of an [object] is, its first byte tells.
func isString(value string) bool { return strings.HasPrefix(value, `"`) }
func isArray(value string) bool  { return strings.HasPrefix(value, "[") }
func isNumber(value string) bool {
	return value != "" && (value[0] == '-' || '0' <= value[0] && value[0] <= '9')
}

// unquote returns the text of a JSON string, ok only if the value is one.
func unquote(value string) (text string, ok bool) {
	if !isString(value) {
		return "", false
	}
	if strings.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], true
	}
	unquoted, err := jsontext.AppendUnquote(nil, value)
	return string(unquoted), err == nil
}
