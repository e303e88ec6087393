package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// life is what happens to one app: start, then perhaps complete, and stop, by
// Stop and Cleanup or by one of them.
var lives = []string{"", "s", "sw", "sS", "swS", "sSC", "sC", "swC", "swSC", "C"}

// TestRegistryInEveryOrder runs the lives of three apps, interleaved in every
// way, and compares the registry after each step with what the history says.
func TestRegistryInEveryOrder(t *testing.T) {
	histories := 0
	for _, one := range lives {
		for _, two := range lives {
			for _, three := range lives {
				if len(one)+len(two)+len(three) > 9 { // three of 3, or 4 and 4 and 1: all pairs are in
					continue
				}
				interleave([]string{one, two, three}, nil, func(history []string) {
					histories++
					if !t.Failed() {
						replay(t, history)
					}
				})
			}
		}
	}
	if histories < 10_000 {
		t.Errorf("only %d histories", histories)
	}
}

// interleave calls do with every order of the steps of the lives, each written as
// the number of its app and what happens.
func interleave(left, history []string, do func([]string)) {
	done := true
	for i, life := range left {
		if life == "" {
			continue
		}
		done = false
		rest := slices.Clone(left)
		rest[i] = life[1:]
		interleave(rest, append(slices.Clip(history), fmt.Sprint(i)+life[:1]), do)
	}
	if done {
		do(history)
	}
}

func replay(t *testing.T, history []string) {
	t.Helper()
	var r registry
	all := []*App{{}, {}, {}}
	for i, step := range history {
		a := all[step[0]-'0']
		switch step[1] {
		case 's':
			r.start(a)
		case 'w':
			r.complete(a)
		case 'S', 'C':
			r.stop(a)
		}
		past := history[:i+1]
		if got, want := slices.Index(all, r.running()), wantRunning(past); got != want {
			t.Fatalf("%v: %d is running, want %d", past, got, want)
		}
		registered := 0
		for n, a := range all {
			if got, want := r.superseded(a), wantSuperseded(past, n); got != want {
				t.Fatalf("%v: %d superseded %v, want %v", past, n, got, want)
			}
			if isThere := slices.Contains(r.all(), a); isThere != alive(past, n) {
				t.Fatalf("%v: %d is registered %v", past, n, isThere)
			} else if isThere {
				registered++
			}
		}
		if all := r.all(); len(all) != registered || registered > 0 && all[0] != r.running() {
			t.Fatalf("%v: %d apps, want %d, the running one first", past, len(all), registered)
		}
	}
}

func happened(past []string, n int, what string) bool {
	return slices.ContainsFunc(past, func(step string) bool { return step[0] == byte('0'+n) && strings.Contains(what, step[1:]) })
}

func alive(past []string, n int) bool { return happened(past, n, "s") && !happened(past, n, "SC") }

// wantRunning reads the history backwards for the newest that is whole, and then
// forwards for the oldest.
func wantRunning(past []string) int {
	for _, step := range slices.Backward(past) {
		if n := int(step[0] - '0'); step[1] == 's' && alive(past, n) && happened(past, n, "w") {
			return n
		}
	}
	for _, step := range past {
		if n := int(step[0] - '0'); step[1] == 's' && alive(past, n) {
			return n
		}
	}
	return -1
}

func wantSuperseded(past []string, n int) bool {
	if happened(past, n, "SC") {
		return true
	}
	started := slices.Index(past, fmt.Sprint(n)+"s")
	if started < 0 {
		return false
	}
	for _, step := range past[started:] {
		if other := int(step[0] - '0'); other != n && step[1] == 's' && alive(past, other) && happened(past, other, "w") {
			return true
		}
	}
	return false
}

// TestReloadsByCaddy runs what Caddy does in a reload, with each of its outcomes,
// three times in a row: whatever fails, the configuration that Caddy goes on with
// is the one that counts.
func TestReloadsByCaddy(t *testing.T) {
	type world struct {
		registry
		serving *App // what Caddy goes on with; nil: a configuration without this app
		t       *testing.T
		past    string
	}
	check := func(w *world) {
		w.t.Helper()
		if got := w.running(); got != w.serving {
			w.t.Fatalf("%s: running %p, want %p", w.past, got, w.serving)
		}
		if w.serving != nil && w.superseded(w.serving) {
			w.t.Fatalf("%s: the running one is superseded", w.past)
		}
	}
	begin := func(w *world, a *App) {
		w.start(a)
		if w.serving != nil {
			check(w)
		}
	}
	end := func(w *world, a *App) {
		w.stop(a) // Stop
		w.stop(a) // Cleanup
		if !w.superseded(a) {
			w.t.Fatalf("%s: what has stopped is not superseded", w.past)
		}
	}
	become := func(w *world, a *App) {
		if w.serving != nil {
			end(w, w.serving)
		}
		w.serving = a
		check(w)
	}
	outcomes := map[string]func(w *world, a *App){
		"fails before ours has started":    func(w *world, a *App) { w.stop(a); check(w) },
		"another app fails after ours":     func(w *world, a *App) { begin(w, a); end(w, a); check(w) },
		"fails after all have started":     func(w *world, a *App) { begin(w, a); w.complete(a); w.stop(a); check(w) },
		"succeeds":                         func(w *world, a *App) { begin(w, a); w.complete(a); become(w, a) },
		"succeeds, the event is not heard": func(w *world, a *App) { begin(w, a); become(w, a) },
		"succeeds without this app":        func(w *world, _ *App) { become(w, nil) },
	}
	for one, first := range outcomes {
		for two, second := range outcomes {
			for three, third := range outcomes {
				w := &world{t: t, past: one + "; " + two + "; " + three}
				first(w, new(App))
				second(w, new(App))
				third(w, new(App))
			}
		}
	}
}

// TestKeysStayWithTheirStores: what a key was used with counts even when the
// configurations between do not use it, until there is no app left.
func TestKeysStayWithTheirStores(t *testing.T) {
	key, other := rules.Signer{1}, rules.Signer{2}
	using := func(store string, signers ...rules.Signer) *App {
		a := &App{policies: make(map[policyKey]Policy)}
		for _, signer := range signers {
			a.policies[policyKey{store, signer}] = Policy{}
		}
		return a
	}
	var r registry
	var running *App
	replace := func(by *App) {
		r.start(by)
		r.complete(by)
		if running != nil {
			r.stop(running)
			r.stop(running)
		}
		running = by
	}
	want := func(when string, signer rules.Signer, store string, elsewhere bool) {
		t.Helper()
		if got := r.usedElsewhere(signer, store); got != elsewhere {
			t.Errorf("%s: used elsewhere than in %s: %v", when, store, got)
		}
	}
	want("at first", key, "a", false)
	replace(using("a", key, other))
	want("while it runs", key, "b", true)
	want("while it runs", key, "a", false)
	replace(using("a", other))
	want("after it ran", key, "b", true)
	want("after it ran", key, "a", false)

	failed := using("b", rules.Signer{3})
	r.start(failed)
	want("while it starts", rules.Signer{3}, "a", true)
	r.stop(failed)
	want("after it failed to start", rules.Signer{3}, "a", false)
	failed = using("b", rules.Signer{4})
	r.start(failed)
	r.complete(failed)
	r.stop(failed)
	want("after it ran for a moment", rules.Signer{4}, "a", true)

	r.stop(running)
	want("when nothing is left", key, "b", false)
}
