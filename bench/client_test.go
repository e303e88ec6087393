package main

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestUnexpectedAnswer: no case measures another by mistake.
func TestUnexpectedAnswer(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/served":
			fmt.Fprint(w, "12345")
		case "/refused":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"reason":"expired"}`)
		case "/open-ended":
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "12345")
		case "/broken":
			w.Header().Set("Content-Length", "5")
			fmt.Fprint(w, "123")
		}
	})
	first := httptest.NewServer(handler)
	defer first.Close()
	second := httptest.NewUnstartedServer(handler)
	second.EnableHTTP2 = true
	second.StartTLS()
	defer second.Close()
	roots := x509.NewCertPool()
	roots.AddCert(second.Certificate())

	served := want{status: 200, length: 5}
	tests := []struct {
		name   string
		target string
		want   want
		wrong  string // part of the error; empty: none
		both   bool   // true of HTTP/2, too
	}{
		{"as wanted", "/served", served, "", true},
		{"refusal as wanted", "/refused", want{401, 20, `"expired"`}, "", true},
		{"other status", "/refused", want{200, 20, ""}, "status 401 instead of 200", true},
		{"served though refused", "/served", want{401, -1, `"expired"`}, "status 200 instead of 401", true},
		{"shorter", "/served", want{200, 6, ""}, "5 bytes instead of 6", true},
		{"longer", "/served", want{200, 4, ""}, "5 bytes instead of 4", true},
		{"other reason", "/refused", want{401, 20, `"used"`}, "not as", true},
		{"no length", "/open-ended", served, "without Content-Length", false},
		{"breaks off", "/broken", served, "EOF", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			one, err := newHTTP1(t.Context(), strings.TrimPrefix(first.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer one.close()
			judge(t, one, test.target, test.want, test.wrong)
			if test.both {
				two := newHTTP2(t.Context(), strings.TrimPrefix(second.URL, "https://"), roots)
				defer two.close()
				judge(t, two, test.target, test.want, test.wrong)
			}
		})
	}
}

func judge(t *testing.T, c client, target string, w want, wrong string) {
	t.Helper()
	n, err := c.get(target, w)
	switch {
	case wrong == "" && (err != nil || n != w.length):
		t.Errorf("%T: %d bytes, %v", c, n, err)
	case wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)):
		t.Errorf("%T: %v, want %q", c, err, wrong)
	}
}

// TestNotHTTP2: a server that speaks only HTTP/1.1 is not taken for one with HTTP/2.
func TestNotHTTP2(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c := newHTTP2(t.Context(), strings.TrimPrefix(s.URL, "https://"), roots)
	defer c.close()
	judge(t, c, "/", want{status: 404, length: -1}, "instead of HTTP/2")
}
