package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The sites whose tokens are remembered elsewhere than in memory.
const (
	boltSite  = "bolt"
	redisSite = "redis"
)

// redisServer is the server that redisSite asks.
const redisServer = "redis-server"

const redisSkew = 250 * time.Millisecond

// store is the global option of a site; empty: its store is in memory.
func (w *world) store(name, home string) string {
	switch name {
	case boltSite:
		return fmt.Sprintf("download_token {\nstore bolt %q\n}\n", filepath.Join(home, "tokens.bolt"))
	case redisSite:
		return fmt.Sprintf("download_token {\nstore redis %q {\nskew %v\n}\n}\n", "unix/"+w.redisSocket(), redisSkew)
	}
	return ""
}

func (w *world) redisSocket() string { return filepath.Join(w.dir, redisServer, "socket") }

// startRedis starts a Redis server that keeps its data as its documentation advises.
func (w *world) startRedis(ctx context.Context) error {
	home := filepath.Join(w.dir, redisServer)
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	s, err := start(ctx, redisServer, home, nil, redisServer, "--port", "0", "--unixsocket", w.redisSocket(), "--dir", home,
		"--save", "", "--appendonly", "yes", "--logfile", filepath.Join(home, "log"))
	if err != nil {
		return err
	}
	w.servers[redisServer] = s
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(w.redisSocket()); err == nil {
			return nil
		}
	}
	return s.explain(fmt.Errorf("does not listen"))
}
