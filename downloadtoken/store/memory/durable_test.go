package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// began is when the tests begin.
var began = time.Now().Truncate(time.Second)

func sec(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }

// shown is a token that was issued at that second and lives for an hour.
func token(name string, issued int) rules.Presentation {
	signer := rules.Signer{1}
	return rules.Presentation{
		Key: rules.NewKey(signer, "", name, ""), Signer: signer, Issued: sec(issued), Expires: sec(issued + 3600), Policy: "per token",
	}
}

// open starts a store that must start.
func openOn(t testing.TB, s *shelf, now int) *durable {
	t.Helper()
	m, err := begin(s.kept(), 100, sec(now), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// spend has the store honour a token, or says why not.
func (m *durable) spend(p rules.Presentation, now int) error {
	u, err := m.Admit(context.Background(), store.Query{Presentation: p}, func() time.Time { return sec(now) })
	if err != nil {
		return err
	}
	_, err = u.Commit(context.Background(), nil)
	return err
}

func wantError(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

func TestCleanStop(t *testing.T) {
	s := new(shelf)
	m := openOn(t, s, 0)
	wantError(t, m.spend(token("a", 1), 1), nil)
	wantError(t, m.Stop(), nil)
	wantError(t, m.spend(token("b", 2), 2), rules.ErrUnavailable)
	m = openOn(t, s, 3)
	if s.has(keptSnapshot) {
		t.Error("the snapshot is still there")
	}
	wantError(t, m.spend(token("a", 1), 3), rules.ErrReplayed)
	wantError(t, m.spend(token("b", 2), 3), nil)
}

func TestCrash(t *testing.T) {
	s := new(shelf)
	wantError(t, openOn(t, s, 0).spend(token("a", 10), 10), nil)
	m := openOn(t, s, 11)
	wantError(t, m.spend(token("a", 10), 11), rules.ErrUnproven)
	wantError(t, m.spend(token("b", 15), 15), rules.ErrUnproven)
	wantError(t, m.spend(token("b", 16), 16), nil)
}

// TestDamage damages every byte of what a clean stop leaves.
func TestDamage(t *testing.T) {
	s := new(shelf)
	m := openOn(t, s, 0)
	wantError(t, m.spend(token("a", 10), 10), nil)
	wantError(t, m.Revoke(context.Background(), rules.Revocation{Subject: "x"}, sec(10)), nil)
	wantError(t, m.Stop(), nil)
	saved := s.copied()
	for _, name := range []string{keptMarks, keptSnapshot, keptRevocations} {
		key := s.kept().key(name)
		whole := saved[key]
		check := func(damage string, b []byte) {
			t.Helper()
			damaged := &shelf{values: map[string][]byte{}}
			for k, v := range saved {
				damaged.values[k] = v
			}
			damaged.values[key] = b
			m, err := begin(damaged.kept(), 100, sec(11), zap.NewNop())
			if name == keptRevocations {
				if err == nil {
					t.Fatalf("%s, %s: it started", name, damage)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s, %s: %v", name, damage, err)
			}
			for _, p := range []rules.Presentation{token("a", 10), token("b", 9)} {
				if err := m.spend(p, 11); !errors.Is(err, rules.ErrUnproven) {
					t.Fatalf("%s, %s: %v", name, damage, err)
				}
			}
			wantError(t, m.spend(token("c", 17), 17), nil)
		}
		for i := range whole {
			b := append([]byte(nil), whole...)
			b[i] ^= 1 << (i % 8)
			check(fmt.Sprint("byte ", i), b)
			check(fmt.Sprint("cut at ", i), whole[:i])
		}
		check("longer", append(append([]byte(nil), whole...), 0))
	}
	// Nothing is wrong with what was saved.
	wantError(t, openOn(t, &shelf{values: saved}, 11).spend(token("b", 9), 11), nil)
}

func TestStaleSnapshot(t *testing.T) {
	s := new(shelf)
	m := openOn(t, s, 0)
	wantError(t, m.Stop(), nil)
	key := s.kept().key(keptSnapshot)
	stale := s.copied()[key]
	for name, end := range map[string]func(m *durable) error{"stopped": (*durable).Stop, "crashed": func(*durable) error { return nil }} {
		t.Run(name, func(t *testing.T) {
			m := openOn(t, s, 1)
			p := token(name, 2)
			wantError(t, m.spend(p, 2), nil)
			wantError(t, end(m), nil)
			s.values[key] = stale
			m = openOn(t, s, 3)
			wantError(t, m.spend(p, 3), rules.ErrUnproven)
			s = new(shelf)
			m = openOn(t, s, 0)
			wantError(t, m.Stop(), nil)
			stale = s.copied()[key]
		})
	}
}

func TestStorageThatCannotBeWritten(t *testing.T) {
	t.Run("at the first start", func(t *testing.T) {
		s := &shelf{readOnly: true}
		core, logged := observer.New(zapcore.WarnLevel)
		m, err := begin(s.kept(), 100, sec(0), zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		if logged.Len() != 1 {
			t.Errorf("%d warnings", logged.Len())
		}
		wantError(t, m.spend(token("a", 1), 1), nil)
		wantError(t, m.spend(token("a", 1), 1), rules.ErrReplayed)
		wantError(t, m.Revoke(context.Background(), rules.Revocation{Subject: "x"}, sec(1)), rules.ErrUnavailable)
		s.readOnly = false
		wantError(t, m.Stop(), nil)
		wantError(t, openOn(t, s, 2).spend(token("a", 1), 2), rules.ErrUnproven)
	})
	t.Run("but was", func(t *testing.T) {
		// The marks of the start are there though their writing failed. The next
		// start would take what this run honours for unused.
		s := &shelf{forgetful: true}
		if _, err := begin(s.kept(), 100, sec(0), zap.NewNop()); err == nil && s.has(keptMarks) {
			t.Fatal("it started, and left marks that are never moved forward")
		}
		s.forgetful = false
		wantError(t, openOn(t, s, 2).spend(token("a", 1), 2), rules.ErrUnproven)
	})
	t.Run("with what an earlier run left", func(t *testing.T) {
		for name, end := range map[string]func(m *durable) error{"stopped": (*durable).Stop, "crashed": func(*durable) error { return nil }} {
			s := new(shelf)
			wantError(t, end(openOn(t, s, 0)), nil)
			s.readOnly = true
			if _, err := begin(s.kept(), 100, sec(1), zap.NewNop()); err == nil {
				t.Errorf("%s: it started", name)
			}
		}
	})
	t.Run("that is full", func(t *testing.T) {
		s := new(shelf)
		m := openOn(t, s, 0)
		wantError(t, m.spend(token("a", 1), 1), nil)
		wantError(t, m.Stop(), nil)
		s.full = true
		m = openOn(t, s, 2)
		wantError(t, m.spend(token("a", 1), 2), rules.ErrReplayed)
		wantError(t, m.spend(token("b", 1), 2), nil)
		wantError(t, m.Stop(), nil)
		s.full = false
		wantError(t, openOn(t, s, 3).spend(token("b", 1), 3), rules.ErrUnproven)
	})
	t.Run("from one moment on", func(t *testing.T) {
		s := new(shelf)
		m := openOn(t, s, 0)
		core, logged := observer.New(zapcore.InfoLevel)
		m.logger = zap.New(core)
		wantError(t, m.spend(token("a", 1), 1), nil)
		s.readOnly = true
		wantError(t, m.spend(token("b", 6), 6), nil) // covered
		wantError(t, m.spend(token("c", 7), 7), rules.ErrUnavailable)
		wantError(t, m.spend(token("c", 7), 7), rules.ErrUnavailable)
		s.readOnly = false
		wantError(t, m.spend(token("c", 7), 7), nil)
		lines := logged.All() // one for each change, not for each request
		if len(lines) != 2 || lines[0].Level != zapcore.ErrorLevel || lines[1].Level != zapcore.InfoLevel {
			t.Errorf("logged %v", lines)
		}
	})
}

// TestWhatAStartSays: whoever refuses tokens that may be good says so, once.
func TestWhatAStartSays(t *testing.T) {
	const first, unclean = "no marks of an earlier run were found", "the last run did not end cleanly"
	s := new(shelf)
	said := func(want string) (m *durable) {
		t.Helper()
		core, logged := observer.New(zapcore.WarnLevel)
		m, err := begin(s.kept(), 100, sec(0), zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		lines := logged.All()
		if want == "" && len(lines) != 0 || want != "" && (len(lines) != 1 || !strings.HasPrefix(lines[0].Message, want)) {
			t.Errorf("logged %v, want %q", lines, want)
		}
		return m
	}
	said(first)
	m := said(unclean) // the first was not stopped
	wantError(t, m.Stop(), nil)
	m = said("")
	wantError(t, m.Stop(), nil)
	s.values[s.kept().key(keptMarks)] = []byte("damaged")
	said(first) // which is all that is known of them
}

// change moves the store to another storage, as a reload does.
func (m *durable) change(to *shelf) error {
	if err := m.claim(to.kept()); err != nil {
		return err
	}
	return m.move(to.kept())
}

func TestMove(t *testing.T) {
	t.Run("and back by a restart", func(t *testing.T) {
		from, to := new(shelf), new(shelf)
		m := openOn(t, from, 0)
		wantError(t, m.spend(token("a", 1), 1), nil)
		wantError(t, m.change(to), nil)
		wantError(t, m.spend(token("b", 20), 20), nil)
		// killed, and started with the configuration of before
		wantError(t, openOn(t, from, 21).spend(token("b", 20), 21), rules.ErrUnproven)
		wantError(t, openOn(t, to, 21).spend(token("b", 20), 21), rules.ErrUnproven)
	})
	t.Run("to where an earlier run stopped", func(t *testing.T) {
		from, to := new(shelf), new(shelf)
		wantError(t, openOn(t, to, 0).Stop(), nil)
		m := openOn(t, from, 1)
		wantError(t, m.claim(to.kept()), nil) // the reload fails after this
		wantError(t, m.spend(token("a", 2), 2), nil)
		wantError(t, openOn(t, to, 3).spend(token("a", 2), 3), rules.ErrUnproven)
	})
	t.Run("without being able to write before", func(t *testing.T) {
		from, to := &shelf{readOnly: true}, new(shelf)
		wantError(t, openOn(t, to, 0).Stop(), nil)
		m := openOn(t, from, 1)
		wantError(t, m.change(to), nil)
		wantError(t, m.spend(token("a", 2), 2), nil)
		wantError(t, m.Stop(), nil)
		wantError(t, openOn(t, to, 3).spend(token("a", 2), 3), rules.ErrUnproven)
	})
	t.Run("to the same", func(t *testing.T) {
		s := new(shelf)
		m := openOn(t, s, 0)
		for range 3 {
			wantError(t, m.change(s), nil)
		}
		wantError(t, m.spend(token("a", 1), 1), nil)
		wantError(t, m.change(s), nil)
		wantError(t, m.Stop(), nil)
		m = openOn(t, s, 2)
		wantError(t, m.spend(token("a", 1), 2), rules.ErrReplayed)
		wantError(t, m.spend(token("b", 1), 2), nil)
	})
	t.Run("with what was revoked", func(t *testing.T) {
		from, to := new(shelf), new(shelf)
		m := openOn(t, from, 0)
		wantError(t, m.Revoke(context.Background(), rules.Revocation{Subject: "x"}, sec(0)), nil)
		wantError(t, m.change(to), nil)
		if openOn(t, to, 1).Revoked(context.Background(), func() rules.Revocable { return rules.Revocable{Subjects: []string{"x"}} }, sec(1)) == nil {
			t.Error("not revoked any more")
		}
	})
	t.Run("from one that is down", func(t *testing.T) {
		from, to := new(shelf), new(shelf)
		core, logged := observer.New(zapcore.ErrorLevel)
		m, err := begin(from.kept(), 100, sec(0), zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		from.down = true
		wantError(t, m.change(to), nil)
		wantError(t, m.spend(token("a", 1), 1), nil)
		if logged.Len() != 1 {
			t.Errorf("%d errors", logged.Len())
		}
	})
	t.Run("to one that is read-only", func(t *testing.T) {
		from, to := new(shelf), new(shelf)
		wantError(t, openOn(t, to, 0).Stop(), nil)
		to.readOnly = true
		m := openOn(t, from, 1)
		if m.claim(to.kept()) == nil {
			t.Error("the reload does not fail")
		}
	})
}

func TestSealedStoreWritesNoMarks(t *testing.T) {
	s := new(shelf)
	m := openOn(t, s, 0)
	wantError(t, m.Stop(), nil)
	next := openOn(t, s, 1)
	wantError(t, next.spend(token("a", 10), 10), nil)
	if m.persist(rules.NewMarks(sec(0))) == nil { // one that was under way
		t.Error("the marks of the next store were overwritten")
	}
	wantError(t, openOn(t, s, 11).spend(token("a", 10), 11), rules.ErrUnproven)
}

// TestNothingIsHonouredTwice does whatever can happen to a store and its
// storages, in any order, against a model that remembers everything.
func TestNothingIsHonouredTwice(t *testing.T) {
	for range 20 { // rapid's default of 100 sequences is few for so many events
		rapid.Check(t, anyOrder)
	}
}

func anyOrder(t *rapid.T) {
	shelves := []*shelf{new(shelf), new(shelf)}
	here, now := 0, 0 // the storage that is used or was last
	var aside []byte
	var honoured []rules.Presentation
	m, err := begin(shelves[here].kept(), 3, sec(now), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Repeat(map[string]func(*rapid.T){
		"time": func(t *rapid.T) { now += rapid.IntRange(0, 7).Draw(t, "seconds") },
		"show": func(t *rapid.T) {
			name := fmt.Sprint(len(honoured))
			p := token(name, now-rapid.IntRange(0, 2).Draw(t, "age"))
			if m != nil && m.spend(p, now) == nil {
				honoured = append(honoured, p)
			}
		},
		"": func(t *rapid.T) {
			for i, p := range honoured {
				if m != nil && m.spend(p, now) == nil {
					t.Fatalf("token %d was honoured twice", i)
				}
			}
		},
		"stop": func(t *rapid.T) {
			if m != nil {
				_ = m.Stop()
			}
			m = nil
		},
		"crash": func(t *rapid.T) { m = nil },
		"start": func(t *rapid.T) {
			if m != nil {
				return
			}
			other := 1 - here
			if !shelves[other].has(keptMarks) && rapid.Bool().Draw(t, "elsewhere") {
				_ = shelves[here].kept().forget() // an operator who moves takes it along or leaves nothing
				if shelves[here].has(keptMarks) {
					return
				}
				here = other
			}
			m, _ = begin(shelves[here].kept(), 3, sec(now), zap.NewNop())
		},
		"reload": func(t *rapid.T) {
			to := rapid.IntRange(0, 1).Draw(t, "to")
			if m == nil || m.claim(shelves[to].kept()) != nil || rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
				return
			}
			from := shelves[here]
			if m.move(shelves[to].kept()) != nil {
				return
			}
			if to != here && from.has(keptMarks) && !from.readOnly && !from.full && !from.forgetful {
				t.Fatal("marks were left behind that are not moved forward any more")
			}
			here = to
		},
		"trouble": func(t *rapid.T) {
			s := shelves[here]
			rare := func(what string) bool { return rapid.IntRange(0, 3).Draw(t, what) == 0 }
			s.readOnly, s.full, s.forgetful = rare("read-only"), rare("full"), rare("forgetful")
		},
		"snapshot put aside": func(*rapid.T) {
			if b := shelves[here].values[shelves[here].kept().key(keptSnapshot)]; b != nil {
				aside = b
			}
		},
		"snapshot put back": func(*rapid.T) {
			if aside != nil && m == nil {
				_ = shelves[here].kept().store(keptSnapshot, aside)
			}
		},
	})
}

// TestAKeyThatMovesByARestart: a token that was used with one store is not honoured
// by another, to which a later configuration has moved its key.
func TestAKeyThatMovesByARestart(t *testing.T) {
	for name, end := range map[string]func(m *durable) error{"stopped": (*durable).Stop, "crashed": func(*durable) error { return nil }} {
		t.Run(name, func(t *testing.T) {
			s := new(shelf)
			in := func(store string, now int) *durable {
				m, err := begin(kept{storage: s, prefix: "download_token/instance/" + store}, 100, sec(now), zap.NewNop())
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
			wantError(t, end(in("b", 0)), nil) // b has been there before
			a := in("a", 0)
			wantError(t, a.spend(token("x", 10), 10), nil)
			wantError(t, end(a), nil)
			b := in("b", 20)
			wantError(t, b.spend(token("x", 10), 20), rules.ErrUnproven)
			wantError(t, b.spend(token("y", 20), 20), nil)
			wantError(t, end(b), nil)
			a = in("a", 30) // and back
			wantError(t, a.spend(token("y", 20), 30), rules.ErrUnproven)
			wantError(t, a.spend(token("z", 30), 30), nil)
			other := token("x", 10)
			other.Signer, other.Key = rules.Signer{2}, rules.NewKey(rules.Signer{2}, "", "x", "")
			wantError(t, a.spend(other, 30), nil) // nobody else's tokens are held to it
		})
	}
	t.Run("marks that cannot be read", func(t *testing.T) {
		s := new(shelf)
		wantError(t, openOn(t, s, 0).Stop(), nil)
		s.values["download_token/instance/a/marks"] = bytes.Repeat([]byte{1}, 100)
		if _, err := begin(s.kept(), 100, sec(1), zap.NewNop()); err == nil {
			t.Error("it started")
		}
	})
}
