package downloads

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestSpansAgainstModel: what is counted as distinct is what a map of bytes has.
func TestSpansAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 60
		var s spans
		model := make(map[int64]bool)
		for range rapid.IntRange(0, 30).Draw(t, "parts") {
			first := rapid.Int64Range(0, size).Draw(t, "first")
			end := rapid.Int64Range(first, size).Draw(t, "end")
			s.add(first, end)
			for b := first; b < end; b++ {
				model[b] = true
			}
			if s.length() != int64(len(model)) {
				t.Fatalf("%v has %d bytes, want %d", s, s.length(), len(model))
			}
			for i := 1; i < len(s); i++ {
				if s[i-1].end >= s[i].first {
					t.Fatalf("%v touch", s)
				}
			}
		}
	})
}

func TestSpansAreBounded(t *testing.T) {
	var s spans
	for i := range int64(3 * maxSpans) {
		s.add(2*i, 2*i+1)
	}
	if len(s) != maxSpans || s.length() != maxSpans {
		t.Errorf("%d spans of %d bytes", len(s), s.length())
	}
	s.add(0, 6*maxSpans)
	if len(s) != 1 || s.length() != 6*maxSpans {
		t.Errorf("%d spans of %d bytes", len(s), s.length())
	}
}

func TestSingle(t *testing.T) {
	for name, tt := range map[string]struct {
		answer   Answer
		complete bool
	}{
		"whole":                     {Answer{Sent: 10, Size: 10, Whole: true}, true},
		"empty":                     {Answer{Size: 0, Whole: true}, true},
		"broken off":                {Answer{Sent: 9, Size: 10, Whole: true}, false}, // file_server does not say so
		"a part":                    {Answer{First: 1, Sent: 9, Size: 10, Whole: true}, false},
		"without a size":            {Answer{Sent: 10, Size: -1, Whole: true}, true},
		"without a size, cut off":   {Answer{Sent: 10, Size: -1}, false},
		"nothing was sent":          {Answer{Size: -1}, false},
		"sent, and the site failed": {Answer{Sent: 10, Size: 10}, true},
	} {
		r := Single(Report{Fingerprint: "f"}, tt.answer, time.Second)
		if r.Complete != tt.complete || r.Sent != tt.answer.Sent || r.Distinct != tt.answer.Sent || r.Size != tt.answer.Size ||
			r.Fingerprint != "f" || r.Duration != time.Second {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// followed is a set that notes what it tells.
type followed struct {
	Set
	mu    sync.Mutex
	open  int
	ended []Report
}

func newFollowed() *followed {
	f := new(followed)
	f.Changed = func(_ string, by int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open += by
	}
	f.Ended = func(r Report) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ended = append(f.ended, r)
	}
	return f
}

func (f *followed) join(key string) *Download {
	return f.Join(Key{Store: key}, Report{Path: key}, time.Now(), time.Now().Add(time.Hour))
}

// want checks what was told so far, how much was sent of each, and returns the last of it.
func (f *followed) want(t *testing.T, open int, sent ...int64) (last Report) {
	t.Helper()
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open != open || len(f.ended) != len(sent) {
		t.Fatalf("%d open, want %d; told %+v, want %v", f.open, open, f.ended, sent)
	}
	for i, n := range sent {
		if f.ended[i].Sent != n {
			t.Errorf("told %+v, want %v", f.ended, sent)
		}
		last = f.ended[i]
	}
	return last
}

// TestDownloadsEnd: once for each, when nothing can continue it and nothing does.
func TestDownloadsEnd(t *testing.T) {
	half := func(first int64) Answer { return Answer{First: first, Sent: 5, Size: 10, Whole: true} }
	ending := func(name string, test func(t *testing.T, f *followed)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, newFollowed()) }) })
	}
	ending("its window", func(t *testing.T, f *followed) {
		f.join("a").Leave(half(0), false, time.Now())
		time.Sleep(time.Minute)
		d := f.join("a")
		time.Sleep(time.Minute)
		d.Leave(half(5), false, time.Now())
		d = f.join("a")
		d.Leave(Answer{Size: -1}, false, time.Now()) // such as 304
		f.join("b").Leave(half(0), false, time.Now())
		f.want(t, 2)
		time.Sleep(58 * time.Minute)
		if r := f.want(t, 1, 10); !r.Complete || r.Distinct != 10 || r.Path != "a" || r.Duration != 2*time.Minute || r.Size != 10 {
			t.Errorf("%+v", r)
		}
		time.Sleep(2 * time.Minute)
		if r := f.want(t, 0, 10, 5); r.Complete {
			t.Errorf("%+v", r)
		}
	})
	ending("with the request that outlasts its window", func(t *testing.T, f *followed) {
		d := f.join("a")
		time.Sleep(2 * time.Hour)
		f.want(t, 1)
		d.Leave(half(0), false, time.Now())
		f.want(t, 0, 5)
	})
	ending("when its budget is used up and no request is under way", func(t *testing.T, f *followed) {
		d, other := f.join("a"), f.join("a")
		d.Leave(half(0), true, time.Now())
		f.want(t, 1)
		other.Leave(half(0), true, time.Now())
		if r := f.want(t, 0, 10); r.Distinct != 5 || r.Complete {
			t.Errorf("%+v", r)
		}
		time.Sleep(2 * time.Hour)
		f.want(t, 0, 10)
	})
	ending("not, when a request gives bytes back", func(t *testing.T, f *followed) {
		d, other := f.join("a"), f.join("a")
		d.Leave(half(0), true, time.Now())
		other.Leave(half(0), false, time.Now())
		f.want(t, 1)
		f.End()
	})
	ending("when the stores close", func(t *testing.T, f *followed) {
		f.join("a").Leave(half(0), false, time.Now())
		d := f.join("b")
		f.End()
		f.want(t, 1, 5)
		d.Leave(half(0), false, time.Now())
		f.want(t, 0, 5, 5)
		f.End()
		f.want(t, 0, 5, 5)
	})
}
