// Package redis is the store download_token.stores.redis: it remembers which tokens
// were used on a Redis or Valkey server, so that several Caddys share it.
//
// engine is the store itself. What it knows is kept by scripts, in the folder lua,
// each of which is one step on the server; link runs them; monitor looks after the
// server. [Redis] is the module.
//
// # What it can vouch for
//
// Every script compares the server with an epoch that is kept beside the tokens. A
// server that was restarted or promoted, or that cannot show the epoch (its data
// were flushed, or replaced by older ones), begins a new one before anything else is
// honoured, and tokens that were issued before it are refused as unproven: some may
// have been used. The clocks of every Caddy and of the server must agree to within
// skew, or nothing is honoured; for that long, entries are kept longer than their
// tokens are accepted, and the begin of an epoch lies in the future.
//
// # What it cannot
//
// The server must not lose part of its data without a restart: keys that are deleted
// or restored one by one, or that expire while its clock is wrong by more than skew,
// are missed by nobody. While two servers both take themselves for the master, each
// honours what is issued meanwhile; waiting for replicas prevents that if they are
// enough for a majority.
package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/redis/rueidis"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
)

func init() {
	caddy.RegisterModule(Redis{})
}

// The defaults of [Redis].
const (
	DefaultTimeout = 500 * time.Millisecond
	DefaultSkew    = 5 * time.Second
)

// Redis remembers used tokens on a Redis server (6.2 or later) or Valkey server
// (7.2 or later), and shares them with all Caddys that use it with the same prefix.
// While the server does not answer, one-time tokens and revocable ones are answered
// with 503.
//
// The server should keep its data (appendonly yes): after each restart and each
// failover, tokens that were issued before are refused as unproven. It must not
// evict any: with another maxmemory-policy than noeviction, nothing is honoured.
//
// Placeholders are replaced in all texts.
type Redis struct {
	// The server: host:port (default port: 6379), or unix//path for a socket. With
	// `sentinel`, the sentinels; with `cluster`, some nodes of the cluster.
	Addresses []string `json:"addresses"`

	// The name of the master, if the addresses are those of sentinels.
	Sentinel string `json:"sentinel,omitempty"`

	// The addresses are of a cluster. All of a store is in one slot of it. Default:
	// true if there are several addresses and no sentinels.
	Cluster bool `json:"cluster,omitempty"`

	// The user and the password (ACL). Default: none.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`

	// The user and the password of the sentinels. Default: none.
	SentinelUsername string `json:"sentinel_username,omitempty"`
	SentinelPassword string `json:"sentinel_password,omitempty"`

	// The number of the database. Default: 0.
	Database int `json:"database,omitempty"`

	// What all keys begin with, in braces, so that a cluster keeps them in one
	// place. Default: `download_token:` and the name of the store.
	Prefix string `json:"prefix,omitempty"`

	// Connect with TLS. Default: not.
	TLS *TLS `json:"tls,omitempty"`

	// How long a question may take, connecting too. Default: 500ms.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How many replicas must confirm that a token was used before anything is sent,
	// and how long that may take. Default: none.
	WaitReplicas int            `json:"wait_replicas,omitempty"`
	WaitTimeout  caddy.Duration `json:"wait_timeout,omitempty"`

	// How far the clocks of all Caddys and of the server may differ. A Caddy whose
	// clock differs more honours nothing. Default: 5s.
	Skew caddy.Duration `json:"skew,omitempty"`

	option rueidis.ClientOption
	logger *zap.Logger
	store.Tenant[*monitor]
}

// TLS says how the server is known, and this client to it. Files are in PEM.
type TLS struct {
	// The file of the certificates that the server's is signed by. Default: those
	// of the system.
	CA string `json:"ca,omitempty"`

	// The files of this client's certificate and key. Default: none.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`

	// The name in the server's certificate. Default: the host of the address.
	ServerName string `json:"server_name,omitempty"`
}

// pool holds the open stores of the process.
var pool store.Pool[*monitor]

// CaddyModule returns the Caddy module information.
func (Redis) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "download_token.stores.redis",
		New: func() caddy.Module { return new(Redis) },
	}
}

// Provision replaces placeholders, sets defaults and reads certificates. It
// connects to nothing.
func (m *Redis) Provision(ctx caddy.Context) error {
	m.logger = ctx.Logger()
	if m.Timeout == 0 {
		m.Timeout = caddy.Duration(DefaultTimeout)
	}
	if m.Skew == 0 {
		m.Skew = caddy.Duration(DefaultSkew)
	}
	if err := m.check(); err != nil {
		return err
	}
	return m.prepare()
}

// check finds what is wrong with the settings by themselves.
func (m *Redis) check() error {
	for _, address := range m.Addresses {
		if _, err := addressOf(address); err != nil && !strings.Contains(address, "{") {
			return err
		}
	}
	switch {
	case len(m.Addresses) == 0:
		return errors.New("no address; write the server's, such as: store redis localhost:6379")
	case m.Sentinel != "" && m.Cluster:
		return errors.New("sentinel and cluster exclude each other")
	case m.Database != 0 && m.Cluster:
		return errors.New("a cluster has database 0 only")
	case m.Database != 0 && len(m.Addresses) > 1 && m.Sentinel == "":
		return errors.New("several addresses without sentinel are those of a cluster, which has database 0 only")
	case m.Database < 0:
		return fmt.Errorf("database must be at least 0, not %d", m.Database)
	case m.Timeout != 0 && m.Timeout < caddy.Duration(10*time.Millisecond) || m.Timeout > caddy.Duration(10*time.Second):
		return fmt.Errorf("timeout must be between 10ms and 10s, not %v", time.Duration(m.Timeout))
	case m.WaitReplicas < 0 || (m.WaitReplicas > 0) != (m.WaitTimeout > 0):
		return errors.New("wait needs the number of replicas and a timeout, such as: wait 1 200ms")
	case m.WaitTimeout > caddy.Duration(10*time.Second):
		return fmt.Errorf("wait: the timeout must be at most 10s, not %v", time.Duration(m.WaitTimeout))
	case m.Skew != 0 && m.Skew < caddy.Duration(100*time.Millisecond) || m.Skew > caddy.Duration(time.Hour):
		return fmt.Errorf("skew must be between 100ms and 1h, not %v", time.Duration(m.Skew))
	case strings.ContainsAny(m.Prefix, "{} \t\r\n"):
		return errors.New("prefix must not have braces or white space")
	}
	return nil
}

// prepare makes the options of the client.
func (m *Redis) prepare() (err error) {
	text := func(what, s string) string {
		replaced, failed := caddy.NewReplacer().ReplaceOrErr(s, true, true)
		if failed != nil && err == nil {
			err = fmt.Errorf("%s: %w", what, failed)
		}
		return replaced
	}
	timeout := time.Duration(m.Timeout)
	m.option = rueidis.ClientOption{
		Username: text("username", m.Username), Password: text("password", m.Password),
		SelectDB: m.Database, Dialer: net.Dialer{Timeout: timeout, KeepAlive: time.Second},
		ConnWriteTimeout: 2*timeout + time.Duration(m.WaitTimeout), BlockingPoolCleanup: time.Minute,
		DialCtxFn: dial, DisableCache: true, DisableRetry: true, ClientSetInfo: rueidis.DisableClientSetInfo,
		ForceSingleClient: len(m.Addresses) == 1 && !m.Cluster && m.Sentinel == "",
		Sentinel: rueidis.SentinelOption{
			MasterSet: text("sentinel", m.Sentinel),
			Username:  text("sentinel_username", m.SentinelUsername), Password: text("sentinel_password", m.SentinelPassword),
			Dialer: net.Dialer{Timeout: timeout, KeepAlive: time.Second},
		},
	}
	for _, address := range m.Addresses {
		full, failed := addressOf(text("address", address))
		if failed != nil {
			return failed
		}
		m.option.InitAddress = append(m.option.InitAddress, full)
	}
	if err == nil && m.TLS != nil {
		m.option.TLSConfig, err = m.TLS.config(text)
		m.option.Sentinel.TLSConfig = m.option.TLSConfig
	}
	return err
}

// addressOf completes the address of a server.
func addressOf(address string) (string, error) {
	if path, ok := strings.CutPrefix(address, "unix/"); ok {
		return path, nil
	}
	if strings.Contains(address, "/") {
		return "", fmt.Errorf("address '%s': write host:port, or unix//path; for TLS, write tls into the block", address)
	}
	if _, port, err := net.SplitHostPort(address); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("address '%s': the port is a number from 1 to 65535, such as 6379", address)
		}
		return address, nil
	}
	full := net.JoinHostPort(strings.Trim(address, "[]"), "6379")
	if _, _, err := net.SplitHostPort(full); err != nil || address == "" {
		return "", fmt.Errorf("address '%s': write host:port, or unix//path", address)
	}
	return full, nil
}

func dial(ctx context.Context, address string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	if config != nil {
		return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, network, address)
	}
	return dialer.DialContext(ctx, network, address)
}

// config reads the files. text replaces placeholders.
func (t *TLS) config(text func(what, s string) string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: text("server_name", t.ServerName)}
	if t.CA != "" {
		pem, err := os.ReadFile(text("ca", t.CA))
		if err != nil {
			return nil, fmt.Errorf("tls: ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: ca: there is no certificate in %s", t.CA)
		}
	}
	if t.Certificate != "" || t.Key != "" {
		pair, err := tls.LoadX509KeyPair(text("certificate", t.Certificate), text("key", t.Key))
		if err != nil {
			return nil, fmt.Errorf("tls: certificate %s, key %s: %w", t.Certificate, t.Key, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Open implements [store.Module]. The server is looked for only when the store is started,
// and not waited for.
func (m *Redis) Open(name string) (store.Handle, error) {
	if m.Prefix == "" {
		m.Prefix = "download_token:" + name
	}
	return m.Join(&pool, name, settings{m}), nil
}

// settings are those of a module. They implement [store.Settings].
type settings struct{ *Redis }

// Begin opens the store.
func (s settings) Begin() (*monitor, error) { return newMonitor(s.Redis), nil }

// Claim makes sure that the place stays the same: in another one, an older epoch
// might vouch for what was spent here.
func (s settings) Claim(open *monitor) error {
	if at := s.Place(); at != open.place {
		return fmt.Errorf("a reload cannot move the store from %s to %s; restart Caddy, and choose a new prefix, so that nothing is honoured twice", open.place, at)
	}
	return nil
}

// Apply brings the settings into force for a store that is open.
func (s settings) Apply(open *monitor) error {
	if err := s.Claim(open); err != nil {
		return err
	}
	open.apply(s.Redis)
	return nil
}

// Place implements [store.Placed].
func (m *Redis) Place() string {
	at := strings.Join(m.option.InitAddress, " ")
	if name := m.option.Sentinel.MasterSet; name != "" {
		at += " sentinel " + name
	}
	return fmt.Sprintf("%s database %d prefix %s", at, m.Database, m.Prefix)
}

// Interface guards
var (
	_ caddy.Provisioner  = (*Redis)(nil)
	_ caddy.CleanerUpper = (*Redis)(nil)
	_ store.Placed       = (*Redis)(nil)
)
