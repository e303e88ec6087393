package redis

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	redis <address>... {
//		sentinel <master> [<user> <password>]
//		cluster
//		user     <name> <password>
//		password <password>
//		database <n>
//		prefix   <text>
//		tls {
//			ca          <file>
//			certificate <file> <key file>
//			server_name <name>
//		}
//		timeout  <duration>
//		wait     <replicas> <timeout>
//		skew     <duration>
//	}
func (m *Redis) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the type
	m.Addresses = d.RemainingArgs()
	if len(m.Addresses) == 0 {
		return d.Err("store redis: no address; write the server's, such as: store redis localhost:6379")
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		read, ok := m.subdirectives()[name]
		if !ok {
			return d.Errf("store redis: unrecognized subdirective '%s'; it has sentinel, cluster, user, password, database, prefix, tls, timeout, wait and skew", name)
		}
		if seen[name] {
			return d.Errf("store redis: %s specified more than once", name)
		}
		seen[name] = true
		if name == "tls" {
			if err := m.unmarshalTLS(d); err != nil {
				return err
			}
			continue
		}
		if usage := read(d.RemainingArgs()); usage != "" {
			return d.Errf("store redis: %s; write it like this: %s", name, usage)
		}
	}
	if err := m.check(); err != nil {
		return d.Errf("store redis: %v", err)
	}
	return nil
}

// subdirectives read arguments, and return how they are written if they are wrong.
func (m *Redis) subdirectives() map[string]func(args []string) (usage string) {
	return map[string]func([]string) string{
		"tls": nil, // has a block
		"cluster": func(args []string) string {
			m.Cluster = true
			return usage(len(args) == 0, "cluster")
		},
		"sentinel": func(args []string) string {
			if len(args) == 3 {
				m.SentinelUsername, m.SentinelPassword = args[1], args[2]
				args = args[:1]
			}
			return word(args, &m.Sentinel, "sentinel mymaster")
		},
		"user": func(args []string) string {
			if len(args) != 2 {
				return "user caddy {env.REDIS_PASSWORD}"
			}
			m.Username, m.Password = args[0], args[1]
			return ""
		},
		"password": func(args []string) string { return word(args, &m.Password, "password {env.REDIS_PASSWORD}") },
		"prefix":   func(args []string) string { return word(args, &m.Prefix, "prefix downloads") },
		"database": func(args []string) string { return number(args, &m.Database, "database 1") },
		"timeout":  func(args []string) string { return duration(args, &m.Timeout, "timeout 500ms") },
		"skew":     func(args []string) string { return duration(args, &m.Skew, "skew 5s") },
		"wait": func(args []string) string {
			if len(args) != 2 || number(args[:1], &m.WaitReplicas, "wait") != "" || m.WaitReplicas == 0 {
				return "wait 1 200ms"
			}
			return duration(args[1:], &m.WaitTimeout, "wait 1 200ms")
		},
	}
}

func usage(ok bool, text string) string {
	if ok {
		return ""
	}
	return text
}

func word(args []string, to *string, like string) string {
	if len(args) == 1 {
		*to = args[0]
	}
	return usage(len(args) == 1 && args[0] != "", like)
}

func number(args []string, to *int, like string) string {
	if len(args) != 1 {
		return like
	}
	n, err := strconv.Atoi(args[0])
	*to = n
	return usage(err == nil && n >= 0, like)
}

func duration(args []string, to *caddy.Duration, like string) string {
	if len(args) != 1 {
		return like
	}
	length, err := caddy.ParseDuration(args[0])
	*to = caddy.Duration(length)
	return usage(err == nil && length > 0, like)
}

func (m *Redis) unmarshalTLS(d *caddyfile.Dispenser) error {
	m.TLS = new(TLS)
	if d.NextArg() {
		return d.Errf("store redis: tls: unexpected argument '%s'; settings go into a block", d.Val())
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name, args := d.Val(), d.RemainingArgs()
		switch {
		case name == "ca" && len(args) == 1:
			m.TLS.CA = args[0]
		case name == "certificate" && len(args) == 2:
			m.TLS.Certificate, m.TLS.Key = args[0], args[1]
		case name == "server_name" && len(args) == 1:
			m.TLS.ServerName = args[0]
		default:
			return d.Errf("store redis: tls: %s; it has ca <file>, certificate <file> <key file> and server_name <name>", name)
		}
	}
	return nil
}

var _ caddyfile.Unmarshaler = (*Redis)(nil)
