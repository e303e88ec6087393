package downloadtoken

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
)

// TestStorageLostRightAfterATokenWithoutIat uses a token up whose exp is as far
// ahead as one can be that is accepted, loses the storage, and shows it again at once.
// The store tells such a token from a new one only by how far ahead its exp can have
// been, so it has to know the bound that the verifier really keeps, which allows for
// whole seconds.
func TestStorageLostRightAfterATokenWithoutIat(t *testing.T) {
	const secret = "a-secret-that-is-long-enough-0123456789"
	config := verification.Config{MaxTTL: caddy.Duration(10 * time.Minute)}
	o, err := new(OneTime).prepare(&config)
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := token.ParseKey("HS256", secret)
	if err != nil {
		t.Fatal(err)
	}
	table, err := token.NewTable(key)
	if err != nil {
		t.Fatal(err)
	}
	verifier := token.Verifier{Keys: table}
	accepts := token.Rules{MaxTTL: time.Duration(config.MaxTTL), OneTime: true}

	now := time.Unix(1_800_000_000, 0)
	const step = 0.25
	exp := float64(now.Unix()) // the largest that is accepted
	var accepted *token.Token
	for next := exp + step; ; next += step {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"jti": "j", "exp": next}).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		verified, err := verifier.Verify(context.Background(), text)
		if err == nil {
			err = accepts.Accept(verified, now)
		}
		if errors.Is(err, token.ErrTooLongLived) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exp, accepted = next, verified
	}
	if ahead := exp - float64(now.Unix()); ahead <= 600 {
		t.Fatalf("only %v seconds are accepted: this test shows nothing", ahead)
	}
	shown, err := o.present(&visit{r: &http.Request{URL: &url.URL{Path: "/a"}}, token: accepted, path: "/a"}, "/a")
	if err != nil {
		t.Fatal(err)
	}
	honoured := 0
	for _, start := range []time.Time{now.Add(-time.Hour), now.Add(time.Millisecond)} {
		showing := shown.Showing()
		err := rules.Judge(&showing, false, 0, 0, 0, rules.NewMarks(start))
		if err == nil {
			honoured++
		} else if !errors.Is(err, rules.ErrUnproven) {
			t.Error(err)
		}
	}
	if honoured != 1 {
		t.Errorf("honoured %d times", honoured)
	}
}
