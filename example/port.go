package main

import (
	"net"
	"strconv"
	"time"
)

// firstPort is the one to serve on if nothing else does.
const firstPort = "8080"

// takePort finds a port for localhost that nothing serves on, and keeps other
// demonstrations off it. Caddy would not notice: it shares ports (SO_REUSEPORT),
// and then half of the requests reach the other process, which has another key.
func takePort() (string, error) {
	first, err := strconv.Atoi(firstPort)
	if err != nil {
		return "", err
	}
	for port := first; port < first+10; port++ {
		if port := strconv.Itoa(port); isFree(port) && reserve(port) {
			return port, nil
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// isFree reports whether nobody answers on localhost, and nobody listens there who
// shares the port.
func isFree(port string) bool {
	for _, host := range []string{"127.0.0.1", "::1"} { // browsers may try either
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), time.Second)
		if err == nil {
			conn.Close()
			return false
		}
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// reserve keeps a demonstration that starts at the same moment from finding the
// port free. It takes the UDP port of this number, which nothing here serves on and
// which is not shared, until the process ends.
func reserve(port string) (ok bool) {
	var err error
	reserved, err = net.ListenPacket("udp", net.JoinHostPort("127.0.0.1", port))
	return err == nil
}

// reserved would be closed if nothing referred to it.
var reserved net.PacketConn
