package downloadtoken

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// TestUntilValid: a token that will be valid within two seconds is waited for, is never
// honoured before its time, and is judged as a whole by the clock of then.
func TestUntilValid(t *testing.T) {
	ms := func(d time.Duration) float64 { return float64(time.Now().Add(d).UnixMicro()) / 1e6 }
	for name, tt := range map[string]struct {
		claims func() jwt.MapClaims
		during func(cancel func())
		want   error
		waits  time.Duration
	}{
		"a moment":                {func() jwt.MapClaims { return jwt.MapClaims{"nbf": ms(50 * time.Millisecond)} }, nil, nil, 51 * time.Millisecond},
		"issued in a moment":      {func() jwt.MapClaims { return jwt.MapClaims{"iat": ms(1500 * time.Millisecond)} }, nil, nil, 1501 * time.Millisecond},
		"just within":             {func() jwt.MapClaims { return jwt.MapClaims{"nbf": ms(2 * time.Second)} }, nil, nil, 2001 * time.Millisecond},
		"too far ahead":           {func() jwt.MapClaims { return jwt.MapClaims{"nbf": ms(2001 * time.Millisecond)} }, nil, token.ErrNotYetValid, 0},
		"the later of both":       {func() jwt.MapClaims { return jwt.MapClaims{"iat": ms(time.Second), "nbf": ms(3 * time.Second)} }, nil, token.ErrNotYetValid, 0},
		"expired by then":         {func() jwt.MapClaims { at := ms(time.Second); return jwt.MapClaims{"nbf": at, "exp": at} }, nil, token.ErrExpired, 1001 * time.Millisecond},
		"its scope opens nothing": {func() jwt.MapClaims { return jwt.MapClaims{"nbf": ms(time.Second), "sub": "closed"} }, nil, errScope, 1001 * time.Millisecond},
		"the client goes away":    {func() jwt.MapClaims { return jwt.MapClaims{"nbf": ms(time.Second)} }, func(cancel func()) { time.Sleep(300 * time.Millisecond); cancel() }, errSoon, 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _ := staged(t, &Handler{OneTime: new(OneTime)})
				if claims := tt.claims(); claims["sub"] == "closed" {
					h.scopes = []scopes.Scope{opening(scopes.Closed)}
				}
				v := visiting(h, httptest.NewRecorder(), get("/a?download_token="+signed(t, tt.claims())))
				ctx, cancel := context.WithCancel(v.r.Context())
				defer cancel()
				v.r = v.r.WithContext(ctx)
				if err := v.receive(); err != nil {
					t.Fatal(err)
				}
				err := v.judge()
				at, early := token.ValidFrom(err)
				if !early {
					t.Fatalf("judged %v", err)
				}
				if tt.during != nil {
					go tt.during(cancel)
				}
				began := time.Now()
				err = v.untilValid(at, err)
				if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Errorf("%v", err)
				}
				if waited := time.Since(began); waited != tt.waits {
					t.Errorf("waited %v", waited)
				}
				if err == nil && v.judged.Before(at) {
					t.Error("honoured before its time")
				}
			})
		})
	}
}

// TestASlowForm is judged by the clock and the configuration of its end: what was valid
// when the request began must be valid when it is served.
func TestASlowForm(t *testing.T) {
	for name, tt := range map[string]struct {
		takes    time.Duration
		replaced bool
		want     error
	}{
		"at once":           {0, false, nil},
		"at once, replaced": {0, true, nil},
		"slowly":            {9 * time.Second, false, nil},
		"too slowly":        {9 * time.Minute, false, token.ErrExpired},
		"slowly, replaced":  {9 * time.Second, true, errReloaded},
	} {
		now := time.Now()
		h, _ := staged(t, &Handler{Confirm: new(Confirm), now: func() time.Time { return now }})
		v := visiting(h, httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/a?download_token="+signed(t, nil), reads(func() {
			now = now.Add(tt.takes)
			if tt.replaced {
				_ = h.app.Stop()
			}
		})))
		err := v.receive()
		if err == nil {
			err = v.judge()
		}
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// reads is an empty body. It does something when it is read.
type reads func()

func (r reads) Read([]byte) (int, error) { r(); return 0, io.EOF }

// TestUntilValidOfManyRequests: only so many are held, the others are told to come again.
func TestUntilValidOfManyRequests(t *testing.T) {
	for range cap(early) {
		early <- struct{}{}
	}
	defer func() {
		for range cap(early) {
			<-early
		}
	}()
	h, _ := staged(t, new(Handler))
	v := visiting(h, httptest.NewRecorder(), get("/a"))
	v.judged = time.Now()
	if err := v.untilValid(v.judged.Add(time.Second), token.ErrNotYetValid); err != errSoon {
		t.Error(err)
	}
}

// TestUntilValidOfAClockThatIsSetBack does not wait again.
func TestUntilValidOfAClockThatIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := staged(t, new(Handler))
		v := visiting(h, httptest.NewRecorder(), get("/a?download_token="+signed(t, jwt.MapClaims{"nbf": time.Now().Unix() + 1})))
		if err := v.receive(); err != nil {
			t.Fatal(err)
		}
		err := v.judge()
		at, _ := token.ValidFrom(err)
		h.now = func() time.Time { return time.Now().Add(-time.Hour) }
		if err := v.untilValid(at, err); err != errSoon {
			t.Error(err)
		}
	})
}

// TestAgain: what has waited, for whatever it was, is judged again: by the clock of now,
// and by the configuration of now.
func TestAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		took     time.Duration
		stopped  bool // the configuration was replaced
		want     error
		judgedBy time.Duration // after the first time
	}{
		"at once":                      {0, false, nil, 0},
		"at once, replaced":            {0, true, nil, 0},
		"in a moment":                  {aMoment, false, nil, 0},
		"waited":                       {aMoment + 1, false, nil, aMoment + 1},
		"waited until it expired":      {2 * time.Minute, false, token.ErrExpired, 2 * time.Minute},
		"waited, replaced":             {aMoment + 1, true, errReloaded, 0},
		"waited, expired and replaced": {2 * time.Minute, true, errReloaded, 0},
		"the clock was set back":       {-aMoment - 1, false, nil, -aMoment - 1},
	} {
		now := time.Now()
		h, _ := staged(t, &Handler{now: func() time.Time { return now }})
		v := visiting(h, httptest.NewRecorder(), get("/a?download_token="+signed(t, nil)))
		if err := errors.Join(v.receive(), v.judge()); err != nil {
			t.Fatal(err)
		}
		first := now
		if tt.stopped {
			if err := h.app.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(tt.took)
		if err := v.again(); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if got := v.judged.Sub(first); got != tt.judgedBy {
			t.Errorf("%s: judged by the clock of %v later", name, got)
		}
	}
}
