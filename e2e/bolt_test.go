//go:build unix

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newBolt is newProcess with a bolt store, and the path of its file.
func newBolt(t testing.TB, body string) (p *process, file string) {
	t.Helper()
	p = newProcess(t, fileA, body)
	file = filepath.Join(p.home, "tokens.bolt")
	p.globals = inFile(file)
	return p, file
}

func inFile(file string) string { return fmt.Sprintf("download_token {\n\t\tstore bolt %s\n\t}", file) }

// boltResumable is restartable with resume.
var boltResumable = strings.Replace(restartable, "one_time", "one_time {\n\t\t\tresume 1h 5\n\t\t}", 1)

// TestBoltCrash: a crash costs no link, and gives none back.
func TestBoltCrash(t *testing.T) {
	t.Parallel()
	p, _ := newBolt(t, boltResumable)
	p.start()
	spent, taken := once(t), once(t)
	var unused []string
	for range 4 {
		unused = append(unused, once(t), once(t))
	}
	p.get(spent).wantBody(t, "content of a")
	p.get(spent).wantBody(t, "content of a") // within its window
	p.revoke(`{"token":"` + taken + `"}`)
	for i := range 4 {
		p.kill()
		p.start()
		p.wantRefused(spent, "replayed") // the window has ended
		p.wantRefused(taken, "revoked")
		p.get(unused[2*i]).wantBody(t, "content of a") // issued before everything
		p.get(once(t)).wantBody(t, "content of a")
	}
	p.kill()
	p.start()
	for i, token := range unused {
		if i%2 == 0 {
			p.wantRefused(token, "replayed")
		} else {
			p.get(token).wantBody(t, "content of a")
		}
	}
}

// TestBoltCleanRestart: grants go on, too.
func TestBoltCleanRestart(t *testing.T) {
	t.Parallel()
	p, _ := newBolt(t, boltResumable)
	p.start()
	opened, unused := once(t), once(t)
	p.get(opened).wantBody(t, "content of a")
	p.stop()
	p.start()
	p.get(opened).wantBody(t, "content of a")
	p.get(unused).wantBody(t, "content of a")
	p.kill()
	p.start()
	p.wantRefused(opened, "replayed") // a crash ends it
}

// TestBoltOneProcess: a second Caddy says what is the matter, and soon; the first one goes
// on, and when it has ended, the second one can.
func TestBoltOneProcess(t *testing.T) {
	t.Parallel()
	first, file := newBolt(t, restartable)
	first.start()
	spent := once(t)
	first.get(spent).want(t, http.StatusOK)
	second, _ := newBolt(t, restartable)
	second.globals = inFile(file)
	begun := time.Now()
	second.spawn()
	select {
	case <-second.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("it hangs")
	}
	if said := second.stderr() + string(second.log()); !strings.Contains(said, "another process has the file open") || !strings.Contains(said, file) {
		t.Errorf("after %v it says: %s", time.Since(begun), said)
	}
	first.wantRefused(spent, "replayed")
	first.get(once(t)).want(t, http.StatusOK)
	first.kill()
	second.start()
	second.wantRefused(spent, "replayed")
}

// TestBoltOtherCommandsTouchNothing: nor do they make the file, or wait for it.
func TestBoltOtherCommandsTouchNothing(t *testing.T) {
	t.Parallel()
	p, file := newBolt(t, restartable)
	kept := filepath.Join(p.storage, "download_token")
	untouched := func(when string) {
		t.Helper()
		before := tree(t, kept, p.home)
		for _, command := range []string{"validate", "adapt"} {
			if out, err := p.command(command, "--adapter", "caddyfile", "--config", p.config()).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
		}
		if after := tree(t, kept, p.home); after != before {
			t.Errorf("%s: changed", when)
		}
	}
	if err := os.MkdirAll(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	untouched("before the first start")
	if exists(file) {
		t.Error("the file was made")
	}
	p.start()
	spent := once(t)
	p.get(spent).want(t, http.StatusOK)
	untouched("beside a server")
	p.wantRefused(spent, "replayed")
	p.stop()
	untouched("after a clean stop")
	p.start()
	p.wantRefused(spent, "replayed")
}

// TestBoltReload: the file stays open, and a configuration that wants another one, or
// another type, is refused while its keys are in use.
func TestBoltReload(t *testing.T) {
	t.Parallel()
	p, file := newBolt(t, restartable)
	p.start()
	spent, unused := once(t), once(t)
	p.get(spent).want(t, http.StatusOK)
	for range 5 {
		if err := p.load(restartable); err != nil {
			t.Fatal(err)
		}
		p.wantRefused(spent, "replayed")
	}
	for _, globals := range []string{"", inFile(file + ".other"), "download_token {\nstore memory\n}"} {
		p.globals = globals
		if err := p.load(restartable); err == nil || !strings.Contains(err.Error(), "uses the same key with another store") {
			t.Errorf("%q: %v", globals, err)
		}
		p.wantRefused(spent, "replayed")
	}
	if exists(file + ".other") {
		t.Error("a configuration that was refused made a file")
	}
	p.globals = "download_token {\nstore renamed bolt " + file + "\n}"
	if err := p.load(strings.Replace(restartable, "one_time", "one_time\nstore renamed", 1)); err != nil {
		t.Fatal(err)
	}
	p.wantRefused(spent, "replayed")
	if err := p.load("respond 401"); err != nil { // and lets go of the file
		t.Fatal(err)
	}
	if err := p.load(strings.Replace(restartable, "one_time", "one_time\nstore renamed", 1)); err != nil {
		t.Fatal(err)
	}
	p.wantRefused(spent, "replayed")
	p.get(unused).want(t, http.StatusOK)
}

// TestBoltUnusableFiles: Caddy does not start with them, says why, and leaves them as
// they are.
func TestBoltUnusableFiles(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"text": "not a store", "empty": "", "torn": "a part"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, file := newBolt(t, restartable)
			if name == "torn" {
				p.start()
				p.get(once(t)).want(t, http.StatusOK)
				p.stop()
				content = contentOf(t, file)
				content = content[:3*os.Getpagesize()] // its two beginnings and a page
			}
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			p.spawn()
			select {
			case <-p.ended:
			case <-time.After(20 * time.Second):
				t.Fatal("it goes on")
			}
			if said := p.stderr() + string(p.log()); !strings.Contains(said, "is left as it is") || !strings.Contains(said, file) {
				t.Errorf("it says: %s", said)
			}
			if contentOf(t, file) != content {
				t.Error("the file was changed")
			}
		})
	}
}

// TestBoltFullDisk: what cannot be written is refused with 503 and stays unused.
func TestBoltFullDisk(t *testing.T) {
	t.Parallel()
	p, file := newBolt(t, restartable)
	prlimit := tool(t, "prlimit")
	p.start()
	limit := func(size string) { run(t, "", prlimit, "--pid", fmt.Sprint(p.cmd.Process.Pid), "--fsize="+size+":") }
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	limit(fmt.Sprint(info.Size())) // files do not grow beyond, as on a disk that is full
	var spent []string
	refused := ""
	for i := 0; refused == ""; i++ {
		token := onceSlowly(t)
		switch a := p.get(token); {
		case a.StatusCode == http.StatusOK:
			spent = append(spent, token)
		case a.StatusCode == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "" && !strings.Contains(a.body, "content of a"):
			refused = token
		default:
			t.Fatalf("status %d, %v", a.StatusCode, a.Header)
		}
		if i > 5000 {
			t.Fatal("the file does not grow")
		}
	}
	for range 3 {
		p.get(refused).want(t, http.StatusServiceUnavailable)
	}
	if a := p.get(spent[0]); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a used token: %d", a.StatusCode)
	}
	limit("unlimited")
	p.get(refused).wantBody(t, "content of a")
	spent = append(spent, refused)
	t.Logf("%d tokens fit in %d bytes", len(spent), info.Size())
	for range 2 {
		for _, token := range spent {
			if a := p.get(token); a.StatusCode != http.StatusUnauthorized {
				t.Fatalf("a used token: %d", a.StatusCode)
			}
		}
		p.kill()
		p.start()
	}
}

// TestStoresMoveByRestarts: a store of another type, or in another file, takes over by a
// restart, and back: what was used with one is not honoured by the next, whether Caddy was
// stopped or killed in between; new links work at once.
func TestStoresMoveByRestarts(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*process){"stopped": (*process).stop, "killed": (*process).kill} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, file := newBolt(t, restartable)
			var spent, unused []string
			for _, globals := range []string{
				"", inFile(file), "", inFile(file), inFile(file + ".other"), inFile(file), inFile(file + ".other"),
				"download_token {\nstore default bolt " + file + "\n}", "",
			} {
				p.globals = globals
				p.start()
				for _, token := range append(spent, unused...) { // issued before the move
					if a := p.get(token); a.StatusCode != http.StatusUnauthorized {
						t.Fatalf("store %q: status %d for a token from before", globals, a.StatusCode)
					}
				}
				late := once(t)
				if name == "killed" && globals == "" { // of a memory store, within MarkStep after its last token
					eventually(t, func() bool { late = once(t); return p.get(late).StatusCode == http.StatusOK })
				} else {
					p.get(late).wantBody(t, "content of a")
				}
				p.wantRefused(late, "replayed")
				spent, unused = append(spent, late), append(unused, once(t))
				end(p)
			}
		})
	}
}
