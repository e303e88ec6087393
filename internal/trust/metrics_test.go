package trust

import "testing"

// TestLabel: a label names a set, and shows none of what may be secret in its address.
func TestLabel(t *testing.T) {
	for location, want := range map[string]string{
		"https://keys.example/jwks":                      "https://keys.example/jwks",
		"https://user:planted@keys.example/jwks?planted": "https://keys.example/jwks",
		"https://keys.example/a%2Fb?k=planted#planted":   "https://keys.example/a%2Fb",
		"/etc/caddy/keys.json":                           "/etc/caddy/keys.json",
	} {
		if got := label(location); got != want {
			t.Errorf("%s: %s, want %s", location, got, want)
		}
	}
}
