package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// world is what the cases share: keys, files, and the servers that run.
type world struct {
	dir                         string
	root                        string // of the files that are served
	certificate, certificateKey string // files
	roots                       *x509.CertPool
	keys                        *keys
	servers                     map[string]*server
	missing                     map[string]bool // programs, of which it was said that they are
}

func newWorld(dir string) (*world, error) {
	w := &world{dir: dir, root: filepath.Join(dir, "root"), roots: x509.NewCertPool(), servers: make(map[string]*server), missing: make(map[string]bool)}
	if err := os.Mkdir(w.root, 0o755); err != nil {
		return nil, err
	}
	var err error
	if w.keys, err = newKeys(dir); err != nil {
		return nil, err
	}
	return w, w.certify()
}

// certify makes the certificate of all servers and trusts it.
func (w *world) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "bench"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	w.certificate, w.certificateKey = filepath.Join(w.dir, "certificate.pem"), filepath.Join(w.dir, "certificate-key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	w.roots.AppendCertsFromPEM(text)
	return errors.Join(
		os.WriteFile(w.certificate, text, 0o600),
		os.WriteFile(w.certificateKey, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
}

// choose prepares the file and the servers of the group's cases that the regexp wants,
// with the bare one in front. It is empty if it wants none.
func (w *world) choose(ctx context.Context, g group, wanted *regexp.Regexp, progress io.Writer) ([]testCase, error) {
	var chosen []testCase
	any := false
	for _, c := range cases {
		matches := wanted.MatchString(g.name(c))
		if !g.has(c) || c.name != bare && !matches {
			continue
		}
		if program := programs[c.server]; program != "" && !w.has(program, progress) {
			continue
		}
		chosen, any = append(chosen, c), any || matches
	}
	if !any {
		return nil, nil
	}
	if err := w.writeFile(g); err != nil {
		return nil, err
	}
	for _, c := range chosen {
		if err := w.need(ctx, c.server); err != nil {
			return nil, err
		}
	}
	return chosen, nil
}

// programs are those that servers are or need, beside this one.
var programs = map[string]string{nginxServer: "nginx", redisSite: "redis-server"}

// has reports whether a program is installed, and says once, loudly, that it is not.
func (w *world) has(program string, progress io.Writer) bool {
	if _, err := exec.LookPath(program); err == nil {
		return true
	}
	if !w.missing[program] {
		fmt.Fprintf(progress, "SKIPPED: %s is not installed, so the table is without it\n", program)
	}
	w.missing[program] = true
	return false
}

// writeFile makes the file that the group serves. It has holes instead of bytes on the
// disk; the page cache, from which it is served, has them all.
func (w *world) writeFile(g group) error {
	f, err := os.OpenFile(filepath.Join(w.root, g.file()), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(g.size), f.Close())
}

// need starts a server that does not run yet.
func (w *world) need(ctx context.Context, name string) error {
	if w.servers[name] != nil {
		return nil
	}
	if name == nginxServer {
		s, err := w.startNginx(ctx)
		if err == nil {
			w.servers[name] = s
		}
		return err
	}
	directives, known := sites(w.keys)[name]
	if !known {
		return fmt.Errorf("no site is called %q", name) // it would be measured as a bare one
	}
	if strings.Contains(directives, "%s") {
		if err := w.need(ctx, responder); err != nil {
			return err
		}
		directives = fmt.Sprintf(directives, w.servers[responder].addrs[plainHTTP])
	}
	if name == redisSite {
		if err := w.startRedis(ctx); err != nil {
			return err
		}
	}
	s, err := w.startCaddy(ctx, name, directives)
	if err == nil {
		w.servers[name] = s
	}
	if err == nil && name == redisSite {
		time.Sleep(4 * redisSkew) // what was issued before its epoch is not honoured
	}
	return err
}

func (w *world) stop() {
	for name, s := range w.servers {
		s.stop()
		delete(w.servers, name)
	}
}
