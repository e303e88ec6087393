package main

import (
	"errors"
	"io"
	"net"
	"strconv"
	"time"
)

// firstPort is the one to serve on if nothing else does.
const firstPort = "8080"

// takePort finds a port for localhost that nothing serves on, and keeps other
// demonstrations off it until held is closed. Caddy would not notice: it shares
// ports (SO_REUSEPORT), and then half of the requests reach the other process, which
// has another key.
func takePort() (port string, held io.Closer, err error) {
	first, err := strconv.Atoi(firstPort)
	if err != nil {
		return "", nil, err
	}
	for n := first; n < first+10; n++ {
		port = strconv.Itoa(n)
		if held, err = hold(port); err == nil {
			return port, held, nil
		}
	}
	for range 10 {
		if port, err = anyPort(); err != nil {
			continue
		}
		if held, err = hold(port); err == nil {
			return port, held, nil
		}
	}
	return "", nil, err
}

// anyPort is one that the system names.
func anyPort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// hold takes the port, unless a server answers on localhost, or listens there and
// would share it. What is held is the UDP port of this number: nothing here serves on
// that and it is not shared, so a demonstration that starts at the same moment stops
// there.
func hold(port string) (held io.Closer, err error) {
	held, err = net.ListenPacket("udp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	if err := check(port); err != nil {
		held.Close()
		return nil, err
	}
	return held, nil
}

// check looks for a server on the port.
func check(port string) error {
	for _, host := range []string{"127.0.0.1", "::1"} { // browsers may try either
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), time.Second)
		if err == nil {
			conn.Close()
			return errors.New("port " + port + " is in use")
		}
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	return l.Close()
}
