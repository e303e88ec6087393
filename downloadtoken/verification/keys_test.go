package verification

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"
)

// TestSetsOfFilesAreNotShared: a reload is to read a file anew, and to fail if it cannot;
// a set of an address is kept, so that a reload does not begin without keys. Both are
// told apart as the set itself tells them, on every system.
func TestSetsOfFilesAreNotShared(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for location, shared := range map[string]bool{file: false, "https://id.example/jwks": true} {
		var keys Keys
		for range 3 {
			s, err := acquire(JWKS{Location: location}, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			keys.sets = append(keys.sets, s)
		}
		if first, last := keys.sets[0], keys.sets[2]; (first == last) != shared || (first.key == last.key) != shared {
			t.Errorf("%s: shared is %v", location, first == last)
		}
		ends := keys.sets[0].ctx
		if err := keys.Close(); err != nil {
			t.Error(err)
		}
		if ends.Err() == nil {
			t.Errorf("%s: nothing ended its refreshing", location)
		}
	}
}
