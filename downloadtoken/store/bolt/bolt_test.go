package bolt

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
)

func provisioned(t *testing.T, file string) (*Bolt, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	b := &Bolt{File: file}
	if err := b.Provision(ctx); err != nil {
		return nil, err
	}
	return b, b.Validate()
}

func TestFile(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("BOLT_FOLDER", folder)
	for _, file := range []string{filepath.Join(folder, "a"), "{env.BOLT_FOLDER}/a", folder + "//b/../a"} {
		b, err := provisioned(t, file)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(folder, "a"); b.Place() != want {
			t.Errorf("%s is %s, want %s", file, b.Place(), want)
		}
	}
	for file, says := range map[string]string{
		"":                        "absolute path",
		"tokens.bolt":             "absolute path",
		"./tokens.bolt":           "absolute path",
		"{env.BOLT_MISSING}/a":    "{env.BOLT_MISSING}",
		"{unknown.placeholder}/a": "{unknown.placeholder}",
	} {
		if _, err := provisioned(t, file); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", file, err)
		}
	}
}

// TestModule: configurations share the store of a file, by whatever name, and the last
// one that lets go closes it; one that never started does not touch it.
func TestModule(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.bolt")
	open := func(name string) (*Bolt, store.Handle) {
		b, err := provisioned(t, path)
		if err != nil {
			t.Fatal(err)
		}
		handle, err := b.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		return b, handle
	}
	start := func(b *Bolt) {
		if err := b.Start(); err != nil {
			t.Fatal(err)
		}
	}
	end := func(b *Bolt) {
		if err := b.Cleanup(); err != nil {
			t.Fatal(err)
		}
	}
	validated, _ := open("a")
	end(validated)
	if _, err := os.Stat(path); err == nil {
		t.Fatal("what was only validated made the file")
	}
	for range 2 {
		first, one := open("a")
		second, other := open("b")
		start(first)
		start(second)
		end(first)
		if one != other {
			t.Fatal("they do not share the store")
		}
		if _, err := other.Stats(t.Context(), life.Start); err != nil {
			t.Fatalf("one has closed the file of the other: %v", err)
		}
		end(second)
		opened(t, path).Close() // it is free again
	}
}
