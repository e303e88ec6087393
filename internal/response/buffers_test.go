package response

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// memoryOf is a client that notes in which memory the bytes come, and what memory the
// pool gives to another request meanwhile.
type memoryOf struct {
	client
	wrote, other *byte
	err          error
}

func (m *memoryOf) Write(p []byte) (int, error) {
	if m.wrote == nil {
		m.wrote = &p[0]
		return len(p), m.err
	}
	return len(p), nil
}

// ReadFrom is what copies the rest of a large file.
func (m *memoryOf) ReadFrom(src io.Reader) (int64, error) {
	another := buffers.Get().(*[smallFile]byte)
	m.other = &another[0]
	return io.Copy(io.Discard, src)
}

// usedAgain tells how often, in a number of tries, the memory of one answer is that of
// another, made after it or while its rest is copied.
func usedAgain(tries int, size int64, err error) (again int) {
	for range tries {
		m := &memoryOf{err: err}
		d := &Delivery{Policy: new(Policy), Gate: &fakeGate{client: &m.client}}
		d.Begin(m, asking(http.MethodGet, "/a"))
		_, _ = io.CopyN(d, noWriterTo{strings.Repeat("x", int(size))}.reader(), size)
		if m.other == nil {
			another := buffers.Get().(*[smallFile]byte)
			m.other = &another[0]
		}
		if m.other == m.wrote {
			again++
		}
	}
	return again
}

// TestBuffers: memory that the server may still be reading, as the one of HTTP/2 does
// when its stream was reset, is not given to another request. Other memory is, and that
// of the first bytes of a large file before the rest is copied, which can take hours.
func TestBuffers(t *testing.T) {
	for name, size := range map[string]int64{"small": 1000, "large": 10 * smallFile} {
		if again := usedAgain(100, size, errors.New("stream closed")); again > 0 {
			t.Errorf("a %s file: memory of a write that failed is used again (%d times)", name, again)
		}
		if usedAgain(100, size, nil) == 0 {
			t.Errorf("a %s file: memory is not used again", name)
		}
	}
}
