package main

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"
)

// testCase is one row of a group: what is asked, of which server.
type testCase struct {
	name    string
	server  string // a key of sites, or nginxServer
	refused string // the word for the reason in the answer; empty: the file is served
	large   bool   // measured with large files, too
	absent  int    // status for a file that is not there, without a token
	// targets makes the request targets of a round before its clock starts.
	targets func(k *keys, name string, n int) ([]string, error)
	// spent: the first target is fetched once before the round, so that it is used up.
	spent bool
}

// Names of cases that are also those of their servers. All are compared with bare.
const (
	bareOneWrite = "bare-one-write" // see oneWrite
	bare         = "bare"
	bareAgain    = "bare-again" // the same in another process: what differs from 1 is not the case
	forwardAuth  = "forward_auth"
)

var cases = []testCase{
	{name: bare, server: bare, large: true, absent: http.StatusNotFound, targets: plain},
	{name: bareAgain, server: bareAgain, large: true, absent: http.StatusNotFound, targets: plain},
	{name: bareOneWrite, server: bareOneWrite, absent: http.StatusNotFound, targets: plain},
	{name: "one-time-HS256-fresh", server: "one-time", large: true, absent: http.StatusUnauthorized, targets: fresh("HS256")},
	{name: "one-time-resume-fresh", server: "resume", large: true, absent: http.StatusUnauthorized, targets: fresh("HS256")},
	{name: "one-time-bolt-fresh", server: boltSite, absent: http.StatusUnauthorized, targets: fresh("HS256")},
	{name: "one-time-redis-fresh", server: redisSite, absent: http.StatusUnauthorized, targets: fresh("HS256")},
	{name: "multi-HS256-fresh", server: "HS256", large: true, absent: http.StatusUnauthorized, targets: fresh("HS256")},
	{name: "multi-HS256-seen", server: "HS256", large: true, absent: http.StatusUnauthorized, targets: seen("HS256")},
	{name: "multi-RS256-fresh", server: "RS256", absent: http.StatusUnauthorized, targets: fresh("RS256")},
	{name: "multi-RS256-seen", server: "RS256", absent: http.StatusUnauthorized, targets: seen("RS256")},
	{name: "multi-ES256-fresh", server: "ES256", absent: http.StatusUnauthorized, targets: fresh("ES256")},
	{name: "multi-ES256-seen", server: "ES256", absent: http.StatusUnauthorized, targets: seen("ES256")},
	{name: "multi-EdDSA-fresh", server: "EdDSA", absent: http.StatusUnauthorized, targets: fresh("EdDSA")},
	{name: "multi-EdDSA-seen", server: "EdDSA", absent: http.StatusUnauthorized, targets: seen("EdDSA")},
	{name: "refused-missing", server: "HS256", refused: `"missing"`, targets: plain},
	{name: "refused-malformed", server: "HS256", refused: `"malformed"`, targets: malformed},
	{name: "refused-signature", server: "HS256", refused: `"invalid"`, targets: forged},
	{name: "refused-expired", server: "HS256", refused: `"expired"`, targets: expired},
	{name: "refused-replayed", server: "one-time", refused: `"used"`, targets: seen("HS256"), spent: true},
	{name: "naive-HS256-fresh", server: "naive", large: true, absent: http.StatusUnauthorized, targets: fresh("HS256")},
	{name: forwardAuth, server: forwardAuth, large: true, absent: http.StatusNotFound, targets: plain},
	{name: nginxServer, server: nginxServer, large: true, absent: http.StatusNotFound, targets: plain},
	{name: secureLink, server: nginxServer, large: true, absent: http.StatusNotFound, targets: secureLinks},
}

// want is what the answers to a case must be, with a file of size bytes.
func (c *testCase) want(size int64) want {
	if c.refused == "" {
		return want{status: http.StatusOK, length: size}
	}
	return want{status: http.StatusUnauthorized, length: -1, word: c.refused}
}

// repeat gives the same target n times.
func repeat(target string, n int) []string {
	targets := make([]string, n)
	for i := range targets {
		targets[i] = target
	}
	return targets
}

func plain(_ *keys, name string, n int) ([]string, error) { return repeat("/"+name, n), nil }

func withToken(name, text string) string { return "/" + name + "?" + parameter + "=" + text }

// each makes every target with a token of its own.
func each(name string, n int, token func() (string, error)) ([]string, error) {
	targets := make([]string, n)
	for i := range targets {
		text, err := token()
		if err != nil {
			return nil, err
		}
		targets[i] = withToken(name, text)
	}
	return targets, nil
}

// fresh makes a new token for each request.
func fresh(alg string) func(*keys, string, int) ([]string, error) {
	return func(k *keys, name string, n int) ([]string, error) {
		exp := time.Now().Add(lifetime)
		return each(name, n, func() (string, error) { return sign(alg, k.private[alg], name, exp) })
	}
}

// seen makes one token for all requests.
func seen(alg string) func(*keys, string, int) ([]string, error) {
	return func(k *keys, name string, n int) ([]string, error) {
		text, err := sign(alg, k.private[alg], name, time.Now().Add(lifetime))
		return repeat(withToken(name, text), n), err
	}
}

func malformed(_ *keys, name string, n int) ([]string, error) {
	return repeat(withToken(name, "no.token"), n), nil
}

func forged(_ *keys, name string, n int) ([]string, error) {
	exp := time.Now().Add(lifetime)
	return each(name, n, func() (string, error) { return sign("HS256", []byte(another), name, exp) })
}

func expired(k *keys, name string, n int) ([]string, error) {
	exp := time.Now().Add(-time.Minute)
	return each(name, n, func() (string, error) { return sign("HS256", k.private["HS256"], name, exp) })
}

// secureLinks are what nginx's documentation of secure_link_md5 asks for, each another
// by its time.
func secureLinks(_ *keys, name string, n int) ([]string, error) {
	targets := make([]string, n)
	exp := time.Now().Add(lifetime).Unix()
	for i := range targets {
		uri := securePrefix + name
		sum := md5.Sum(fmt.Appendf(nil, "%d%s %s", exp+int64(i), uri, secret))
		targets[i] = fmt.Sprintf("%s?md5=%s&expires=%d", uri, base64.RawURLEncoding.EncodeToString(sum[:]), exp+int64(i))
	}
	return targets, nil
}
