package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// program is a way of using a link, as the table in docs/reference.md calls it.
type program struct {
	needs []string // programs
	file  string   // of the site
	// use fails if it does not get what it is there for. Its folder is empty.
	use func(u *usage) error
}

// usage is a link that is used.
type usage struct {
	t       testing.TB
	dir     string
	relay   *relay
	link    string
	content string // of the file
	// Some programs ask for ever.
	patience time.Duration
	// If set, patience begins when it says so: some programs take long to start.
	begun func() bool
}

// run runs a program.
func (u *usage) run(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(u.t.Context(), max(u.patience, patience))
	defer cancel()
	if u.begun != nil {
		go func() {
			for ctx.Err() == nil && !u.begun() {
				time.Sleep(250 * time.Millisecond)
			}
			defer time.AfterFunc(u.patience, cancel).Stop()
			<-ctx.Done()
		}()
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = u.dir, append(os.Environ(), "HOME="+u.dir, "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %.600s", name, err, out)
	}
	return nil
}

// wants is run for a program that saves the file as out.
func (u *usage) wants(name string, args ...string) error {
	failed := u.run(name, args...)
	if got, err := os.ReadFile(filepath.Join(u.dir, "out")); err != nil || string(got) != u.content {
		return fmt.Errorf("%d bytes instead of %d, %v", len(got), len(u.content), errors.Join(err, failed))
	}
	return failed
}

// broken is wants for a program whose first connection is cut.
func (u *usage) broken(name string, args ...string) error {
	u.relay.cut.Store(int64(len(u.content) / 2))
	if u.run(name, args...) == nil {
		return errors.New("nothing was cut")
	}
	u.relay.cut.Store(0)
	return u.wants(name, args...)
}

// debianPython is an interpreter that has the packages.
const debianPython = "/usr/bin/python3"

// programs are by the names in the table.
var programs = map[string]program{
	"`curl`": {[]string{"curl"}, "f.bin", func(u *usage) error {
		return u.wants("curl", "-sf", "-o", "out", u.link)
	}},
	"`wget`": {[]string{"wget"}, "f.bin", func(u *usage) error {
		return u.wants("wget", "-q", "-O", "out", u.link)
	}},
	"`curl -C -` after a break": {[]string{"curl"}, "f.bin", func(u *usage) error {
		return u.broken("curl", "-sf", "-C", "-", "-o", "out", u.link)
	}},
	"`wget -c` after a break": {[]string{"wget"}, "f.bin", func(u *usage) error {
		return u.broken("wget", "-q", "-c", "-t1", "-O", "out", u.link)
	}},
	"`wget2`": {[]string{"wget2"}, "f.bin", func(u *usage) error {
		return u.wants("wget2", "-q", "-O", "out", u.link)
	}},
	"`wget2 --chunk-size=1M`": {[]string{"wget2"}, "f.bin", func(u *usage) error {
		return u.wants("wget2", "-q", "--chunk-size=1M", "-O", "out", u.link)
	}},
	"`aria2c`": {[]string{"aria2c"}, "f.bin", func(u *usage) error {
		return u.wants("aria2c", "-q", "--no-conf", "-o", "out", u.link)
	}},
	"`aria2c -x16 -s16`": {[]string{"aria2c"}, "f.bin", func(u *usage) error {
		return u.wants("aria2c", "-q", "--no-conf", "-x16", "-s16", "-k1M", "-o", "out", u.link)
	}},
	"`axel -n32`": {[]string{"axel"}, "f.bin", func(u *usage) error {
		return u.wants("axel", "-q", "-n32", "-o", "out", u.link)
	}},
	"`lftp pget -n 8`": {[]string{"lftp"}, "f.bin", func(u *usage) error {
		return u.wants("lftp", "-c", "set net:max-retries 3; set net:reconnect-interval-base 1; pget -n 8 '"+u.link+"' -o out")
	}},
	"`yt-dlp`": {[]string{"yt-dlp"}, "v.mp4", func(u *usage) error {
		return u.wants("yt-dlp", "-q", "--no-config", "-o", "out", u.link)
	}},
	"`ffmpeg -ss`, index at the end": {[]string{"ffmpeg"}, "v.mp4", func(u *usage) error {
		return u.run("ffmpeg", "-loglevel", "error", "-xerror", "-ss", "40", "-i", u.link, "-t", "1", "-f", "null", "-")
	}},
	"`ffprobe`, index at the end": {[]string{"ffprobe"}, "v.mp4", func(u *usage) error {
		return u.run("ffprobe", "-loglevel", "error", u.link)
	}},
	"GDAL, `/vsicurl/`": {[]string{"gdal_translate"}, "r.tif", func(u *usage) error {
		if err := u.run("gdalinfo", "/vsicurl/"+u.link); err != nil {
			return err
		}
		return u.run("gdal_translate", "-q", "-srcwin", "3000", "3000", "512", "512", "/vsicurl/"+u.link, "out.tif")
	}},
	"h5py, fsspec": {[]string{debianPython}, "d.h5", func(u *usage) error {
		return u.run(debianPython, "-c", readHDF5, u.link)
	}},
	"Firefox, `<video>` with 20 jumps":  {[]string{"firefox-esr"}, "v.mp4", plays("Firefox", jumps...)},
	"Chromium, `<video>`":               {[]string{"chromium"}, "v.mp4", plays("Chromium")},
	"Chromium, `<video>` with 20 jumps": {[]string{"chromium"}, "v.mp4", plays("Chromium", jumps...)},
}

// plays plays a video for a second and then at some shares of its length.
func plays(browser string, shares ...float64) func(*usage) error {
	return func(u *usage) error {
		got := browsersThatPlay[browser](u.t, u.link, append([]float64{}, shares...))
		if got.Error != "" || got.Played < 1 || got.Duration < 59 || len(got.Reached) < len(shares) {
			return fmt.Errorf("%+v", got)
		}
		return nil
	}
}

// jumps are the places that somebody looks for something at.
var jumps = []float64{0.9, 0.1, 0.5, 0.2, 0.8, 0.3, 0.7, 0.05, 0.6, 0.4, 0.85, 0.15, 0.55, 0.25, 0.75, 0.35, 0.95, 0.45, 0.65, 0.02}

// The file has 40 datasets in chunks; what is read are places all over it.
const (
	makeHDF5 = `
import aiohttp, fsspec, h5py, numpy, requests, sys
with h5py.File(sys.argv[1], "w") as f:
    for i in range(40):
        f.create_dataset(f"run{i}/values", data=numpy.random.default_rng(i).random((250, 250)), chunks=(50, 50))
`
	readHDF5 = `
import fsspec, h5py, sys
with fsspec.open(sys.argv[1]).open() as remote, h5py.File(remote, "r") as f:
    for i in (0, 39, 7, 30, 3, 22, 15, 36, 1, 28, 11, 33):
        values = f[f"run{i}/values"]
        assert values.shape == (250, 250)
        assert 0 < values[100:110, 100:110].mean() < 1
`
)

// sampleFiles makes the files that the programs use, of those that can be made.
func sampleFiles(t testing.TB) map[string]string {
	t.Helper()
	files := map[string]string{"f.bin": random(t, 20<<20)}
	dir := t.TempDir()
	make := func(name, needs string, args ...string) {
		if exec.Command(needs, args...).Run() == nil { // else the tests that need it say so
			files[name] = contentOf(t, filepath.Join(dir, name))
		}
	}
	make("r.tif", "gdal_create", "-q", "-outsize", "5000", "5000", "-bands", "1", "-ot", "Byte", "-burn", "7", "-co", "TILED=YES", filepath.Join(dir, "r.tif"))
	make("d.h5", debianPython, "-c", makeHDF5, filepath.Join(dir, "d.h5"))
	if _, err := exec.LookPath("ffmpeg"); err == nil {
		files["v.mp4"] = clip(t)
	}
	return files
}

// policies are what a program may need, the least first, as the table has them.
var policies = []struct{ name, config string }{
	{"`one_time`", oneTime},
	{"`resume 1h`", resumable("1h")},
	{"`resume 1h random`", resumable("1h random")},
}

// need is a row of the table.
type need struct {
	policy int
	copies float64
}

// needsOf reads the table.
func needsOf(t testing.TB) map[string]need {
	t.Helper()
	_, section, _ := strings.Cut(readText(t, referenceFile), "\n| program | needs | copies |\n|---|---|---|\n")
	section, _, _ = strings.Cut(section, "\n\n")
	needs := make(map[string]need)
	for line := range strings.Lines(section) {
		columns := strings.Split(strings.Trim(line, "|\n "), " | ")
		if len(columns) != 3 {
			t.Fatalf("not a row: %s", line)
		}
		n := need{policy: -1}
		for i := range policies {
			if policies[i].name == columns[1] {
				n.policy = i
			}
		}
		var err error
		if n.copies, err = strconv.ParseFloat(columns[2], 64); err != nil || n.policy < 0 {
			t.Fatalf("not a row: %s", line)
		}
		needs[columns[0]] = n
	}
	for name := range programs {
		if _, ok := needs[name]; !ok {
			t.Errorf("%s lacks %s", referenceFile, name)
		}
	}
	for name := range needs {
		if _, ok := programs[name]; !ok {
			t.Errorf("%s has %s, which is not tried", referenceFile, name)
		}
	}
	return needs
}

// TestPrograms: what the table in docs/reference.md says that programs need will
// do, and no less.
func TestPrograms(t *testing.T) {
	t.Parallel()
	needs, files := needsOf(t), sampleFiles(t)
	for i, policy := range policies {
		t.Run(strings.Trim(policy.name, "`"), func(t *testing.T) {
			s := startApart(t, nil, "", policy.config)
			abreast(t, 4, slices.Sorted(maps.Keys(needs)), func(t *testing.T, name string) {
				n := needs[name]
				drawn := s.try(t, name, files, i >= n.policy)
				if i == n.policy && drawn > 3*n.copies+0.5 { // on a busy machine, a browser asks again and again for what has not come yet
					t.Errorf("%.1f copies, but %s says %v", drawn, referenceFile, n.copies)
				}
			})
		})
	}
}

// abreast runs tests of programs that mostly wait, some at a time.
func abreast(t *testing.T, room int, names []string, test func(t *testing.T, name string)) {
	var wg sync.WaitGroup
	taken := make(chan struct{}, room)
	for _, name := range names {
		wg.Add(1)
		taken <- struct{}{}
		go func() {
			defer wg.Done()
			defer func() { <-taken }()
			t.Run(name, func(t *testing.T) { test(t, name) })
		}()
	}
	wg.Wait()
}

// crashed is how often a program has crashed by itself.
var crashed atomic.Int32

// try uses a link with a program, which has to work or to fail, and returns how
// many copies of the file were sent.
func (s *server) try(t *testing.T, name string, files map[string]string, works bool) float64 {
	p := programs[name]
	for _, needed := range p.needs {
		tool(t, needed)
	}
	content := files[p.file]
	if content == "" {
		missing(t, p.file+" could not be made")
	}
	if slices.Contains(p.needs, "chromium") || slices.Contains(p.needs, "firefox-esr") {
		roomForBrowser(t)
	}
	path := "/" + rand.Text() + "/" + p.file // of its own, to tell the requests apart
	s.put(path, content)
	u := &usage{t: t, dir: t.TempDir(), relay: far(t, s.url, 5*time.Millisecond), content: content, patience: 30 * time.Second}
	if !works {
		u.patience, u.begun = 8*time.Second, func() bool { return s.spent(path) > 0 }
	}
	u.link = u.relay.link(path, once(t))
	err := p.use(u)
	if err != nil && strings.Contains(err.Error(), "signal: segmentation fault") && crashed.Add(1) < 10 { // of the program itself; axel does, now and then
		t.Log(err)
		return s.try(t, name, files, works)
	}
	if err == nil != works {
		t.Errorf("works: %v; %v", err == nil, err)
	}
	if spent := s.spent(path); spent != 1 {
		t.Errorf("spent %d times", spent)
	}
	sent, statuses := 0, make(map[int]int)
	for _, line := range s.accessLines(path) {
		statuses[line.Status]++
		if line.Status < 300 && line.Request.Method == http.MethodGet {
			sent += line.Size
		}
	}
	drawn := float64(sent) / float64(len(content))
	t.Logf("%.1f copies, statuses %v", drawn, statuses)
	return drawn
}
