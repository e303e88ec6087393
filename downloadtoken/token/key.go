package token

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	minSecretBytes = 32 // RFC 7518 3.2, for the smallest hash
	minRSABits     = 2048
	maxRSABits     = 16384 // beyond, one forged token costs too much time to refuse
)

// Key verifies the signatures of one algorithm. Make it with [ParseKey] or
// [NewKey], then set ID and Issuer. The zero value verifies nothing.
//
// However it is formatted, a Key shows its ID and algorithm only.
type Key struct {
	// ID is the kid that tokens name the key by (RFC 7515 4.1.4). Default: none, and
	// then the key is only tried on tokens that name none.
	ID string

	// Alg is the JWS algorithm (RFC 7518 3.1). It is fixed when the key is made;
	// [NewTable] refuses a key whose Alg was changed.
	Alg string

	// Issuer binds the key to one iss: it verifies only tokens of that issuer, and
	// they are accepted from its keys only (RFC 8725 3.8). Default: not bound.
	Issuer string

	// Behind a function, because fmt does not ask the methods of an unexported field,
	// and for some verbs follows its pointers: of a function it prints the address.
	material func() *material
}

type material struct {
	algorithm   *algorithm
	key         any   // as golang-jwt wants it
	macs        *macs // for HMAC
	fingerprint [sha256.Size]byte
	notAfter    time.Time // of an X.509 certificate
}

// NewKey binds a key, which must not be changed any more, to an algorithm. It takes
// a []byte with an HMAC secret, an [*rsa.PublicKey], an [*ecdsa.PublicKey] or
// an [ed25519.PublicKey].
//
// It refuses, in words that say what to do instead and never contain the key: an
// unknown algorithm, a key of the wrong kind or curve, HMAC secrets under 32 bytes
// or that are a PEM text (RFC 8725 2.1: a public key is no secret), RSA moduli under
// 2048 or over 16384 bits or with the ROCA flaw (CVE-2017-15361), RSA exponents
// that are even or under 3, and Ed25519 keys for which anyone can sign.
func NewKey(alg string, key any) (Key, error) {
	a, err := findAlgorithm(alg)
	if err != nil {
		return Key{}, err
	}
	if err := a.accept(key); err != nil {
		return Key{}, err
	}
	if secret, ok := key.([]byte); ok {
		key = slices.Clone(secret)
	}
	fingerprint, err := a.fingerprint(key)
	if err != nil {
		return Key{}, err
	}
	m := &material{algorithm: a, key: key, fingerprint: fingerprint}
	if secret, ok := key.([]byte); ok {
		m.macs = newMACs(a.hash, secret)
	}
	return Key{Alg: alg, material: func() *material { return m }}, nil
}

// Fingerprint names the key material: SHA-256 over a prefix and, for public keys,
// the PKIX form in DER, for HMAC the secret as HMAC uses it, so that all its
// spellings are one key. ID, issuer and the certificate around a key do not change
// it; nor does the algorithm, unless the secret is too long for one of two and has
// to be hashed. Keep it as private as a password hash: an HMAC secret that a
// person has made up can be guessed from it.
func (k *Key) Fingerprint() [32]byte {
	if k.material == nil {
		return [32]byte{}
	}
	return k.material().fingerprint
}

// CertificateExpired tells whether the key came in an X.509 certificate that is
// past its date at now. Such a key still verifies, since the signer goes on using
// it; it is worth a warning when a configuration is loaded.
func (k *Key) CertificateExpired(now time.Time) bool {
	if k.material == nil {
		return false
	}
	notAfter := k.material().notAfter
	return !notAfter.IsZero() && now.After(notAfter)
}

// verify tells whether the key signed these bytes.
func (k *Key) verify(s *scratch, signed string, signature []byte) bool {
	m := k.material()
	if m.macs != nil {
		return m.macs.verify(s.bytes(signed), signature)
	}
	return m.algorithm.method.Verify(signed, signature, m.key) == nil
}

// signs tells whether the key may verify tokens of this algorithm: a Key that was
// put together by hand, or changed, may not.
func (k *Key) signs(alg string) bool {
	return k != nil && k.material != nil && k.material().algorithm.name == alg
}

// String shows the key's ID and algorithm, nothing else.
func (k Key) String() string { return fmt.Sprintf("key %q %s", k.ID, k.Alg) }

// GoString is [Key.String], for %#v.
func (k Key) GoString() string { return k.String() }

// Format prints [Key.String] for every verb and flag.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// MarshalJSON shows the members kid and alg, nothing else.
func (k Key) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID  string `json:"kid"`
		Alg string `json:"alg"`
	}{k.ID, k.Alg})
}

func (a *algorithm) fingerprint(key any) ([sha256.Size]byte, error) {
	const domain = "caddy-download-token key v1 "
	if secret, ok := key.([]byte); ok {
		return sha256.Sum256(append([]byte(domain+"secret\x00"), a.effective(secret)...)), nil
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return [sha256.Size]byte{}, errors.New("key has no PKIX form: give an RSA, ECDSA or Ed25519 public key")
	}
	return sha256.Sum256(append([]byte(domain+"public\x00"), der...)), nil
}

// effective is the secret as HMAC uses it (RFC 2104 section 2): hashed if it is
// longer than a block of the hash, and then filled up with zero bytes. Those are
// taken off here, even if they were part of the secret, so that a secret that fits into the
// blocks of two hashes is the same for both.
func (a *algorithm) effective(secret []byte) []byte {
	hash := a.hash.New()
	if len(secret) > hash.BlockSize() {
		hash.Write(secret)
		secret = hash.Sum(nil)
	}
	return bytes.TrimRight(secret, "\x00")
}

func checkSecret(secret []byte) error {
	if bytes.Contains(secret, []byte("-----BEGIN ")) {
		return errors.New("secret is a PEM text, which is a key of another kind: write the algorithm that it belongs to (RS256, ES256, EdDSA...), or a random secret, as from: openssl rand -hex 32")
	}
	if len(secret) < minSecretBytes {
		return fmt.Errorf("secret has only %d bytes and can be guessed: write at least %d random ones, as from: openssl rand -hex 32", len(secret), minSecretBytes)
	}
	return nil
}

func checkRSA(key *rsa.PublicKey) error {
	switch bits := key.N.BitLen(); {
	case key.N.Sign() <= 0 || bits < minRSABits:
		return fmt.Errorf("RSA key has only %d bits: make one of at least %d, better 3072", bits, minRSABits)
	case bits > maxRSABits:
		return fmt.Errorf("RSA key has %d bits, which makes every request slow: make one of at most %d", bits, maxRSABits)
	case key.N.Bit(0) == 0:
		return errors.New("RSA key is broken, its modulus is even: make a new one")
	case key.E < 3 || key.E&1 == 0 || int64(key.E) > 1<<31-1: // the last is the limit of crypto/rsa
		return errors.New("RSA key has an unsafe public exponent: make one with the usual 65537")
	case hasROCA(key.N):
		return errors.New("RSA key can be factored (ROCA, CVE-2017-15361): make a new one with other software")
	}
	return nil
}

// checkEd25519 refuses the points of small order. For such a key, one of 32 zero bytes
// for example, anyone can write signatures.
func checkEd25519(key ed25519.PublicKey) error {
	y := [ed25519.PublicKeySize]byte(key)
	y[len(y)-1] &= 0x7f // the sign of x
	if slices.Contains(smallOrder, hex.EncodeToString(y[:])) {
		return errors.New("Ed25519 key is no key (a point of small order, such as 32 zero bytes), and everybody could sign for it: export it again")
	}
	return nil
}

// smallOrder holds the y of the eight points, in all their spellings.
var smallOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// hasROCA recognises the moduli of a flawed library, whose primes are k*M + 65537^a
// mod M for a product M of small primes: modulo each of those, the modulus is then a
// power of 65537. A sound one passes for that with a chance below 2^-27.
func hasROCA(n *big.Int) bool {
	var remainder, divisor big.Int
	for p := int64(3); p <= 167; p += 2 {
		if !divisor.SetInt64(p).ProbablyPrime(0) {
			continue
		}
		r := remainder.Mod(n, &divisor).Int64()
		power, found := int64(1), false
		for range p {
			found = found || power == r
			power = power * 65537 % p
		}
		if !found {
			return false
		}
	}
	return true
}
