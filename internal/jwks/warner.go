package jwks

import (
	"errors"
	"sync"
)

// A warner says a thing once, and again only if it was gone in between.
type warner struct {
	warn func(message, kid string)

	mu      sync.Mutex
	said    map[topic]map[complaint]bool
	failing string
}

type topic int

const (
	aboutKeys topic = iota // of the set by itself
	aboutRing              // of the set among others
)

// report takes all complaints of a topic that hold now.
func (w *warner) report(about topic, complaints []complaint) {
	for _, c := range w.news(about, complaints) {
		w.say(c)
	}
}

func (w *warner) news(about topic, complaints []complaint) []complaint {
	w.mu.Lock()
	defer w.mu.Unlock()
	holds := make(map[complaint]bool, len(complaints))
	var news []complaint
	for _, c := range complaints {
		if !holds[c] && !w.said[about][c] {
			news = append(news, c)
		}
		holds[c] = true
	}
	if w.said == nil {
		w.said = make(map[topic]map[complaint]bool)
	}
	w.said[about] = holds
	return news
}

// reportFailure takes the outcome of each fetch, nil for success.
func (w *warner) reportFailure(err error) {
	problem := ""
	if failure := (*readError)(nil); errors.As(err, &failure) {
		problem = failure.problem
	}
	w.mu.Lock()
	news := problem != w.failing
	w.failing = problem
	w.mu.Unlock()
	if news && err != nil {
		w.say(complaint{"key set " + err.Error() + "; the keys read before stay in use", ""})
	}
}

func (w *warner) say(c complaint) {
	if w.warn != nil {
		w.warn(c.message, c.kid)
	}
}
