package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// firefox is a Firefox without a window, driven by Marionette, the protocol that
// geckodriver speaks to it: over TCP, a length, a colon and a JSON array.
type firefox struct {
	t         testing.TB
	conn      net.Conn
	reader    *bufio.Reader
	last      int    // command
	downloads string // folder
}

// startFirefox starts one with a profile of its own. It saves downloads without
// asking. Preferences are lines of user.js.
func startFirefox(t testing.TB, preferences ...string) *firefox {
	t.Helper()
	program, profile := tool(t, "firefox-esr"), t.TempDir()
	f := &firefox{t: t, downloads: t.TempDir()}
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	set := func(name string, value any) {
		text, _ := json.Marshal(value)
		preferences = append(preferences, fmt.Sprintf("user_pref(%q, %s);", name, text))
	}
	number, _ := strconv.Atoi(port)
	set("marionette.port", number)
	set("browser.download.folderList", 2)
	set("browser.download.dir", f.downloads)
	set("browser.download.alwaysOpenPanel", false)
	set("browser.helperApps.neverAsk.saveToDisk", "application/octet-stream")
	set("media.autoplay.default", 0)
	set("media.autoplay.blocking_policy", 0)
	set("dom.security.https_first", false)
	for _, quiet := range []string{ // nothing that goes to the network by itself
		"app.update.enabled", "app.normandy.enabled", "browser.safebrowsing.malware.enabled", "browser.safebrowsing.phishing.enabled",
		"browser.safebrowsing.downloads.enabled", "datareporting.healthreport.uploadEnabled", "datareporting.policy.dataSubmissionEnabled",
		"extensions.update.enabled", "network.captive-portal-service.enabled", "network.connectivity-service.enabled",
		"toolkit.telemetry.enabled", "browser.region.network.url", "browser.topsites.contile.enabled", "network.prefetch-next",
	} {
		if strings.HasSuffix(quiet, ".url") {
			set(quiet, "")
		} else {
			set(quiet, false)
		}
	}
	write(t, filepath.Join(profile, "user.js"), strings.Join(preferences, "\n")+"\n")

	cmd := exec.Command(program, "--marionette", "--headless", "--no-remote", "-profile", profile, "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+profile, "MOZ_CRASHREPORTER_DISABLE=1", "MOZ_DISABLE_AUTO_SAFE_MODE=1")
	output := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		if f.conn != nil {
			_, _ = f.try("Marionette:Quit", map[string]any{"flags": []string{"eForceQuit"}})
			f.conn.Close()
		}
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var err error
		if f.conn, err = net.Dial("tcp", address); err == nil {
			break
		}
		select {
		case <-ended:
			t.Fatalf("Firefox has ended: %s", output)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("Firefox does not listen")
		}
	}
	f.reader = bufio.NewReader(f.conn)
	if _, err := f.receive(); err != nil { // the greeting
		t.Fatal(err)
	}
	f.call("WebDriver:NewSession", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{"pageLoadStrategy": "eager"}}}, nil)
	f.call("WebDriver:SetTimeouts", map[string]any{"script": 60000, "pageLoad": 30000, "implicit": 10000}, nil)
	return f
}

// receive reads a message.
func (f *firefox) receive() ([]byte, error) {
	_ = f.conn.SetReadDeadline(time.Now().Add(90 * time.Second))
	length, err := f.reader.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil {
		return nil, err
	}
	message := make([]byte, n)
	_, err = io.ReadFull(f.reader, message)
	return message, err
}

// try sends a command and waits for its result.
func (f *firefox) try(command string, parameters any) (json.RawMessage, error) {
	f.last++
	text, err := json.Marshal([]any{0, f.last, command, parameters})
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(f.conn, "%d:%s", len(text), text); err != nil {
		return nil, err
	}
	for {
		message, err := f.receive()
		if err != nil {
			return nil, err
		}
		var answer [4]json.RawMessage
		if err := json.Unmarshal(message, &answer); err != nil {
			return nil, err
		}
		if string(answer[1]) != strconv.Itoa(f.last) {
			continue
		}
		if string(answer[2]) != "null" {
			return nil, fmt.Errorf("%s: %s", command, answer[2])
		}
		return answer[3], nil
	}
}

// call is try for what must not fail. Most results are {"value": ...}.
func (f *firefox) call(command string, parameters, value any) {
	f.t.Helper()
	if parameters == nil {
		parameters = map[string]any{}
	}
	result, err := f.try(command, parameters)
	if err != nil {
		f.t.Fatal(err)
	}
	if value == nil {
		return
	}
	var wrapped struct{ Value json.RawMessage }
	if err := json.Unmarshal(result, &wrapped); err == nil && wrapped.Value != nil {
		result = wrapped.Value
	}
	if err := json.Unmarshal(result, value); err != nil {
		f.t.Fatalf("%s: %v in %s", command, err, result)
	}
}

// open opens a link in a new tab and returns the tab.
func (f *firefox) open(link string) string {
	f.t.Helper()
	var tab struct{ Handle string }
	f.call("WebDriver:NewWindow", map[string]any{"type": "tab"}, &tab)
	f.show(tab.Handle)
	if link != "" {
		f.call("WebDriver:Navigate", map[string]any{"url": link}, nil)
	}
	return tab.Handle
}

func (f *firefox) show(tab string) {
	f.t.Helper()
	f.call("WebDriver:SwitchToWindow", map[string]any{"handle": tab}, nil)
}

// run runs the body of an async function in the page.
func (f *firefox) run(script string, value any, arguments ...any) {
	f.t.Helper()
	if arguments == nil {
		arguments = []any{}
	}
	result := struct {
		Value any
		Error string
	}{Value: value}
	f.call("WebDriver:ExecuteAsyncScript", map[string]any{"args": arguments, "script": `
const done = arguments[arguments.length - 1];
(async (...input) => {` + script + `})(...arguments).then((value) => done({ value }), (error) => done({ error: String(error) }));
`}, &result)
	if result.Error != "" {
		f.t.Fatal(result.Error)
	}
}

// text is what the page of the tab says.
func (f *firefox) text() string {
	f.t.Helper()
	var body map[string]string
	f.call("WebDriver:FindElement", map[string]any{"using": "css selector", "value": "body"}, &body)
	var text string
	for _, id := range body {
		f.call("WebDriver:GetElementText", map[string]any{"id": id}, &text)
	}
	return text
}

// click presses the first element that the selector finds, with the mouse, as
// often as there are pauses and once more.
func (f *firefox) click(selector string, pauses ...time.Duration) {
	f.t.Helper()
	var element map[string]string
	f.call("WebDriver:FindElement", map[string]any{"using": "css selector", "value": selector}, &element)
	press := func() []map[string]any {
		return []map[string]any{{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}}
	}
	actions := append([]map[string]any{{"type": "pointerMove", "x": 0, "y": 0, "origin": element}}, press()...)
	for _, pause := range pauses {
		actions = append(append(actions, map[string]any{"type": "pause", "duration": pause.Milliseconds()}), press()...)
	}
	f.call("WebDriver:PerformActions", map[string]any{"actions": []any{
		map[string]any{"type": "pointer", "id": "mouse", "parameters": map[string]any{"pointerType": "mouse"}, "actions": actions},
	}}, nil)
}

// saved is the content of a download that is complete, or "".
func (f *firefox) saved(name string) string {
	f.t.Helper()
	file := filepath.Join(f.downloads, name)
	if _, err := os.Stat(file + ".part"); err == nil {
		return ""
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(content)
}
