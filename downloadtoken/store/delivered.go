package store

import (
	"time"

	"github.com/caddy-download-token/caddy-download-token/internal/downloads"
)

// followed are the one-time downloads of this process that may be continued. They outlive
// the configuration in which they began.
var followed = downloads.Set{
	Changed: func(store string, by int) { grantsOpen.WithLabelValues(store).Add(float64(by)) },
	Ended:   func(r downloads.Report) { deliver(r, apps.running(), apps.lastRunning()) },
}

// Follow counts what a request sends of the download that a grant of the named store
// continues, until it leaves.
func (a *App) Follow(store string, grant Grant, about downloads.Report, now time.Time) *downloads.Download {
	terms := grant.Terms()
	return followed.Join(downloads.Key{Store: store, Grant: terms.Key}, about, now, terms.Ends)
}

// OnDelivered has f told of each one-time download that ends while the configuration
// runs. Of several functions the last one counts.
func (a *App) OnDelivered(f func(downloads.Report)) { a.delivered = f }

// Delivered tells that a one-time download has ended that no other request can continue.
func (a *App) Delivered(r downloads.Report) { deliver(r, apps.running(), a) }

// deliver tells the first of these configurations that can be told.
func deliver(r downloads.Report, to ...*App) {
	for _, a := range to {
		if a != nil && a.delivered != nil {
			a.delivered(r)
			return
		}
	}
}

// endFollowed ends all downloads if no other configuration could continue them.
func (a *App) endFollowed() {
	if apps.isLast(a) {
		followed.End()
	}
}
