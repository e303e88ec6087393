package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

const (
	defaultRefresh = 15 * time.Minute
	minRefresh     = 10 * time.Second
)

// Options say where a JWK set (RFC 7517 5) is and what its keys may do.
type Options struct {
	// Location is an https URL or the absolute path of a file. A http URL is taken
	// only with the host localhost, 127.0.0.1 or [::1], since on the way to
	// others the keys could be replaced. Required.
	Location string

	// Issuer binds every key of the set to one iss, as [token.Key.Issuer] does; and the iss
	// is bound even while no key was loaded. Default: not bound.
	Issuer string

	// Algs are for keys that name no alg: each is bound to every one of these that its
	// type and curve can do. A key that names one keeps it. Default: an EC key gets the
	// algorithm of its curve, an Ed25519 key EdDSA, and RSA keys and secrets are left
	// out, since several algorithms go with them (RFC 8725 3.1).
	Algs []string

	// Refresh is how long a set is used before it is read again, and so how long a key
	// that was removed may still verify. Default 15 minutes, at least 10 seconds. Up to
	// a tenth less is chosen at random, so that servers do not ask all at once.
	Refresh time.Duration

	// Client fetches the set. Its CheckRedirect is not used: redirects stay on scheme,
	// host and port of Location. Default: a client of its own that honours the proxies
	// of the environment, through which https is but a tunnel. With any client, a fetch
	// ends after 10 seconds and an answer over 1 MiB is refused.
	Client *http.Client

	// Now is the clock of the limits on refetching. Default: time.Now.
	Now func() time.Time

	// Warn is told of keys that are left out, with their kid (none: ""), and of fetches
	// that failed, once until that changes. It never gets key material, and must
	// not block. Default: there are no warnings.
	Warn func(message string, kid string)

	// Failed is told of each attempt to read the set that has failed. It must not
	// block. Default: they are not told.
	Failed func()
}

// Set is a set of keys that is read again from time to time. Make it with
// [New]; [Set.Start] keeps it fresh. It may be used from many goroutines.
//
// A JWK is used if it is of kty RSA, EC, OKP (Ed25519) or oct, its use (if any) is
// sig, its key_ops (if any) include verify, its alg (if any) is a known one and fits,
// and it is good enough for [token.NewKey]. Any other is left out with a warning and has no
// influence on the rest. Secrets (oct) are taken from files only. Of a private key
// the public part is used, with a warning. Two different keys with one kid and alg
// are both left out. x5c is ignored, and x5u is never followed.
//
// A set is replaced as a whole, and only by another that could be read: while its
// origin is down or answers nonsense, the old keys stay for as long as it takes. A
// set that could be read takes effect even if no key of it is left, or an issuer
// could never revoke its last key.
type Set struct {
	options Options
	policy  policy
	source  source
	warner  warner

	table atomic.Pointer[token.Table] // nil until a set was read

	mu          sync.Mutex
	ctx         context.Context // of Start, nil before
	flight      *flight
	forced      bucket
	absent      absentees
	failures    int // in a row
	lastError   error
	lastSuccess time.Time
}

// New checks the options. A file is read now, and it is an error if it is
// unreadable, no JWK set, or has keys of which none can be used. A URL is not
// fetched before [Set.Start] or [Set.LookupFresh]: there is no network I/O.
func New(o Options) (*Set, error) {
	switch {
	case o.Refresh == 0:
		o.Refresh = defaultRefresh
	case o.Refresh < minRefresh:
		return nil, fmt.Errorf("refresh is under %v, which is too often: write that or more; an unknown kid is asked for at once anyway", minRefresh)
	}
	for _, alg := range o.Algs {
		if _, err := token.FamilyOf(alg); err != nil {
			return nil, err
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Algs = slices.Clone(o.Algs)
	j := &Set{options: o, warner: warner{warn: o.Warn}}
	location, err := parseLocation(o.Location)
	if err != nil {
		return nil, err
	}
	j.policy = policy{issuer: o.Issuer, algs: o.Algs, secrets: location == nil}
	if location != nil {
		j.source = newOrigin(location, o.Client)
		return j, nil
	}
	j.source = file(o.Location)
	if err := j.readNow(); err != nil {
		return nil, err
	}
	return j, nil
}

// IsFile tells whether a location is that of a file. Whatever treats files in another
// way must ask it, since what an absolute path is depends on the system.
func IsFile(location string) bool { return filepath.IsAbs(location) }

// parseLocation returns nil for a file.
func parseLocation(location string) (*url.URL, error) {
	if IsFile(location) {
		return nil, nil
	}
	scheme, _, isURL := strings.Cut(location, "://")
	if !isURL {
		return nil, errors.New("location of the key set is neither an https URL nor an absolute path: write one of them")
	}
	origin, err := url.Parse(location)
	switch {
	case err != nil || origin.Hostname() == "":
		return nil, errors.New("location of the key set is a URL that cannot be read: write it as https://host/path")
	case origin.User != nil:
		return nil, errors.New("location of the key set has a name or password in it: a key set is public, leave them out")
	case origin.Scheme == "https":
		return origin, nil
	case origin.Scheme != "http":
		return nil, fmt.Errorf("location of the key set begins with %s://: write an https URL or an absolute path", scheme)
	case !slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, origin.Hostname()):
		return nil, errors.New("location of the key set is http, where anybody on the way could replace the keys: write https (http is for localhost only)")
	}
	return origin, nil
}

// readNow reads a file when the configuration is loaded.
func (j *Set) readNow() error {
	data, err := j.source.read(context.Background())
	if err != nil {
		return fmt.Errorf("key set %w", err)
	}
	table, complaints, err := j.policy.read(data)
	if err != nil {
		return fmt.Errorf("key set cannot be used: %w", err)
	}
	if len(table.Keys()) == 0 && len(complaints) > 0 {
		return fmt.Errorf("key set has no usable key: %s", complaints[0].message)
	}
	j.replace(table, complaints)
	return nil
}

// replace is the only place where keys change.
func (j *Set) replace(table *token.Table, complaints []complaint) {
	if len(table.Keys()) == 0 {
		complaints = append(complaints, complaint{"key set has no usable key: until it has, every token that needs one is refused", ""})
	}
	j.mu.Lock()
	j.table.Store(table)
	j.lastSuccess = j.options.Now()
	j.mu.Unlock()
	j.warner.report(aboutKeys, complaints)
}

// Lookup answers as [token.Table.Lookup] does, from the keys that are there. It never
// waits.
func (j *Set) Lookup(kid, alg string) ([]*token.Key, error) { return j.current().Lookup(kid, alg) }

func (j *Set) current() *token.Table {
	if table := j.table.Load(); table != nil {
		return table
	}
	return new(token.Table)
}

// IssuerBound tells whether the set is bound to this iss, whether or not any key was
// loaded.
func (j *Set) IssuerBound(iss string) bool { return iss != "" && iss == j.options.Issuer }

// Status is what to show of a [Set]. It holds no key material.
type Status struct {
	// Keys is how many are in use; a JWK that is bound to two algorithms counts twice.
	Keys int

	// LastSuccess is when a set was last read, by [Options.Now]; zero: never.
	LastSuccess time.Time

	// LastError is why the latest attempt failed; empty: it did not.
	LastError string
}

// Status tells how the set is.
func (j *Set) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	status := Status{Keys: len(j.current().Keys()), LastSuccess: j.lastSuccess}
	if j.lastError != nil {
		status.LastError = j.lastError.Error()
	}
	return status
}
