package downloadtoken

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
)

// provisionEvents finds the app that hands out events.
func (h *Handler) provisionEvents(ctx caddy.Context) error {
	app, err := ctx.App("events")
	if err != nil {
		return err
	}
	h.ctx, h.events = ctx, app.(*caddyevents.App)
	h.app.OnDelivered(h.tellDelivered)
	return nil
}

// The events, which are caught by these names.
const (
	eventDenied    = "download_token_denied"
	eventSpent     = "download_token_spent"
	eventDelivered = "download_token_delivered"
)

// emits reports whether anything would see an event. If not, its data need not be made.
func (h *Handler) emits(event string) bool { return h.events != nil && h.events.ShouldEmit(event) }

// emit hands out an event. Its handlers are waited for, as Caddy does with all of its own.
func (h *Handler) emit(event string, data map[string]any) { h.events.Emit(h.ctx, event, data) }
