package memory

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	oneID   = "11111111-1111-4111-8111-111111111111"
	otherID = "22222222-2222-4222-8222-222222222222"
)

// ownID makes an empty folder the place of the instance ID, and returns the file.
func ownID(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	t.Setenv("XDG_DATA_HOME", home)
	return filepath.Join(home, "caddy", "instance.uuid")
}

func writeID(t *testing.T, file, id string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte(id), 0o600); err != nil {
		t.Error(err)
	}
}

// makeOld makes the ID one that was written some time ago.
func makeOld(t *testing.T, file string) {
	t.Helper()
	past := time.Now().Add(-time.Minute)
	if err := os.Chtimes(file, past, past); err != nil {
		t.Fatal(err)
	}
}

// TestInstanceIDThatIsMadeUpTwice: on its first start, Caddy makes up the
// instance ID in two places at once, and the later one stays.
func TestInstanceIDThatIsMadeUpTwice(t *testing.T) {
	file := ownID(t)
	for name, meanwhile := range map[string]func(){
		"another":               func() { writeID(t, file, otherID) },
		"another, half written": func() { writeID(t, file, ""); time.Sleep(settling / 2); writeID(t, file, otherID) },
	} {
		t.Run(name, func(t *testing.T) {
			writeID(t, file, oneID)
			written := make(chan struct{})
			time.AfterFunc(settling/2, func() { meanwhile(); close(written) })
			k, err := keep(new(shelf), "default")
			if err != nil {
				t.Fatal(err)
			}
			<-written
			if want := path.Join("download_token", otherID, "default"); k.prefix != want {
				t.Errorf("kept in %s, not in %s", k.prefix, want)
			}
		})
	}
	t.Run("long ago", func(t *testing.T) {
		makeOld(t, file)
		began := time.Now()
		if _, err := keep(new(shelf), "default"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > settling/2 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestInstanceIDThatIsNone(t *testing.T) {
	file := ownID(t)
	writeID(t, file, "nonsense")
	makeOld(t, file)
	if k, err := keep(new(shelf), "default"); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("kept in %q, %v", k.prefix, err)
	}
}

// TestInstanceIDThatCannotBeWritten: nothing is kept, and nobody is told that it
// was.
func TestInstanceIDThatCannotBeWritten(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	if err := os.Symlink("nowhere", home); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_DATA_HOME", home)
	s := new(shelf)
	k, err := keep(s, "default")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.store(keptMarks, []byte("x")); err == nil {
		t.Error("stored under an ID that nobody will know")
	}
	if len(s.values) != 0 {
		t.Errorf("stored: %v", s.values)
	}
}

// TestFileStorage keeps values in files, as Caddy does by default.
func TestFileStorage(t *testing.T) {
	k := kept{storage: &certmagic.FileStorage{Path: t.TempDir()}, prefix: "a/b"}
	if b, err := k.load(keptMarks); b != nil || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	for _, step := range []func() error{k.forget, func() error { return k.remove(keptMarks) }} {
		if err := step(); err != nil {
			t.Fatalf("without anything: %v", err)
		}
	}
	for _, value := range []string{"one", "", "another"} {
		if err := k.store(keptMarks, []byte(value)); err != nil {
			t.Fatal(err)
		}
		if b, err := k.load(keptMarks); string(b) != value || b == nil || err != nil {
			t.Fatalf("%q, %v", b, err)
		}
	}
	if err := k.store(keptSnapshot, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := k.forget(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{keptMarks, keptSnapshot} {
		if b, err := k.load(name); b != nil || err != nil {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}
