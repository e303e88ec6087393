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

// emit hands out the event download_token_<name>. If nothing would see it, data is not
// asked for. Handlers of events are waited for, as Caddy does with all of its own.
func (h *Handler) emit(name string, data func() map[string]any) {
	name = "download_token_" + name
	if h.events != nil && h.events.ShouldEmit(name) {
		h.events.Emit(h.ctx, name, data())
	}
}
