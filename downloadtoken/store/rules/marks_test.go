package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"
)

func number(n int) (s Signer) {
	binary.BigEndian.PutUint64(s[:], uint64(n))
	return s
}

// full are marks with as many signers as have their own, and one more.
func full() Marks {
	wanted := map[Signer]Mark{}
	for n := range MaxSigners {
		wanted[number(n)] = Mark{Issued: 100}
	}
	k := Marks{since: 50}.Raised(wanted)
	return k.Raised(map[Signer]Mark{number(MaxSigners): {Issued: 300, Expires: 400}})
}

func TestVouch(t *testing.T) {
	some := Marks{since: 50, of: map[Signer]Mark{
		{1}: {Issued: 100},
		{2}: {Expires: 200},
		{3}: {Issued: 100, Expires: 200},
	}}
	const us = time.Microsecond
	for _, c := range []struct {
		name            string
		marks           Marks
		signer          Signer
		issued, expires Stamp
		maxTTL          time.Duration
		want            bool
	}{
		{"knows nothing", Marks{}, Signer{1}, 1e9, 2e9, time.Hour, false},
		{"none found, issued at start", Marks{since: 50}, Signer{1}, 50, 60, 0, false},
		{"none found, issued after", Marks{since: 50}, Signer{1}, 51, 60, 0, true},
		{"none found, no iat, no max_ttl", Marks{since: 50}, Signer{1}, 0, 1e9, 0, false},
		{"none found, no iat, negative max_ttl", Marks{since: 50}, Signer{1}, 0, 1e9, -1, false},
		{"none found, no iat, at the limit", Marks{since: 50}, Signer{1}, 0, 60, 10 * us, false},
		{"none found, no iat, beyond", Marks{since: 50}, Signer{1}, 0, 61, 10 * us, true},
		{"issued at the mark", some, Signer{1}, 100, 1e9, 0, false},
		{"issued after the mark", some, Signer{1}, 101, 102, 0, true},
		{"iat decides, not exp", some, Signer{3}, 100, 1e9, 0, false},
		{"expires at the mark", some, Signer{2}, 0, 200, 0, false},
		{"expires after the mark, no max_ttl needed", some, Signer{2}, 0, 201, 0, true},
		{"only an exp mark, has iat", some, Signer{2}, 51, 60, 0, true},
		{"only an exp mark, iat before marks began", some, Signer{2}, 50, 60, 0, false},
		{"only an iat mark, no iat", some, Signer{1}, 0, 61, 10 * us, true},
		{"only an iat mark, no iat, before marks began", some, Signer{1}, 0, 60, 10 * us, false},
		{"unknown signer", some, Signer{9}, 51, 60, 0, true},
		{"unknown signer, before marks began", some, Signer{9}, 50, 60, 0, false},
		{"common mark", full(), number(99_999), 300, 1e9, 0, false},
		{"beyond the common mark", full(), number(99_999), 301, 1e9, 0, true},
		{"common exp mark", full(), number(99_999), 0, 400, 10 * us, false},
		{"common exp mark does not replace the start", full(), number(99_999), 0, 401, 400 * us, false},
		{"own mark among many", full(), number(7), 101, 1e9, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Showing{Signer: c.signer, Issued: c.issued, Expires: c.expires, MaxTTL: c.maxTTL}
			if got := c.marks.Vouch(&s); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestRaisedNeverGoesBack(t *testing.T) {
	k := full().Raised(map[Signer]Mark{number(1): {Issued: 5}, number(88_888): {Issued: 5, Expires: 5}})
	if m, own := k.get(number(1)); !own || m.Issued != 100 {
		t.Errorf("own mark went to %v", m)
	}
	if m, own := k.get(number(88_888)); own || m != (Mark{300, 400}) {
		t.Errorf("common mark went to %v", m)
	}
	if len(k.of) != MaxSigners {
		t.Errorf("%d signers have marks", len(k.of))
	}
}

func TestMarksInStorage(t *testing.T) {
	for name, k := range map[string]Marks{
		"only a start": {since: 7},
		"some":         {since: 7, of: map[Signer]Mark{{1}: {Issued: 8}, {2}: {Expires: 9}}},
		"full":         full(),
	} {
		t.Run(name, func(t *testing.T) {
			b, err := k.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			var got Marks
			if err := got.UnmarshalBinary(b); err != nil {
				t.Fatal(err)
			}
			if again, err := got.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
				t.Errorf("came back as %x, %v", again, err)
			}
			if got.since != k.since || got.rest != k.rest || len(got.of) != len(k.of) {
				t.Errorf("came back different")
			}
		})
	}
	if b, err := (Marks{}).MarshalBinary(); err == nil {
		t.Errorf("no marks were written as %x", b)
	}
}

// sealed puts a right checksum under a wrong body.
func sealed(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(body, sum[:]...)
}

func TestDamagedMarks(t *testing.T) {
	good, err := Marks{since: 7, of: map[Signer]Mark{{1}: {Issued: 8}, {2}: {Expires: 9}}}.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	body := func(change func(b []byte) []byte) []byte {
		return sealed(change(bytes.Clone(good[:len(good)-sha256.Size])))
	}
	set := func(at int, v uint64) []byte {
		return body(func(b []byte) []byte { binary.BigEndian.PutUint64(b[at:], v); return b })
	}
	for name, b := range map[string][]byte{
		"empty":             {},
		"magic alone":       []byte(marksMagic),
		"cut short":         good[:len(good)-1],
		"longer":            append(bytes.Clone(good), 0),
		"later version":     body(func(b []byte) []byte { b[7] = 3; return b }),
		"no start":          set(8, 0),
		"negative start":    set(8, 1<<63),
		"common mark alone": set(16, 5),
		"negative mark":     set(marksHeader+32, 1<<63),
		"mark too large":    set(marksHeader+32, 1<<62+1),
		"record missing":    body(func(b []byte) []byte { return b[:len(b)-marksRecord] }),
		"half a record":     body(func(b []byte) []byte { return b[:len(b)-8] }),
		"count too large":   body(func(b []byte) []byte { binary.BigEndian.PutUint32(b[32:], 1<<31); return b }),
		"not in order":      body(func(b []byte) []byte { b[marksHeader] = 3; return b }),
		"same signer twice": body(func(b []byte) []byte { b[marksHeader] = 2; return b }),
	} {
		t.Run(name, func(t *testing.T) {
			k := Marks{since: 1}
			if err := k.UnmarshalBinary(b); err == nil {
				t.Error("accepted")
			}
			if k.since != 1 || k.of != nil {
				t.Error("changed by what was refused")
			}
		})
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 0x10
		if err := new(Marks).UnmarshalBinary(b); err == nil {
			t.Errorf("byte %d flipped: accepted", i)
		}
	}
}

// FuzzMarks: whatever is accepted has exactly one encoding. The checksum is
// put right, so that the fuzzer gets past it.
func FuzzMarks(f *testing.F) {
	for _, k := range []Marks{{since: 7}, {since: 7, of: map[Signer]Mark{{1}: {Issued: 8}, {2}: {Expires: 9}}}} {
		b, err := k.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-sha256.Size])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, sealed(bytes.Clone(b))} {
			var k Marks
			if k.UnmarshalBinary(b) != nil {
				if !k.IsZero() {
					t.Fatal("changed by what was refused")
				}
				continue
			}
			if again, err := k.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%x came back as %x, %v", b, again, err)
			}
			if k.Vouch(&Showing{Issued: 1}) {
				t.Fatal("vouches for a token older than any start")
			}
		}
	})
}
