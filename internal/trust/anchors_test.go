package trust

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/verification"
)

// TestSetsOfFilesAreNotShared: a reload is to read a file anew, and to fail if it cannot;
// a set of an address is kept, so that a reload does not begin without anchors. Both are
// told apart as the set itself tells them, on every system.
func TestSetsOfFilesAreNotShared(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for location, shared := range map[string]bool{file: false, "https://id.example/jwks": true} {
		var anchors Anchors
		for range 3 {
			s, err := acquire(verification.JWKS{Location: location}, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			anchors.sets = append(anchors.sets, s)
		}
		if first, last := anchors.sets[0], anchors.sets[2]; (first == last) != shared || (first.name == last.name) != shared {
			t.Errorf("%s: shared is %v", location, first == last)
		}
		ends := anchors.sets[0].ctx
		if err := anchors.Close(); err != nil {
			t.Error(err)
		}
		if ends.Err() == nil {
			t.Errorf("%s: nothing ended its refreshing", location)
		}
	}
}
