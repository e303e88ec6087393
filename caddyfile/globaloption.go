package caddyfile

import (
	"encoding/json"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
)

// storeNamespace is where the types of stores are.
const storeNamespace = "download_token.stores."

// parseGlobalOption sets up the app from Caddyfile tokens. Syntax:
//
//	{
//		download_token {
//			store [<name>] <type> [<args>...] {
//				...
//			}
//		}
//	}
//
// Without a name the store is the one that is used by default.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // consume option name
	if existing != nil {
		return nil, d.Err("download_token: the global option is specified more than once; put all stores into one block")
	}
	if d.NextArg() {
		return nil, d.Errf("download_token: unexpected argument '%s'; stores go into a block", d.Val())
	}
	app := &store.App{StoresRaw: make(map[string]json.RawMessage)}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "store" {
			return nil, d.Errf("download_token: unrecognized global subdirective '%s'; it has only store", d.Val())
		}
		name, raw, err := parseStore(d)
		if err != nil {
			return nil, err
		}
		if _, ok := app.StoresRaw[name]; ok {
			return nil, d.Errf("store: %s is defined more than once", name)
		}
		app.StoresRaw[name] = raw
	}
	return httpcaddyfile.App{Name: "download_token", Value: caddyconfig.JSON(app, nil)}, nil
}

// storeTypes lists the types that there are.
func storeTypes() string {
	var names []string
	for _, info := range caddy.GetModules(strings.TrimSuffix(storeNamespace, ".")) {
		names = append(names, info.ID.Name())
	}
	return strings.Join(names, ", ")
}

// parseStore reads one store; its type is a module that reads the rest.
func parseStore(d *caddyfile.Dispenser) (string, json.RawMessage, error) {
	name := store.DefaultName
	if !d.NextArg() {
		return "", nil, usage(d, "store", "store memory")
	}
	if _, err := caddy.GetModule(storeNamespace + d.Val()); err != nil {
		name = d.Val()
		if !d.NextArg() {
			return "", nil, d.Errf("store: there is no type '%s'; write one of %s", name, storeTypes())
		}
		if _, err := caddy.GetModule(storeNamespace + d.Val()); err != nil {
			return "", nil, d.Errf("store: neither '%s' nor '%s' is a type; write one of %s, alone or behind a name", name, d.Val(), storeTypes())
		}
	}
	kind := d.Val()
	module, err := caddyfile.UnmarshalModule(d, storeNamespace+kind)
	if err != nil {
		return "", nil, err
	}
	return name, caddyconfig.JSONModuleObject(module, "type", kind, nil), nil
}
