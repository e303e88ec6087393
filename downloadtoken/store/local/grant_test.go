package local

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// forFile are terms for a file of that size, under a key of their own.
func forFile(name string, size int64) rules.Terms {
	return rules.Terms{
		Key: rules.NewGrantKey(rules.Key{1}, name, "client", ""), ETag: `"e"`, Size: size, Copies: 2,
		Begins: begins, Ends: begins.Add(time.Hour),
	}
}

// draw takes bytes out of a budget, which cannot fail here.
func draw(g *Grant, n int64) int64 {
	got, _ := g.Draw(context.Background(), n)
	return got
}

// TestGrantAgainstModel draws and gives back at random; never is more handed out
// than the budget.
func TestGrantAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := forFile("/a", rapid.Int64Range(1, 400).Draw(t, "size"))
		terms.Copies = rapid.IntRange(1, 4).Draw(t, "copies")
		g := newGrant(terms)
		var sent int64
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := draw(g, rapid.Int64Range(1, 400).Draw(t, "n"))
			back := rapid.Int64Range(0, n).Draw(t, "back")
			g.Return(back)
			sent += n - back
			if sent > terms.Budget() || g.Left() != terms.Budget()-sent {
				t.Fatalf("sent %d, left %d, budget %d", sent, g.Left(), terms.Budget())
			}
		}
	})
}

func TestGrantRace(t *testing.T) {
	g := newGrant(forFile("/a", 1<<20))
	var wg sync.WaitGroup
	var mu sync.Mutex
	var total int64
	for range 32 {
		wg.Go(func() {
			for {
				n := draw(g, 1000)
				if n == 0 {
					return
				}
				g.Return(n / 2)
				mu.Lock()
				total += n - n/2
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if budget := g.Terms().Budget(); total > budget || total < budget-32*1000 {
		t.Errorf("%d of %d", total, budget)
	}
}

func TestGrantsAreBounded(t *testing.T) {
	s := NewGrants()
	name := func(i int) string { return fmt.Sprint(i) }
	for i := range maxGrants + 10 {
		if g := s.Open(forFile(name(i), 1)); (g == nil) != (i >= maxGrants) {
			t.Fatalf("grant %d: %v", i, g)
		}
	}
	for _, g := range s.all { // all were downloaded
		draw(g, 1)
		g.Leave()
	}
	opened := 0
	for i := range 1000 {
		if s.Open(forFile("more"+name(i), 1)) != nil {
			opened++
		}
	}
	if opened != 1000 {
		t.Errorf("%d of 1000: finished downloads are in the way", opened)
	}
	later := begins.Add(2 * time.Hour)
	for i := range maxGrants {
		t := forFile("later"+name(i), 1)
		t.Begins, t.Ends = later, later.Add(time.Hour)
		s.Open(t)
	}
	s.forget(later, len(s.all))
	if n := len(s.all); n < maxGrants/2 {
		t.Errorf("only %d: closed grants are in the way", n)
	}
}

func BenchmarkGrantDraw(b *testing.B) {
	g := newGrant(forFile("/a", 1<<55))
	b.ReportAllocs()
	for b.Loop() {
		draw(g, maxChunk)
	}
}

func BenchmarkGrantMemory(b *testing.B) {
	const n = 50_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := NewGrants()
		for i := range n {
			draw(s.Open(forFile(fmt.Sprint(i), 1<<20)), 1000)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/grant")
		runtime.KeepAlive(&s)
	}
}
