package cdni

import "testing"

func TestCode(t *testing.T) {
	for reason, want := range map[string]int{"": 200, "missing": 0, "replayed": 407, "scope": 411, "malformed": 500, "method": 500, "anything else": 500} {
		if got := Code(reason); got != want {
			t.Errorf("%s: %d, want %d", reason, got, want)
		}
	}
}
