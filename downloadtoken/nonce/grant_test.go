package nonce

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var opened = time.Unix(1_800_000_000, 0)

func terms(size int64) Terms {
	return Terms{ETag: `"e"`, Size: size, Copies: 2, Ends: opened.Add(time.Hour)}
}

func TestBudgetOfTerms(t *testing.T) {
	for _, tt := range []struct{ size, copies, want int64 }{
		{1, 1, 1}, {100, 1, 125}, {100, 2, 225}, {10 << 20, 2, 21 << 20}, {4 << 20, 1, 5 << 20}, {100, 0, 125},
	} {
		if got := (Terms{Size: tt.size, Copies: int(tt.copies)}).Budget(); got != tt.want {
			t.Errorf("size %d, copies %d: %d, want %d", tt.size, tt.copies, got, tt.want)
		}
	}
}

func TestGrantEnds(t *testing.T) {
	var all Grants
	k := NewGrantKey(Key{1}, "/a", "client")
	g := all.Open(k, terms(100), opened)
	if g == nil {
		t.Fatal("no grant")
	}
	for name, other := range map[string]GrantKey{
		"token": NewGrantKey(Key{2}, "/a", "client"), "path": NewGrantKey(Key{1}, "/b", "client"),
		"client": NewGrantKey(Key{1}, "/a", "other"), "shifted": NewGrantKey(Key{1}, "/ac", "lient"),
	} {
		if _, ok := all.Find(other, opened); ok {
			t.Errorf("found with another %s", name)
		}
	}
	if _, ok := all.Find(k, opened.Add(time.Hour-1)); !ok {
		t.Error("closed before the window ended")
	}
	drawn := g.Draw(60)
	g.Wrote(drawn, 0, 60, opened)
	g.Wrote(g.Draw(39), 61, 39, opened)
	if _, ok := all.Find(k, opened.Add(10*time.Minute)); !ok {
		t.Error("closed though a byte is missing")
	}
	g.Wrote(g.Draw(1), 60, 1, opened)
	if _, ok := all.Find(k, opened.Add(Afterglow-time.Second)); !ok {
		t.Error("closed right after the last byte")
	}
	if _, ok := all.Find(k, opened.Add(Afterglow)); ok {
		t.Error("open a minute after the last byte")
	}
}

func TestGrantJoin(t *testing.T) {
	var all Grants
	g := all.Open(NewGrantKey(Key{1}, "/a", ""), terms(100), opened) // joins
	for range MaxConnections - 1 {
		if err := g.Join(context.Background(), opened); err != nil {
			t.Fatal(err)
		}
	}
	gone, end := context.WithCancel(context.Background())
	end()
	if err := g.Join(gone, opened); !errors.Is(err, ErrInUse) {
		t.Errorf("one too many: %v", err)
	}
	g.Leave()
	if err := g.Join(gone, opened); err != nil {
		t.Errorf("a free connection: %v", err)
	}
	if err := g.Join(gone, opened.Add(time.Hour)); !errors.Is(err, ErrReplayed) {
		t.Errorf("after the window: %v", err)
	}
	g.Leave()
	for range MaxRequests {
		if g.Join(gone, opened) == nil {
			g.Leave()
		}
	}
	if err := g.Join(gone, opened); !errors.Is(err, ErrReplayed) {
		t.Errorf("after the last request: %v", err)
	}
}

// TestGrantAgainstModel draws and settles at random; never is more written than
// the budget, and completeness is noticed exactly when all was sent.
func TestGrantAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 400).Draw(t, "size")
		terms := terms(size)
		terms.Copies = rapid.IntRange(1, 4).Draw(t, "copies")
		var all Grants
		g := all.Open(GrantKey{}, terms, opened)
		sent := make([]bool, size)
		missing, total := size, int64(0)
		type draw struct{ drawn, offset int64 }
		var open []draw
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "draw") {
				offset := rapid.Int64Range(0, size-1).Draw(t, "offset")
				if n := g.Draw(rapid.Int64Range(1, size-offset).Draw(t, "n")); n > 0 {
					open = append(open, draw{n, offset})
				}
				continue
			}
			if len(open) == 0 {
				continue
			}
			d := open[0]
			open = open[1:]
			written := rapid.Int64Range(0, d.drawn).Draw(t, "written")
			g.Wrote(d.drawn, d.offset, written, opened)
			total += written
			for i := d.offset; i < d.offset+written; i++ {
				if !sent[i] {
					sent[i] = true
					missing--
				}
			}
			if g.complete != (missing == 0) {
				t.Fatalf("complete %v with %d missing", g.complete, missing)
			}
		}
		outstanding := int64(0)
		for _, d := range open {
			outstanding += d.drawn
		}
		if total+outstanding > terms.Budget() || g.left != terms.Budget()-total-outstanding {
			t.Fatalf("sent %d, drawn %d, left %d, budget %d", total, outstanding, g.left, terms.Budget())
		}
	})
}

func TestGrantRace(t *testing.T) {
	var all Grants
	g := all.Open(GrantKey{}, terms(1<<20), opened)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var total int64
	for range 32 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for offset := int64(0); ; offset += 1000 {
				n := g.Draw(1000)
				if n == 0 {
					return
				}
				g.Wrote(n, offset%(1<<20), (n+1)/2, opened)
				mu.Lock()
				total += (n + 1) / 2
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	if budget := g.Terms().Budget(); total > budget || total < budget-32*1000 {
		t.Errorf("%d of %d", total, budget)
	}
}

func TestGrantsSurviveACleanRestart(t *testing.T) {
	m := NewMemory(MemoryOptions{Start: opened})
	k := NewGrantKey(Key{1}, "/a", "c")
	g := m.Grants().Open(k, terms(1000), opened)
	g.Wrote(g.Draw(300), 0, 300, opened)
	g.Wrote(g.Draw(300), 500, 300, opened)
	g.Draw(100) // and nobody is there to give it back
	restart := func() *Memory {
		next := NewMemory(MemoryOptions{Start: opened.Add(time.Second)})
		if err := next.Restore(m.Seal(opened), opened); err != nil {
			t.Fatal(err)
		}
		return next
	}
	if _, ok := restart().Grants().Find(k, opened); ok {
		t.Error("restored while a connection draws on it")
	}
	if _, ok := m.Grants().Find(k, opened); ok {
		t.Error("found in a store that is sealed")
	}
	g.Leave()
	next := restart()
	restored, ok := next.Grants().Find(k, opened)
	if !ok {
		t.Fatal("lost")
	}
	if restored.left != g.left || restored.Terms().ETag != `"e"` || restored.Terms().Size != 1000 || fmt.Sprint(restored.sent) != fmt.Sprint(g.sent) || restored.ends != g.ends {
		t.Errorf("%+v, want %+v", restored, g)
	}
}

func TestGrantsAreBounded(t *testing.T) {
	var all Grants
	for i := range maxGrants + 10 {
		g := all.Open(NewGrantKey(Key{}, fmt.Sprint(i), ""), terms(1), opened)
		if (g == nil) != (i >= maxGrants) {
			t.Fatalf("grant %d: %v", i, g)
		}
	}
	later := opened.Add(2 * time.Hour)
	for i := range maxGrants {
		t := terms(1)
		t.Ends = later.Add(time.Hour)
		all.Open(NewGrantKey(Key{}, fmt.Sprint("later", i), ""), t, later)
	}
	if n := all.Len(later); n < maxGrants/2 {
		t.Errorf("only %d: closed grants are in the way", n)
	}
}

func BenchmarkGrantDraw(b *testing.B) {
	var all Grants
	g := all.Open(GrantKey{}, Terms{ETag: `"e"`, Size: 1 << 60, Copies: 1, Ends: opened.Add(time.Hour)}, opened)
	b.ReportAllocs()
	offset := int64(0)
	for b.Loop() {
		n := g.Draw(MaxChunk)
		g.Wrote(n, offset, n, opened)
		offset += n
	}
}

func BenchmarkGrantMemory(b *testing.B) {
	const n = 50_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var all Grants
		for i := range n {
			g := all.Open(NewGrantKey(Key{}, fmt.Sprint(i), ""), terms(1<<20), opened)
			g.Wrote(g.Draw(1000), 0, 1000, opened)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/grant")
		runtime.KeepAlive(&all)
	}
}
