package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	nginxServer  = "nginx"
	secureLink   = "nginx-secure_link"
	securePrefix = "/secure/" // what secure_link guards
)

// nginxConf has one process and no master, so that its CPU time is all there is.
const nginxConf = `daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr error;
events {}
http {
	access_log off;
	sendfile on;
	keepalive_requests 1000000000;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		listen %[3]s ssl http2;
		ssl_certificate %[4]s;
		ssl_certificate_key %[5]s;
		location / {
			root %[6]s;
		}
		location %[7]s {
			alias %[6]s/;
			secure_link $arg_md5,$arg_expires;
			secure_link_md5 "$secure_link_expires$uri %[8]s";
			if ($secure_link = "") {
				return 403;
			}
			if ($secure_link = "0") {
				return 410;
			}
		}
	}
}
`

func (w *world) startNginx(ctx context.Context) (*server, error) {
	home := filepath.Join(w.dir, nginxServer)
	if err := os.Mkdir(home, 0o755); err != nil {
		return nil, err
	}
	addrs, err := freeAddresses()
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(home, "nginx.conf")
	text := fmt.Sprintf(nginxConf, home, addrs[plainHTTP], addrs[tlsHTTP2], w.certificate, w.certificateKey, w.root, securePrefix, secret)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	s, err := start(ctx, nginxServer, home, addrs, "nginx", "-p", home, "-e", "stderr", "-c", conf)
	if err != nil {
		return nil, err
	}
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		conn, err := net.Dial("tcp", addrs[plainHTTP])
		if err == nil {
			return s, conn.Close()
		}
		select {
		case <-s.ended:
			return nil, s.explain(errors.New("does not start"))
		case <-time.After(10 * time.Millisecond):
		}
	}
	s.stop()
	return nil, s.explain(errors.New("does not listen"))
}
