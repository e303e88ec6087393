package downloadtoken

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// warnOfPlainLogs says which loggers write tokens down, where a site has an access log.
// It shows the encoder of each log a request with a made-up token, as clients would
// send it, and reads what comes out, so that every way to keep tokens out counts.
// Nothing of it is logged.
func warnOfPlainLogs(ctx caddy.Context, logger *zap.Logger) {
	plain := make(map[string]bool)
	for _, srv := range serversOf(ctx) {
		if srv.Logs == nil {
			continue
		}
		eachHandler(srv, func(handler caddyhttp.MiddlewareHandler, hosts []string) {
			h, ok := handler.(*Handler)
			if !ok {
				return
			}
			for _, host := range hosts {
				for _, name := range loggersOf(srv.Logs, host) {
					plain[name] = plain[name] || showsToken(ctx, name, h.madeUp(srv.Logs))
				}
			}
		})
	}
	maps.DeleteFunc(plain, func(_ string, shows bool) bool { return !shows })
	if len(plain) > 0 {
		logger.Warn("tokens get into the logs: write a log with the line format redact_jwt in its block into the global options, "+
			"and the line into the log of every site that has an output or a format of its own", zap.Strings("loggers", slices.Sorted(maps.Keys(plain))))
	}
}

// loggersOf are the names under which Caddy logs requests for the host, and errors of
// them; none if the host has no access log. An empty host is one that is not known.
func loggersOf(logs *caddyhttp.ServerLogConfig, host string) (loggers []string) {
	names, mapped := logs.LoggerNames[strings.ToLower(host)]
	if !mapped {
		for pattern, its := range logs.LoggerNames {
			if strings.Contains(pattern, "*") && (host == "" || certmagic.MatchWildcard(host, pattern)) {
				names, mapped = append(names, its...), true
			}
		}
	}
	skipped := slices.ContainsFunc(logs.SkipHosts, func(pattern string) bool { return certmagic.MatchWildcard(host, pattern) })
	if !skipped && !logs.SkipUnmappedHosts && (!mapped || host == "") {
		names = append(names, logs.DefaultLoggerName)
	}
	for _, name := range names {
		for _, logger := range []string{"http.log.access", "http.log.error"} {
			loggers = append(loggers, strings.TrimSuffix(logger+"."+name, "."))
		}
	}
	return loggers
}

// madeUpToken looks like a token. No key has signed it.
const madeUpToken = "eyJhbGciOiJub25lIn0.eyJtYWRlIjoidXAifQ.bm9ib2R5LXNpZ25lZC10aGlz" //nolint:gosec // G101: no credential

// madeUp is how Caddy logs a request that has the token in every place where the
// directive looks for one.
func (h *Handler) madeUp(logs *caddyhttp.ServerLogConfig) zap.Field {
	r := &http.Request{Header: make(http.Header)}
	query, path := make(url.Values), "/"
	for _, source := range h.sources {
		switch source.Kind {
		case token.Query:
			query.Set(source.Name, madeUpToken)
		case token.Path:
			path += ";" + source.Name + "=" + madeUpToken
		case token.Header:
			r.Header.Set(source.Name, "Bearer "+madeUpToken)
		case token.Cookie, token.Carried:
			r.AddCookie(&http.Cookie{Name: source.Name, Value: madeUpToken})
		case token.Basic: // Caddy does not log it, or was told to
		}
	}
	r.RequestURI = path + "?" + query.Encode()
	return zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: r, ShouldLogCredentials: logs.ShouldLogCredentials})
}

// showsToken reports whether a log that takes lines of this logger would write the
// token in the field down.
func showsToken(ctx caddy.Context, logger string, field zap.Field) bool {
	p := &peek{field: field}
	ctx.Logger(loggerName(logger)).With(zap.Inline(p))
	return p.shown
}

// loggerName stands for the module of that name, to get what its lines go to.
type loggerName string

// CaddyModule returns a name below the logger's, because Caddy takes logs for what is
// below a module to be for the module, too.
func (n loggerName) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: caddy.ModuleID(n + ".download_token")}
}

// peek is added to a logger as a field. It adds nothing, but gets hold of the encoders
// in this way, and tries each.
type peek struct {
	field zap.Field
	shown bool
}

// MarshalLogObject is called with a copy of the encoder of each log.
func (p *peek) MarshalLogObject(e zapcore.ObjectEncoder) error {
	encoder, ok := e.(zapcore.Encoder)
	if !ok {
		return nil
	}
	line, err := encoder.EncodeEntry(zapcore.Entry{}, []zapcore.Field{p.field})
	if err != nil {
		return nil
	}
	p.shown = p.shown || strings.Contains(line.String(), madeUpToken)
	line.Free()
	return nil
}
