package confirm

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// People double-click, and a browser that is sent to the same place twice cancels
// the first request, whose token may be spent by then. So each page with a button
// carries a value of its own, and a press that has spent a one-time token may be
// repeated for a few seconds, with the same value and from the same address.
const (
	// PressWindow is how long after the first press another one is answered.
	PressWindow = 10 * time.Second
	// PressCopies is how often the file is sent in all, for as many presses.
	PressCopies = 2
	// pressLifetime is how long the value of a page counts. After that, the button
	// works, but must not be pressed twice.
	pressLifetime = time.Hour
)

// pressSecret signs the values. It belongs to the process: a page that was
// shown before a restart has a value that does not count any more.
var pressSecret = func() (key [32]byte) {
	_, _ = rand.Read(key[:]) // never fails
	return key
}()

// A value: what makes it unique, when it was made, and a MAC over both and over
// what it was made for.
const (
	pressRandom = 16
	pressTime   = 8
	pressMAC    = 16
)

// NewPress makes the value of a page. The page is for a token, a path and a
// client.
func NewPress(page rules.GrantKey, now time.Time) string {
	b := make([]byte, pressRandom, pressRandom+pressTime+pressMAC)
	_, _ = rand.Read(b)
	b = binary.BigEndian.AppendUint64(b, uint64(now.UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(append(b, macOfPress(b, page)...))
}

// IsPress reports whether the value was made by this process, for this token,
// path and client, and not long ago.
func IsPress(value string, page rules.GrantKey, now time.Time) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(b) != pressRandom+pressTime+pressMAC {
		return false
	}
	made, mac := b[:pressRandom+pressTime], b[pressRandom+pressTime:]
	if !hmac.Equal(mac, macOfPress(made, page)) {
		return false
	}
	age := now.Sub(time.UnixMicro(int64(binary.BigEndian.Uint64(made[pressRandom:]))))
	return age.Abs() < pressLifetime
}

func macOfPress(made []byte, page rules.GrantKey) []byte {
	mac := hmac.New(sha256.New, pressSecret[:])
	mac.Write(made)
	mac.Write(page[:])
	return mac.Sum(nil)[:pressMAC]
}
