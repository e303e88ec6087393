package token

import (
	"testing"
)

func TestScreen(t *testing.T) {
	tests := []struct {
		name, text string
		err        error
	}{
		{"three parts", "aB0-_.c.d", nil},
		{"longest", repeat("a", MaxLength-4) + ".b.c", nil},
		{"too long", repeat("a", MaxLength-3) + ".b.c", ErrTooLarge},
		{"too long and not in the alphabet", repeat("é", MaxLength), ErrTooLarge},
		{"empty", "", ErrMalformed},
		{"one part", "a", ErrMalformed},
		{"two parts", "a.b", ErrMalformed},
		{"four parts", "a.b.c.d", ErrMalformed},
		{"five parts, as an encrypted token", "a.b.c.d.e", ErrMalformed},
		{"dots only", "..", ErrMalformed},
		{"many dots", repeat(".", MaxLength), ErrMalformed},
		{"empty header", ".b.c", ErrMalformed},
		{"empty payload", "a..c", ErrMalformed},
		{"empty signature", "a.b.", ErrMalformed},
		{"line feed", "a.b.c\n", ErrMalformed},
		{"carriage return", "a.\rb.c", ErrMalformed},
		{"NUL", "a.b.c\x00", ErrMalformed},
		{"space", "a.b. c", ErrMalformed},
		{"padding", "a.b.c=", ErrMalformed},
		{"standard base64", "a+/.b.c", ErrMalformed},
		{"percent", "a%2Eb.c.d", ErrMalformed},
		{"not ASCII", "a.b.ç", ErrMalformed},
		{"JSON serialization", `{"payload":"a"}`, ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			parts, err := screen(test.text)
			wantErr(t, err, test.err)
			if err == nil && (parts.signed+"."+parts.signature != test.text || parts.header+"."+parts.payload != parts.signed) {
				t.Errorf("cut into %+v", parts)
			}
		})
	}
}

func TestScreenAllocatesNothing(t *testing.T) {
	text := mintClaims(t, `{`+soon+`}`)
	if n := testing.AllocsPerRun(100, func() { screen(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
