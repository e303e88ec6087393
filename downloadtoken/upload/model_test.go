package upload

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

var operations = flag.Int("operations", 500, "how many uploads TestModel tries")

// trial is one upload, made at random.
type trial struct {
	form                             bool
	folder, name                     string // the folder with a slash, "" or "d/" or "none/"
	content                          []byte
	chunked, cut, wrongSum, onlyNew  bool
	creates, overwrites, makes, html bool
	limit                            int // claim max_size, 0: none
}

// maxTrial is max_size of the site.
const maxTrial = 3000

func newTrial(r *rand.Rand) trial {
	coin := func(n int) bool { return r.IntN(n) == 0 }
	c := trial{
		form: coin(2), folder: []string{"", "d/", "d/e/", "none/"}[r.IntN(4)], name: fmt.Sprintf("%d.txt", r.IntN(6)),
		chunked: coin(3), cut: coin(8), wrongSum: coin(10), onlyNew: coin(4),
		creates: !coin(6), overwrites: coin(2), makes: coin(3), html: coin(4),
	}
	size := r.IntN(maxTrial)
	if coin(3) {
		c.limit = 1 + r.IntN(maxTrial+500)
		size = max(0, c.limit-2+r.IntN(4))
	} else if coin(3) {
		size = maxTrial - 2 + r.IntN(4)
	} else if coin(10) {
		size = 200_000
	}
	c.cut = c.cut && size > 0
	c.content = bytes.Repeat([]byte{byte('a' + r.IntN(26))}, size)
	return c
}

// want is the status of a trial, 0: there is none to be read.
func (c trial) want(files map[string]string) int {
	_, exists := files[c.folder+c.name]
	_, there := files[c.folder]
	limit := maxTrial
	if c.limit > 0 {
		limit = min(limit, c.limit)
	}
	switch {
	case !c.chunked && len(c.content) > limit && (!c.form || len(c.content) > limit+formBytes):
		return 413 // which Content-Length tells
	case !c.creates && !c.overwrites, !c.creates && !exists:
		return 403
	case exists && (!c.overwrites || c.onlyNew):
		return 412
	case c.folder != "" && !there && !c.makes:
		return 409
	case len(c.content) > limit:
		return 413
	case c.cut:
		return 0
	case c.wrongSum:
		return 422
	case exists && c.html:
		return 200
	case exists:
		return 204
	}
	return 201
}

// TestModel: whatever is uploaded, the files are those of a model; so none is partial, too
// large, or written over without the permission.
func TestModel(t *testing.T) {
	eachKind(t, func(t *testing.T) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		s := newSite(t, &Upload{MaxSize: maxTrial, Mkdir: true})
		model := make(map[string]string)
		statuses := make(map[int]int)
		for i := range *operations {
			if i%200 == 0 { // begin anew, so that there is something to create
				for name := range model {
					s.remove(name)
				}
				model = map[string]string{"d/": ""}
				s.mkdir("d")
			}
			c := newTrial(r)
			want := c.want(model)
			got, err := s.try(c)
			early := err != nil && want >= 400 && len(c.content) > 100_000 // refused while the client was sending
			if got != want && !(c.cut && got/100 != 2) && !early {
				size := len(c.content)
				c.content = nil
				t.Fatalf("trial %d: %d, %v, want %d: %d bytes, %+v", i, got, err, want, size, c)
			}
			statuses[want]++
			if want/100 == 2 {
				model[c.folder+c.name] = string(c.content)
				for at, letter := range c.folder {
					if letter == '/' {
						model[c.folder[:at+1]] = ""
					}
				}
			}
			if i%10 == 0 || i == *operations-1 {
				left := s.files()
				for deadline := time.Now().Add(30 * time.Second); !maps.Equal(left, model) && time.Now().Before(deadline); left = s.files() {
					time.Sleep(time.Millisecond) // the server may not have noticed yet that a client is gone
				}
				if !maps.Equal(left, model) {
					t.Fatalf("trial %d: %q are left, want %q", i, slices.Sorted(maps.Keys(left)), slices.Sorted(maps.Keys(model)))
				}
			}
		}
		for _, status := range []int{0, 200, 201, 204, 403, 409, 412, 413, 422} {
			if statuses[status] == 0 && *operations >= 500 {
				t.Errorf("no trial ended in %d", status)
			}
		}
		t.Logf("statuses: %v", statuses)
	})
}

// try sends a trial. A body that is cut ends in an error of the client.
func (s *site) try(c trial) (status int, err error) {
	claims := make(map[string]any)
	if c.limit > 0 {
		claims["max_size"] = c.limit
	}
	if c.wrongSum {
		claims["sha256"] = hex.EncodeToString(make([]byte, 32))
	}
	s.mu.Lock()
	s.claims = claimsOf(s.t, claims)
	s.permits = func(op scope.Operation, path string) bool {
		switch op {
		case scope.CreateFile:
			return c.creates && path == "/"+c.folder+c.name
		case scope.OverwriteFile:
			return c.overwrites && path == "/"+c.folder+c.name
		}
		return op == scope.CreateFolder && c.makes && strings.HasPrefix("/"+c.folder, path+"/")
	}
	s.mu.Unlock()
	method, url := http.MethodPut, s.URL+"/"+c.folder+c.name
	body, contentType := bytes.NewBuffer(slices.Clone(c.content)), ""
	if c.form {
		method, url = http.MethodPost, s.URL+"/"+c.folder
		body, contentType = form(nil, c.name, "", string(c.content))
	}
	size := body.Len()
	var reader io.Reader = body
	if c.cut {
		reader = io.MultiReader(io.LimitReader(body, int64(size/2)), broken{})
	}
	req, err := http.NewRequest(method, url, struct{ io.Reader }{reader})
	if err != nil {
		return 0, err
	}
	if !c.chunked {
		req.ContentLength = int64(size)
	}
	if c.chunked && size == 0 || size == 0 {
		req.Body = http.NoBody
	}
	req.Header.Set("Content-Type", contentType)
	if c.onlyNew {
		req.Header.Set("If-None-Match", "*")
	}
	if c.html {
		req.Header.Set("Accept", "text/html")
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// broken is where a client goes away.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }
