package token

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"pgregory.net/rapid"
)

// TestHMACVectors are those of RFC 4231 section 4, but for the one with a sum that is
// cut off.
func TestHMACVectors(t *testing.T) {
	unhex := func(text string) []byte {
		data, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	long := bytes.Repeat([]byte{0xaa}, 131)
	tests := []struct {
		name             string
		key, data        []byte
		s256, s384, s512 string
	}{
		{"4.2", bytes.Repeat([]byte{0x0b}, 20), []byte("Hi There"),
			"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
			"afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
			"87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde" +
				"daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
		{"4.3", []byte("Jefe"), []byte("what do ya want for nothing?"),
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
			"af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
			"164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554" +
				"9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
		{"4.4", bytes.Repeat([]byte{0xaa}, 20), bytes.Repeat([]byte{0xdd}, 50),
			"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
			"88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
			"fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39" +
				"bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"},
		{"4.5", unhex("0102030405060708090a0b0c0d0e0f10111213141516171819"), bytes.Repeat([]byte{0xcd}, 50),
			"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
			"3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb",
			"b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db" +
				"a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"},
		{"4.7", long, []byte("Test Using Larger Than Block-Size Key - Hash Key First"),
			"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
			"4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
			"80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352" +
				"6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
		{"4.8", long, []byte("This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm."),
			"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
			"6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
			"e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944" +
				"b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for hash, want := range map[crypto.Hash]string{crypto.SHA256: test.s256, crypto.SHA384: test.s384, crypto.SHA512: test.s512} {
				m := newMACs(hash, test.key)
				for range 3 { // the first time, and with a hash that is used again
					sum := unhex(want)
					if !m.verify(test.data, sum) {
						t.Errorf("%v refuses %s", hash, want)
					}
					if m.verify(test.data, sum[:len(sum)-1]) || m.verify(test.data, append(slices.Clone(sum), 0)) || m.verify(test.data, nil) || m.verify(append(test.data[:1:1], test.data...), sum) {
						t.Errorf("%v accepts another sum", hash)
					}
					sum[len(sum)-1] ^= 1
					if m.verify(test.data, sum) {
						t.Errorf("%v accepts a changed sum", hash)
					}
				}
			}
		})
	}
}

// TestSignaturesAgainstGolangJWT: signatures, good and damaged, count for us if they
// count for golang-jwt.
func TestSignaturesAgainstGolangJWT(t *testing.T) {
	for _, a := range algorithms {
		t.Run(a.name, func(t *testing.T) {
			key := makeKey(t, a.name)
			method := jwt.GetSigningMethod(a.name)
			accepted := 0
			rapid.Check(t, func(t *rapid.T) {
				signed := rapid.StringMatching(`[A-Za-z0-9_-]{1,300}\.[A-Za-z0-9_-]{1,300}`).Draw(t, "signed")
				signature, err := method.Sign(signed, signers()[a.name])
				if err != nil {
					t.Fatal(err)
				}
				switch i := rapid.IntRange(0, len(signature)-1).Draw(t, "where"); rapid.SampledFrom([]string{"good", "bit", "short", "long", "text", "none"}).Draw(t, "how") {
				case "bit":
					signature[i] ^= 1 << (i % 8)
				case "short":
					signature = signature[:i]
				case "long":
					signature = append(signature, signature[i])
				case "text":
					signed = signed[:i%len(signed)] + "x" + signed[i%len(signed):]
				case "none":
					signature = nil
				}
				s := takeScratch()
				defer s.giveBack()
				want := method.Verify(signed, signature, public(signers()[a.name])) == nil
				if got := key.verify(s, signed, signature); got != want {
					t.Fatalf("%v, golang-jwt says %v", got, want)
				}
				if want {
					accepted++
				}
			})
			if accepted == 0 {
				t.Error("no good signature was drawn")
			}
		})
	}
}

// TestDamagedTokensAgainstGolangJWT: for every algorithm, what golang-jwt verifies is
// verified, and what it refuses is refused.
func TestDamagedTokensAgainstGolangJWT(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
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
