package rehearsal

import (
	"slices"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken"
)

// TestAdvice: every reason that has a remedy is one of the plugin's, and every step
// has a reason.
func TestAdvice(t *testing.T) {
	var used [len(steps)]bool
	for reason, a := range advice {
		if !slices.Contains(downloadtoken.Reasons(), reason) || a.remedy == "" || a.step < 1 {
			t.Errorf("reason %s: %+v", reason, a)
			continue
		}
		used[a.step] = true
	}
	for i, name := range steps[1:] {
		if !used[i+1] || name == "" {
			t.Errorf("step %d %q refuses for no reason", i+1, name)
		}
	}
}
