package memory

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/certmagic"
)

// shelf is a storage in memory that fails when it is told to.
type shelf struct {
	mu     sync.Mutex
	values map[string][]byte

	readOnly  bool // changes nothing and says so
	full      bool // takes nothing, but gives away
	forgetful bool // changes what it is asked to, and says that it failed
	down      bool // answers nothing
}

var errShelf = errors.New("shelf: input/output error")

func (s *shelf) Store(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readOnly || s.full || s.down {
		return errShelf
	}
	if s.values == nil {
		s.values = make(map[string][]byte)
	}
	s.values[key] = value
	return s.forgot()
}

func (s *shelf) setReadOnly(is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readOnly = is
}

func (s *shelf) forgot() error {
	if s.forgetful {
		return errShelf
	}
	return nil
}

func (s *shelf) Load(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errShelf
	}
	value, ok := s.values[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return value, nil
}

func (s *shelf) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readOnly || s.down {
		return errShelf
	}
	delete(s.values, key)
	return s.forgot()
}

func (s *shelf) copied() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values)
}

func (s *shelf) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[s.kept().key(name)] != nil
}

// kept is where a store keeps its values on this shelf.
func (s *shelf) kept() kept { return kept{storage: s, prefix: "download_token/instance/default"} }

func (s *shelf) Exists(ctx context.Context, key string) bool {
	_, err := s.Load(ctx, key)
	return err == nil
}

func (*shelf) Lock(context.Context, string) error   { return nil }
func (*shelf) Unlock(context.Context, string) error { return nil }

func (s *shelf) List(_ context.Context, prefix string, _ bool) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errShelf
	}
	folders := map[string]bool{}
	for key := range s.values {
		if rest, below := strings.CutPrefix(key, prefix+"/"); below {
			name, _, _ := strings.Cut(rest, "/")
			folders[prefix+"/"+name] = true
		}
	}
	return slices.Sorted(maps.Keys(folders)), nil
}

func (*shelf) Stat(context.Context, string) (certmagic.KeyInfo, error) {
	return certmagic.KeyInfo{}, fs.ErrNotExist
}

var _ certmagic.Storage = (*shelf)(nil)
