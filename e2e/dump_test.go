package e2e
import ("testing";"strings";"encoding/json")
func dump(t *testing.T, s *server) {
	for _, l := range strings.Split(s.logs(), "\n") {
		if strings.Contains(l, "http.log.access") {
			var e struct {
				Request struct {
					Method, URI string
					Headers     map[string][]string
				}
				Status, Size int
				Duration float64
				TS float64
			}
			json.Unmarshal([]byte(l), &e)
			t.Log(e.TS, e.Duration, e.Request.Method, e.Request.URI, e.Status, e.Size, e.Request.Headers["Range"], e.Request.Headers["Accept"], e.Request.Headers["Sec-Fetch-Dest"])
		}
		if strings.Contains(l, "request refused") { t.Log(l) }
	}
}
