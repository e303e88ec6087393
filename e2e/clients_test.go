package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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
	link    string
	content string        // of the file
	limit   *atomic.Int64 // bytes after which connections are cut; 0: never
}

// run runs a program.
func (u *usage) run(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(u.t.Context(), 45*time.Second)
	defer cancel()
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
		return fmt.Errorf("%d bytes instead of %d, %w", len(got), len(u.content), errors.Join(err, failed))
	}
	return failed
}

// broken is wants for a program whose first connection is cut.
func (u *usage) broken(name string, args ...string) error {
	u.limit.Store(int64(len(u.content) / 2))
	if u.run(name, args...) == nil {
		return errors.New("nothing was cut")
	}
	u.limit.Store(0)
	return u.wants(name, args...)
}

// debianPython is an interpreter that has the packages.
const debianPython = "/usr/bin/python3"

// programs are by the names in the table.
var programs = map[string]program{
	"`curl`, `wget`, whole": {[]string{"curl"}, "f.bin", func(u *usage) error {
		return u.wants("curl", "-sf", "-o", "out", u.link)
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
	"Firefox, `<video>`, 12 jumps": {[]string{"firefox-esr"}, "v.mp4", func(u *usage) error {
		return jumped(browsersThatPlay["Firefox"](u.t, u.link, scrubs))
	}},
	"Chromium, `<video>`, 12 jumps": {[]string{"chromium"}, "v.mp4", func(u *usage) error {
		return jumped(browsersThatPlay["Chromium"](u.t, u.link, scrubs))
	}},
}

func jumped(got played) error {
	if got.Error != "" || len(got.Reached) != len(scrubs) {
		return fmt.Errorf("%+v", got)
	}
	return nil
}

// The file has 40 datasets in chunks; what is read are places all over it.
const (
	makeHDF5 = `
import h5py, numpy, sys
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
		if path, err := exec.LookPath(needs); err == nil {
			if exec.Command(path, args...).Run() == nil {
				files[name] = contentOf(t, filepath.Join(dir, name))
			}
		}
	}
	make("r.tif", "gdal_create", "-q", "-outsize", "5000", "5000", "-bands", "1", "-ot", "Byte", "-burn", "7", "-co", "TILED=YES", filepath.Join(dir, "r.tif"))
	make("d.h5", debianPython, "-c", makeHDF5, filepath.Join(dir, "d.h5"))
	if _, err := exec.LookPath("ffmpeg"); err == nil {
		files["v.mp4"] = clip(t)
	}
	return files
}

// TestClients: what the table in docs/reference.md says of programs is so.
func TestClients(t *testing.T) {
	files := sampleFiles(t)
	for policy, config := range map[string]string{
		"one_time": oneTime, "resume 1h": resumable("1h"), "resume 1h 20": resumable("1h 20"),
	} {
		t.Run(policy, func(t *testing.T) {
			s := start(t, nil, config)
			for i, name := range slices.Sorted(maps.Keys(programs)) {
				p := programs[name]
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					for _, needed := range p.needs {
						tool(t, needed)
					}
					if files[p.file] == "" {
						missing(t, p.file+" could not be made")
					}
					path := fmt.Sprintf("/%d/%s", i, p.file) // of its own, to tell the requests apart
					s.put(path, files[p.file])
					u := &usage{t: t, dir: t.TempDir(), content: files[p.file], limit: new(atomic.Int64)}
					u.link = throttle(t, strings.TrimPrefix(far(t, s.url, 5*time.Millisecond).url, "http://"), u.limit) + path + "?download_token=" + once(t)
					began := time.Now()
					err := p.use(u)
					sent, statuses := 0, map[int]int{}
					for _, line := range s.accessLines(path) {
						statuses[line.Status]++
						if line.Status < 300 && line.Request.Method == "GET" {
							sent += line.Size
						}
					}
					t.Logf("TABLE %-35s %-14s works %v, %.1f copies, %v %.1fs %.250v", name, policy, err == nil, float64(sent)/float64(len(u.content)), statuses, time.Since(began).Seconds(), err)
				})
			}
		})
	}
}
