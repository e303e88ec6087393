package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestWhatChangedWhileAMarkWasWritten: a request that waited for storage is judged
// again, by what is true then. A revocation and a reload need the same storage, and
// wait for it as well.
func TestWhatChangedWhileAMarkWasWritten(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	slow := func(s *server, config string) []byte {
		return []byte(strings.Replace(string(s.adapt(config)), `"module":"file_system"`, `"module":"test_slow"`, 1))
	}
	for name, tt := range map[string]struct {
		config    string
		meanwhile func(s *server)
		expires   bool
	}{
		"nothing":    {oneTime, func(*server) {}, false},
		"it expired": {oneTime, func(*server) { time.Sleep(600 * time.Millisecond) }, true},
		"a reload failed": {oneTime, func(s *server) {
			if err := s.post(s.adaptWhole(s.caddyfile(oneTime) + fmt.Sprintf("\nhttp://%s {\n%s\n}\n", taken.Addr(), oneTime))); err == nil {
				s.t.Fatal("it was loaded")
			}
		}, false},
		"it is resumable and expired": {resumable("1h"), func(*server) { time.Sleep(600 * time.Millisecond) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, map[string]string{"a.txt": "content of a"}, tt.config)
			if err := s.post(slow(s, tt.config)); err != nil {
				t.Fatal(err)
			}
			token := once(t)
			if tt.expires {
				token = mint(t, claims{"jti": "soon", "exp": float64(time.Now().Add(600*time.Millisecond).UnixMilli()) / 1e3})
			}
			goOn, waiting := make(chan struct{}), slowMarksWait.Load()
			slowMarks.Store(&goOn)
			answers := make(chan answer, 3)
			for range cap(answers) {
				go func() { answers <- s.get("/a.txt?download_token=" + token) }()
			}
			s.eventually(func() bool { return slowMarksWait.Load() > waiting })
			done := make(chan struct{})
			go func() {
				defer close(done)
				time.Sleep(900 * time.Millisecond)
				slowMarks.Store(nil)
				close(goOn)
			}()
			tt.meanwhile(s)
			<-done
			opened := 0
			for range cap(answers) {
				a := <-answers
				if a.StatusCode == http.StatusOK {
					opened++
				}
				if tt.expires {
					wantProblem(t, a.want(t, http.StatusUnauthorized), "expired")
				}
			}
			if opened == 0 && !tt.expires || opened > 1 {
				t.Errorf("opened %d times", opened)
			}
			s.noneReserved()
		})
	}
}
