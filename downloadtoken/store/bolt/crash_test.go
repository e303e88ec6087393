package bolt

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

var crashRounds = flag.Int("bolt.crashes", 6, "how often the process is killed")

// What a crash takes away.
const (
	aKill       = "kill"     // the process; what it wrote without a sync stays
	aPowerCut   = "power"    // what was not synced, too
	withoutSync = "unsynced" // a power cut, and the fsync is taken out on purpose
)

const crashVariable = "BOLT_CRASH"

// TestCrash kills a process that spends tokens, at random, again and again, and opens
// its file anew: nothing is honoured twice, no token is stuck or unproven, and every
// file opens.
func TestCrash(t *testing.T) {
	for _, crash := range []string{aKill, aPowerCut} {
		t.Run(crash, func(t *testing.T) {
			honoured, twice := crashes(t, crash)
			if twice > 0 {
				t.Errorf("%d tokens were honoured twice", twice)
			}
			if honoured < 10 {
				t.Errorf("only %d tokens were honoured", honoured)
			}
			t.Logf("%d crashes, %d tokens honoured, %d of them twice", *crashRounds, honoured, twice)
		})
	}
}

// TestCrashWithoutSync: TestCrash finds it if the fsync is missing.
func TestCrashWithoutSync(t *testing.T) {
	if honoured, twice := crashes(t, withoutSync); twice == 0 {
		t.Errorf("none of %d tokens was honoured twice", honoured)
	}
}

// crashes lets a process spend tokens and crash, some times. What it honoured it says
// when Commit has returned, as a first byte would go out then.
func crashes(t *testing.T, crash string) (honoured, twice int) {
	path := filepath.Join(t.TempDir(), "tokens.bolt")
	times := make(map[int]int)
	for range *crashRounds {
		run := exec.Command(os.Args[0])
		run.Env = append(os.Environ(), crashVariable+"="+crash+" "+path)
		run.Stderr = os.Stderr
		said, err := run.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		var killer *time.Timer
		for lines := bufio.NewScanner(said); lines.Scan(); {
			var n int
			switch line := lines.Text(); {
			case line == "ready":
				killer = time.AfterFunc(time.Duration(rand.N(200))*time.Millisecond, func() { run.Process.Kill() })
			default:
				if _, err := fmt.Sscanf(line, "honoured %d", &n); err != nil {
					t.Errorf("it says: %s", line)
				} else if times[n]++; times[n] == 2 {
					twice++
				}
			}
		}
		if err := run.Wait(); err == nil || killer == nil {
			t.Fatalf("it was not killed: %v", err)
		}
		if crash != aKill {
			if err := os.Rename(path+".synced", path); err != nil {
				t.Fatal(err)
			}
		}
	}
	return len(times), twice
}

// TestMain makes the program the process that is killed, where TestCrash has started it.
func TestMain(m *testing.M) {
	var crash, path string
	if _, err := fmt.Sscan(os.Getenv(crashVariable), &crash, &path); err == nil {
		time.AfterFunc(time.Minute, func() { os.Exit(1) }) // nobody kills it
		crashing(crash, path)
		return
	}
	os.Exit(m.Run())
}

// crashing has clients show old tokens and new ones, until the process is killed.
func crashing(crash, path string) {
	e, err := openEngine(path, start, zap.NewNop())
	if err != nil {
		fmt.Println(err)
		return
	}
	e.db.NoSync = e.db.NoSync || crash == withoutSync
	if crash != aKill {
		if e.update, err = synced(e, path); err != nil {
			fmt.Println(err)
			return
		}
	}
	const tokens = 50_000
	for n := range tokens {
		if _, err := e.Look(context.Background(), store.Query{Presentation: numbered(n)}, stopped(start)); err != nil && !errors.Is(err, rules.ErrReplayed) {
			fmt.Println("token", n, err)
		}
	}
	fmt.Println("ready")
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for {
				n := rand.N(tokens)
				u, err := e.Admit(context.Background(), store.Query{Presentation: numbered(n)}, stopped(start))
				if err != nil {
					continue
				}
				if rand.N(4) > 0 {
					if _, err := u.Commit(context.Background(), nil); err == nil {
						fmt.Printf("honoured %d\n", n)
					}
				}
				u.Release()
			}
		})
	}
	clients.Wait()
}

// synced notes what a power cut would leave: the file as it was when it was last synced.
func synced(e *engine, path string) (update func(func(*bbolt.Tx) error) error, err error) {
	note := func() error {
		content, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path+".noting", content, 0o600)
		}
		if err == nil {
			err = os.Rename(path+".noting", path+".synced")
		}
		return err
	}
	return func(do func(*bbolt.Tx) error) error {
		err := e.db.Update(do)
		if err == nil && !e.db.NoSync {
			err = note()
		}
		return err
	}, note()
}
