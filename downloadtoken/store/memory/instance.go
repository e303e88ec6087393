package memory

import (
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// settling is how long a new instance ID must stay the same. On the first start
// of all, Caddy cleans its storage at the same time, and makes up an ID as well;
// the last one written is that of the next start.
const settling = 250 * time.Millisecond

// instanceFile is where Caddy keeps the instance ID.
func instanceFile() string { return filepath.Join(caddy.AppDataDir(), "instance.uuid") }

// isNew reports whether the file has only just been written.
func isNew(file string) bool {
	info, err := os.Stat(file)
	return err == nil && time.Since(info.ModTime()).Abs() < 4*settling
}

// settledID waits until a new instance ID has settled, and makes it as durable
// as it can: without it, nothing is found that is kept under it.
func settledID() (instance [16]byte, err error) {
	for same := time.Duration(0); same < settling && isNew(instanceFile()); same += settling / 16 {
		before := instance
		if instance, _ = caddy.InstanceID(); instance != before {
			same = 0
		}
		time.Sleep(settling / 16)
	}
	instance, err = caddy.InstanceID()
	_ = syncPath(instanceFile())
	_ = syncPath(filepath.Dir(instanceFile()))
	return instance, err
}
