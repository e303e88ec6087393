package session

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestSameOrigin: only this host is the same, and behind TLS only https.
func TestSameOrigin(t *testing.T) {
	for _, tt := range []struct {
		origin, host string
		tls, want    bool
	}{
		{"https://files.example.com", "files.example.com", true, true},
		{"https://files.example.com", "Files.Example.com", true, true},
		{"http://files.example.com", "files.example.com", true, false},
		{"http://files.example.com", "files.example.com", false, true},
		{"https://files.example.com", "files.example.com", false, true}, // a proxy ends TLS
		{"https://files.example.com:8443", "files.example.com", true, false},
		{"https://example.com", "files.example.com", true, false},
		{"null", "files.example.com", true, false},
		{"null", "", false, false},
		{"file://", "", false, false},
	} {
		r := httptest.NewRequest(http.MethodPut, "/", nil)
		r.Host = tt.host
		if tt.tls {
			r.TLS = new(tls.ConnectionState)
		}
		if got := isSameOrigin(tt.origin, r); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// TestAdmitOrigin: a foreign page may do nothing, and is told nothing.
func TestAdmitOrigin(t *testing.T) {
	s, _ := ready(t, app)
	for origin, want := range map[string]struct{ admitted, echoed bool }{
		"": {true, false}, app: {true, true}, "http://files.example": {true, false},
		"https://app.example.evil.example": {false, false}, "http://app.example": {false, false},
		"https://app.example:444": {false, false}, "https://APP.example": {false, false},
		"https://evil.example": {false, false}, "null": {false, false}, "file://": {false, false},
	} {
		for method, status := range map[string]int{"DELETE": 204, "OPTIONS": 204, "PUT": 400, "GET": 405} {
			if !want.admitted {
				status = http.StatusForbidden
			}
			a := ask(t, s, method, testPath, "", "Origin", origin)
			if a.StatusCode != status {
				t.Errorf("%s from %q: %d, want %d", method, origin, a.StatusCode, status)
			}
			if !want.admitted && len(a.Cookies()) > 0 {
				t.Errorf("%s from %q: a cookie", method, origin)
			}
			echo, credentials, methods := "", "", ""
			if want.echoed {
				echo, credentials = origin, "true"
			}
			if want.echoed && method == http.MethodOptions {
				methods = "PUT, DELETE"
			}
			for name, want := range map[string]string{
				"Access-Control-Allow-Origin": echo, "Access-Control-Allow-Credentials": credentials,
				"Access-Control-Allow-Methods": methods, "Vary": "Origin",
			} {
				if got := a.Header.Get(name); got != want {
					t.Errorf("%s from %q: %s %q, want %q", method, origin, name, got, want)
				}
			}
		}
	}
}

func TestCheckOrigin(t *testing.T) {
	for origin, good := range map[string]bool{
		"https://app.example": true, "http://localhost:3000": true, "https://[::1]:8443": true,
		"": false, "app.example": false, "https://": false, "https://app.example/": false, "https://App.example": false,
		"https://app.example/a": false, "https://u@app.example": false, "ftp://app.example": false, "null": false, "*": false,
	} {
		if err := checkOrigin(origin); (err == nil) != good {
			t.Errorf("%q: %v", origin, err)
		}
	}
}
