package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const deployFolder = "../example/deploy"

// deployed runs a Caddyfile of example/deploy as its environment says, with some of its
// text replaced. It returns the Caddy and the folder that its environment was given.
func deployed(t *testing.T, caddyfile string, env map[string]string, replace ...string) *newcomer {
	t.Helper()
	n := &newcomer{t: t, dir: t.TempDir(), address: freeAddress(t)}
	n.env = append(os.Environ(), "CADDY_ADMIN="+freeAddress(t), "XDG_DATA_HOME="+n.dir, "XDG_CONFIG_HOME="+n.dir)
	for name, value := range env {
		n.env = append(n.env, name+"="+value)
	}
	n.save(strings.NewReplacer(replace...).Replace(readText(t, filepath.Join(deployFolder, caddyfile))))
	t.Cleanup(n.serve(caddyBinary(t) + " run --config Caddyfile"))
	return n
}

// deployedFiles are a folder with a file, and a key file that only its owner can read.
func deployedFiles(t *testing.T) (files, key string) {
	t.Helper()
	files, key = t.TempDir(), filepath.Join(t.TempDir(), "key")
	write(t, filepath.Join(files, "report.pdf"), "the report")
	if err := os.WriteFile(key, []byte(secret+"\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	return files, key
}

// reportToken opens report.pdf of such a site once.
func reportToken(t *testing.T) string {
	t.Helper()
	return mint(t, claims{"scope": "download:/report.pdf", "jti": strconv.FormatInt(time.Now().UnixNano(), 36)})
}

// wantOnce opens a link twice.
func (n *newcomer) wantOnce(link string) {
	n.t.Helper()
	for _, want := range []int{http.StatusOK, http.StatusUnauthorized} {
		if status := n.open(link); status != want {
			n.t.Errorf("%d, want %d: %s", status, want, readText(n.t, n.said))
		}
	}
}

// withoutResume takes resume away, so that a second opening is refused: it would be
// served from the grant of the first.
var withoutResume = []string{"\t\tone_time {\n\t\t\tresume 30m\n\t\t}\n", "\t\tone_time\n", "\t\t\tone_time {\n\t\t\t\tresume 30m\n\t\t\t}\n", "\t\t\tone_time\n"}

// TestDeployService: systemd accepts the unit, finds little that the service could do
// besides its work, and what the unit says is what the Caddyfile reads.
func TestDeployService(t *testing.T) {
	unit := readText(t, filepath.Join(deployFolder, "caddy.service"))
	analyze := tool(t, "systemd-analyze")
	const program = "/usr/local/bin/caddy"
	file := filepath.Join(t.TempDir(), "caddy.service")
	write(t, file, strings.ReplaceAll(unit, program, caddyBinary(t)))
	if out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
	// 100 times the exposure level, of which systemd calls up to 2 OK
	if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=20", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}

	files, key := deployedFiles(t)
	state := t.TempDir()
	env := make(map[string]string)
	for _, match := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(unit, -1) {
		for field := range strings.FieldsSeq(match[1]) {
			name, value, _ := strings.Cut(field, "=")
			env[name] = value
		}
	}
	credential, source, _ := strings.Cut(regexp.MustCompile(`(?m)^LoadCredential=(.*)$`).FindStringSubmatch(unit)[1], ":")
	if env["DOWNLOAD_KEY_FILE"] != "%d/"+credential || !filepath.IsAbs(source) {
		t.Errorf("the credential %s of %s, but the key file %s", credential, source, env["DOWNLOAD_KEY_FILE"])
	}
	if env["XDG_DATA_HOME"] != "%S" || env["XDG_CONFIG_HOME"] != "%S" || !strings.Contains(unit, "\nStateDirectory=caddy\n") {
		t.Errorf("Caddy would not write into its state directory: %v", env)
	}
	wantSet(t, "Caddyfile", env)
	env["SITE_ADDRESS"], env["DOWNLOAD_FILES"], env["DOWNLOAD_KEY_FILE"] = "http://"+freeAddress(t), files, key
	env["XDG_DATA_HOME"], env["XDG_CONFIG_HOME"] = state, state
	n := deployed(t, "Caddyfile", env, withoutResume...)
	n.wantOnce(env["SITE_ADDRESS"] + "/report.pdf?download_token=" + reportToken(t))
	if kept, err := filepath.Glob(filepath.Join(state, "caddy", "download_token", "*", "*", "marks")); err != nil || len(kept) != 1 {
		t.Errorf("marks in the state directory: %q, %v", kept, err)
	}
	if entries, err := os.ReadDir(state); err != nil || len(entries) != 1 {
		t.Errorf("written beside the state directory: %v, %v", entries, err)
	}
}

// wantSet fails the test if a variable that the Caddyfile reads is not set.
func wantSet(t *testing.T, caddyfile string, env map[string]string) {
	t.Helper()
	names := regexp.MustCompile(`\{(?:env\.|\$)([A-Z_]+)\}`).FindAllStringSubmatch(readText(t, filepath.Join(deployFolder, caddyfile)), -1)
	if len(names) < 3 {
		t.Fatalf("only %d variables found", len(names))
	}
	for _, name := range names {
		if env[name[1]] == "" {
			t.Errorf("%s is not set", name[1])
		}
	}
}

// composition is what the Compose file says.
type composition struct {
	Services map[string]struct {
		Build struct{ Context, Dockerfile string }
		Ports []struct {
			Target, Published int
			Protocol          string
		}
		Environment map[string]string
		Volumes     []string
		Secrets     []struct{ Source string }
		CapDrop     []string `json:"cap_drop"`
		ReadOnly    bool     `json:"read_only"`
	}
	Volumes map[string]any
	Secrets map[string]struct{ File string }
}

// TestDeployCompose: docker-compose accepts the Compose file; what it mounts and sets
// is what the Caddyfile reads, and what the image writes is kept.
func TestDeployCompose(t *testing.T) {
	folder, err := filepath.Abs(deployFolder)
	if err != nil {
		t.Fatal(err)
	}
	resolved := run(t, "", tool(t, "docker-compose"), "--file", filepath.Join(folder, "compose.yaml"), "config")
	var compose composition
	text := run(t, resolved, python(t), "-c", "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)")
	if err := json.Unmarshal([]byte(text), &compose); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	caddy, ok := compose.Services["caddy"]
	if !ok || len(compose.Services) != 1 {
		t.Fatalf("services %v", compose.Services)
	}

	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if caddy.Build.Context != root || filepath.Join(caddy.Build.Context, caddy.Build.Dockerfile) != filepath.Join(folder, "Dockerfile") {
		t.Errorf("builds %+v", caddy.Build)
	}
	var ports []string
	for _, port := range caddy.Ports {
		ports = append(ports, fmt.Sprint(port.Published, ":", port.Target, port.Protocol))
	}
	if want := []string{"80:80", "443:443", "443:443udp"}; !slices.Equal(ports, want) {
		t.Errorf("ports %q, want %q", ports, want)
	}
	if !caddy.ReadOnly || !slices.Equal(caddy.CapDrop, []string{"ALL"}) {
		t.Errorf("read-only %v, without the capabilities %q", caddy.ReadOnly, caddy.CapDrop)
	}

	wantSet(t, "Caddyfile", caddy.Environment)
	mounts := make(map[string]string) // by where they are in the container
	for _, volume := range caddy.Volumes {
		parts := strings.Split(volume, ":")
		mounts[parts[1]] = parts[0]
		if _, named := compose.Volumes[parts[0]]; named != (parts[2] == "rw") {
			t.Errorf("%s: what is written belongs into a volume, all else is read-only", volume)
		}
	}
	for target, source := range map[string]string{
		"/data": "data", "/config": "config", // XDG_DATA_HOME and XDG_CONFIG_HOME of the image
		"/etc/caddy/Caddyfile":              filepath.Join(folder, "Caddyfile"), // which the image runs
		caddy.Environment["DOWNLOAD_FILES"]: filepath.Join(folder, "files"),
	} {
		if mounts[target] != source {
			t.Errorf("%s is %q, want %q", target, mounts[target], source)
		}
	}
	if len(caddy.Secrets) != 1 || compose.Secrets[caddy.Secrets[0].Source].File != filepath.Join(folder, "download.key") {
		t.Fatalf("secrets %v of %v", caddy.Secrets, compose.Secrets)
	}
	if want := "/run/secrets/" + caddy.Secrets[0].Source; caddy.Environment["DOWNLOAD_KEY_FILE"] != want {
		t.Errorf("the secret is %s, but Caddy reads %s", want, caddy.Environment["DOWNLOAD_KEY_FILE"])
	}

	ignored := strings.Fields(readText(t, filepath.Join(deployFolder, "Dockerfile.dockerignore")))
	for _, private := range []string{"example/deploy/download.key", "example/deploy/files"} {
		if !slices.Contains(ignored, private) {
			t.Errorf("%s would go to the builder", private)
		}
	}
}

// TestDeployDockerfile: the image is built by the command of xcaddy.md, runs as a user
// who can write where Caddy keeps its data, and takes nothing of the builder but Caddy.
func TestDeployDockerfile(t *testing.T) {
	dockerfile := strings.ReplaceAll(readText(t, filepath.Join(deployFolder, "Dockerfile")), " \\\n    ", " ")
	_, build, found := strings.Cut(readText(t, "../xcaddy.md"), "\n./dist/")
	build, _, cut := strings.Cut(build, " --output ")
	if !found || !cut || !strings.HasPrefix(build, "xcaddy build ") {
		t.Fatalf("xcaddy.md has no command: %q", build)
	}
	stages := strings.Split(dockerfile, "\nFROM ")
	if len(stages) != 3 {
		t.Fatalf("%d stages", len(stages)-1)
	}
	builder, image := stages[1], stages[2]
	const program = "/usr/bin/caddy"
	for _, line := range []string{"ENV XCADDY_SETCAP=0", "COPY . .", "RUN " + build + " --output " + program} {
		if !strings.Contains(builder, "\n"+line+"\n") {
			t.Errorf("the builder lacks %q:\n%s", line, builder)
		}
	}
	if copied := regexp.MustCompile(`(?m)^(?:COPY|ADD) .*`).FindAllString(image, -1); !slices.Equal(copied, []string{"COPY --from=builder " + program + " " + program}) {
		t.Errorf("the image takes %q", copied)
	}
	user := regexp.MustCompile(`(?m)^USER ([1-9]\d*:[1-9]\d*)$`).FindStringSubmatch(image)
	if user == nil || !strings.Contains(image, "\nRUN chown -R "+user[1]+" /data /config\n") {
		t.Errorf("the user %q does not own /data and /config:\n%s", user, image)
	}
}

// TestDeployBehindNginx: a link works once through the real nginx; Caddy sees the
// client's address whatever the client claims, and no log of nginx has a token, not
// even when Caddy is down.
func TestDeployBehindNginx(t *testing.T) {
	files, key := deployedFiles(t)
	caddyAddress, address, dir := freeAddress(t), freeAddress(t), t.TempDir()
	certificate, private := filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	run(t, "", tool(t, "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=download.example.com", "-keyout", private, "-out", certificate)
	site := strings.NewReplacer(
		"listen 443 ssl", "listen "+address+" ssl", "http://127.0.0.1:8080", "http://"+caddyAddress,
		"/etc/nginx/download.crt", certificate, "/etc/nginx/download.pem", private, "/var/log/nginx", dir,
	).Replace(readText(t, filepath.Join(deployFolder, "behind-proxy", "nginx.conf")))
	nginxSite(t, dir, address, site)

	n := deployed(t, "behind-proxy/Caddyfile", map[string]string{"DOWNLOAD_FILES": files, "DOWNLOAD_KEY_FILE": key},
		slices.Concat(withoutResume, []string{":8080 {", "http://download.example.com:" + portOf(caddyAddress) + " {"})...)
	token := reportToken(t)
	get := func() string {
		return run(t, "", tool(t, "curl"), "-sk", "-w", " %{http_code}", "-H", "X-Forwarded-For: 203.0.113.7",
			"--connect-to", "::"+address, "https://download.example.com/report.pdf?download_token="+token)
	}
	if got := get(); got != "the report 200" {
		t.Errorf("%q: %s", got, readText(t, n.said))
	}
	if got := get(); !strings.Contains(got, `"reason":"used"`) || !strings.HasSuffix(got, " 401") {
		t.Errorf("the second time: %q", got)
	}
	n.wantSaid(`"client_ip":"127.0.0.1"`)
	if said := readText(t, n.said); strings.Contains(said, `"client_ip":"203.0.113.7"`) || strings.Contains(said, token) {
		t.Errorf("Caddy logs %s", said)
	}
	n.stop()
	token = reportToken(t)
	if got := get(); !strings.HasSuffix(got, " 502") {
		t.Errorf("without Caddy: %q", got)
	}
	logged := ""
	eventually(t, func() bool {
		logged = readText(t, filepath.Join(dir, "download.log")) + readText(t, filepath.Join(dir, "download-error.log"))
		return strings.Count(logged, "/report.pdf") == 3
	})
	if strings.Contains(logged, "eyJ") {
		t.Errorf("nginx logs %s", logged)
	}
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// TestDeployBehindCaddy is the same with a Caddy in front.
func TestDeployBehindCaddy(t *testing.T) {
	files, key := deployedFiles(t)
	address := freeAddress(t)
	back := deployed(t, "behind-proxy/Caddyfile", map[string]string{"DOWNLOAD_FILES": files, "DOWNLOAD_KEY_FILE": key},
		slices.Concat(withoutResume, []string{":8080 {", ":" + portOf(address) + " {"})...)
	url := "http://" + freeAddress(t)
	front := deployed(t, "front/Caddyfile", map[string]string{"SITE_ADDRESS": url}, "127.0.0.1:8080", address)
	token := reportToken(t)
	front.wantOnce(url + "/report.pdf?download_token=" + token)
	back.stop()
	unused := reportToken(t)
	if status := front.open(url + "/report.pdf?download_token=" + unused); status != http.StatusBadGateway {
		t.Errorf("without the one behind: %d", status)
	}
	for _, n := range []*newcomer{front, back} {
		if said := readText(t, n.said); strings.Contains(said, "eyJ") || !strings.Contains(said, "/report.pdf") {
			t.Errorf("logged: %s", said)
		}
	}
}

// TestDeployBehindCDN: the address of the client is what the network says, and only
// the network gets in.
func TestDeployBehindCDN(t *testing.T) {
	files, key := deployedFiles(t)
	env := map[string]string{"SITE_ADDRESS": "http://" + freeAddress(t), "DOWNLOAD_FILES": files, "DOWNLOAD_KEY_FILE": key}
	wantSet(t, "cdn/Caddyfile", env)
	n := deployed(t, "cdn/Caddyfile", env, append(withoutResume, "192.0.2.0/24", "127.0.0.1")...)
	link := env["SITE_ADDRESS"] + "/report.pdf?download_token=" + reportToken(t)
	curl := func(arguments ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), tool(t, "curl"), append(arguments, "-s", "-w", " %{http_code}", link)...).Output()
		return string(out), err
	}
	if out, err := curl("--interface", "127.0.0.2"); err == nil {
		t.Errorf("around the network: %q", out)
	}
	if out, err := curl("-H", "X-Forwarded-For: 198.51.100.9, 203.0.113.7"); err != nil || out != "the report 200" {
		t.Errorf("%q, %v: %s", out, err, readText(t, n.said))
	}
	n.wantSaid(`"client_ip":"203.0.113.7"`)
}
