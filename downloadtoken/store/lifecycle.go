package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
)

// listen has the app told what Caddy does not tell by a method.
func (a *App) listen(ctx caddy.Context) error {
	app, err := ctx.App("events")
	if err != nil {
		return err
	}
	events := app.(*caddyevents.App)
	return errors.Join(
		events.On("started", onEvent{a.complete}),
		events.On("stopping", onEvent{a.stopping}),
	)
}

// onEvent does something when Caddy itself, and no module, has an event.
type onEvent struct{ do func() error }

// Handle implements caddyevents.Handler.
func (o onEvent) Handle(_ context.Context, event caddy.Event) error {
	if event.Origin() != nil {
		return nil
	}
	return o.do()
}

// complete is told when all apps of the configuration have started.
func (a *App) complete() error {
	apps.complete(a)
	return nil
}

// stopping is told when the configuration is about to stop. At the end of the
// process, downloads in flight may hold the stores for longer than the service
// manager waits, so they are told before.
func (a *App) stopping() error {
	if !caddy.Exiting() {
		return nil
	}
	var errs []error
	for name := range a.open {
		if err := a.modules[name].Stopping(); err != nil {
			errs = append(errs, fmt.Errorf("store %s: %w", name, err))
		}
	}
	a.endFollowed()
	return errors.Join(errs...)
}

// Stop hides the stores from the admin API; they are let go of by the Cleanup
// of their modules.
func (a *App) Stop() error {
	a.endFollowed()
	apps.stop(a)
	return nil
}

// Cleanup does what Stop does: Caddy stops no app of a configuration that fails
// after all have started.
func (a *App) Cleanup() error {
	apps.stop(a)
	return nil
}

// Superseded reports whether the configuration of the app has been replaced: a
// newer one has started whole, or this one has stopped. A request that waited
// asks, because it is the configuration that runs now that has to judge it.
func (a *App) Superseded() bool { return apps.superseded(a) }

// Interface guards
var (
	_ caddy.CleanerUpper  = (*App)(nil)
	_ caddyevents.Handler = onEvent{}
)
