package token

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// TestHMACVectors are those of RFC 4231, whole: truncated ones are of no algorithm here.
func TestHMACVectors(t *testing.T) {
	for name, tt := range map[string]struct {
		key, data           string
		is256, is384, is512 string
	}{
		"1": {
			strings.Repeat("0b", 20), hex.EncodeToString([]byte("Hi There")),
			"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
			"afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
			"87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
		},
		"2": {
			hex.EncodeToString([]byte("Jefe")), hex.EncodeToString([]byte("what do ya want for nothing?")),
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
			"af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
			"164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
		},
		"6": {
			strings.Repeat("aa", 131), hex.EncodeToString([]byte("Test Using Larger Than Block-Size Key - Hash Key First")),
			"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
			"4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
			"80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
		},
	} {
		key, _ := hex.DecodeString(tt.key)
		data, _ := hex.DecodeString(tt.data)
		for hash, want := range map[crypto.Hash]string{crypto.SHA256: tt.is256, crypto.SHA384: tt.is384, crypto.SHA512: tt.is512} {
			mac, err := hex.DecodeString(want)
			if err != nil {
				t.Fatal(err)
			}
			m := newMACKey(hash, key)
			if !m.verify(string(data), mac) {
				t.Errorf("%s: %v is not verified", name, hash)
			}
			for _, wrong := range [][]byte{nil, mac[:len(mac)-1], append(bytes.Clone(mac), 0), flipped(mac, len(mac)-1), flipped(mac, 0), make([]byte, len(mac))} {
				if m.verify(string(data), wrong) {
					t.Errorf("%s: %v verifies %x", name, hash, wrong)
				}
			}
		}
	}
}

func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

// TestHMACAgainstCrypto: for keys and texts of any length, across every block and buffer.
func TestHMACAgainstCrypto(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	fill := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for _, length := range []int{0, 1, 32, 63, 64, 65, 127, 128, 129, 1000, 1023, 1024, 1025, 1088, 1151, 1152, 1153, 8191, 9000} {
			key, text := fill(length), fill(random.IntN(2000))
			for _, pair := range [][2][]byte{{key, text}, {text, key}} {
				reference := hmac.New(hash.New, pair[0])
				reference.Write(pair[1])
				mac := reference.Sum(nil)
				m := newMACKey(hash, pair[0])
				if !m.verify(string(pair[1]), mac) {
					t.Errorf("%v, a key of %d bytes, a text of %d", hash, len(pair[0]), len(pair[1]))
				}
				if m.verify(string(pair[1])+"x", mac) || m.verify(string(pair[1]), flipped(mac, random.IntN(len(mac)))) {
					t.Errorf("%v verifies what is damaged", hash)
				}
			}
		}
	}
}

// TestSignaturesAgainstGolangJWT: for every algorithm, what golang-jwt verifies is
// verified, and what it refuses is refused; so are the spellings that it lets through.
func TestSignaturesAgainstGolangJWT(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, a := range algorithms {
		key := makeKey(t, a.name)
		verifier := judgeBy(makeTable(t, key))
		parser := jwt.NewParser(jwt.WithValidMethods([]string{a.name}), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())
		text := mint(t, a.name, `{"alg":"`+a.name+`"}`, `{"exp":1800000060,"sub":"s"}`)
		for range 200 {
			damaged := []byte(text)
			for range random.IntN(3) {
				damaged[random.IntN(len(damaged))] = alphabet[random.IntN(len(alphabet))]
			}
			_, err := verifier.Verify(t.Context(), string(damaged))
			claims := jwt.MapClaims{}
			_, want := parser.ParseWithClaims(string(damaged), claims, func(*jwt.Token) (any, error) { return key.material().key, nil })
			if (err == nil) != (want == nil) {
				t.Fatalf("%s: %v, and golang-jwt %v: %s", a.name, err, want, damaged)
			}
		}
	}
}
