// Package downloads follows one-time downloads from the request that used the token up to
// the end of the last one that continues it, and tells then what became of them.
//
// It lives as long as the process, and knows what this process has sent: of a download
// that several servers share, each tells its part.
package downloads

import (
	"sync"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// Report is what became of a download. It holds no token.
type Report struct {
	Fingerprint string // of the token
	Path        string // of the request
	Subject     string // who the token was for; "" if it does not say

	Size     int64         // of the file, in bytes; negative: not known
	Sent     int64         // bytes that were handed to the server
	Distinct int64         // how many bytes of the file they were, at least
	Complete bool          // every byte of the file was among them
	Duration time.Duration // from the use of the token to the end of the last request
}

// Answer is what one request has sent.
type Answer struct {
	First int64 // where in the file that begins
	Sent  int64 // bytes
	Size  int64 // of the file; negative: not known
	Whole bool  // the answer was sent to its end
}

// Single is the report of a download that is one request.
func Single(about Report, a Answer, took time.Duration) Report {
	d := Download{about: about}
	d.about.Size = -1
	d.add(a)
	d.about.Duration = took
	return d.report()
}

// Key finds a download that may be continued.
type Key struct {
	Store string
	Grant rules.GrantKey
}

// Set is the downloads that may be continued. The zero value is ready for use.
type Set struct {
	// Changed is told of each that begins (by 1) and each that has ended (by -1), by
	// the name of its store. It must not block. Default: none.
	Changed func(store string, by int)

	// Ended is told of each that has ended, once. Required.
	Ended func(Report)

	mu   sync.Mutex
	open map[Key]*Download
}

// Download is one that may be continued.
type Download struct {
	set *Set
	key Key

	// guarded by set
	about Report
	began time.Time
	sent  spans
	whole bool // one answer was sent to its end
	users int
	over  bool // nothing more may join
	timer *time.Timer
}

// Join begins a download, or continues it until its window ends. The caller must Leave.
func (s *Set) Join(key Key, about Report, now, ends time.Time) *Download {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.open[key]
	if !ok {
		d = &Download{set: s, key: key, about: about, began: now}
		d.about.Size = -1
		if s.open == nil {
			s.open = make(map[Key]*Download)
		}
		s.open[key] = d
		d.timer = time.AfterFunc(ends.Sub(now), d.end)
		s.changed(key, 1)
	}
	d.users++
	return d
}

func (s *Set) changed(key Key, by int) {
	if s.Changed != nil {
		s.Changed(key.Store, by)
	}
}

// Leave ends one request of the download. usedUp: no other can join, unless one that is
// under way gives bytes back.
func (d *Download) Leave(a Answer, usedUp bool, now time.Time) {
	d.set.mu.Lock()
	d.add(a)
	d.about.Duration = now.Sub(d.began)
	d.users--
	d.settle(usedUp)
}

// end is called when the window has ended.
func (d *Download) end() {
	d.set.mu.Lock()
	d.over = true
	d.settle(false)
}

// settle unlocks the set, and tells if that was the end.
func (d *Download) settle(usedUp bool) {
	if d.users > 0 || !d.over && !usedUp || d.set.open[d.key] != d {
		d.set.mu.Unlock()
		return
	}
	delete(d.set.open, d.key)
	d.timer.Stop()
	d.set.changed(d.key, -1)
	report := d.report()
	d.set.mu.Unlock()
	d.set.Ended(report)
}

// End ends all: no store is there any more that could continue them. Those with a request
// under way end with it.
func (s *Set) End() {
	s.mu.Lock()
	all := make([]*Download, 0, len(s.open))
	for _, d := range s.open {
		all = append(all, d)
	}
	s.mu.Unlock()
	for _, d := range all {
		d.end()
	}
}

func (d *Download) add(a Answer) {
	d.about.Size = max(d.about.Size, a.Size) // an answer without the file does not know it
	d.about.Sent += a.Sent
	d.sent.add(a.First, a.First+a.Sent)
	d.whole = d.whole || a.Whole
}

func (d *Download) report() Report {
	r := d.about
	r.Distinct = d.sent.length()
	r.Complete = r.Distinct == r.Size || r.Size < 0 && d.whole
	return r
}
