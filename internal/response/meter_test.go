package response

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// account is a [Budget] that keeps its books.
type account struct {
	left, atATime   int64 // atATime: the most that a draw takes; 0: all that is asked for
	drawn, returned int64
	draws           int
	fails           error // of draws once nothing is left
}

func (a *account) Draw(_ context.Context, n int64) (int64, error) {
	if n <= 0 {
		panic(fmt.Sprintf("%d bytes are drawn", n))
	}
	a.draws++
	if a.left == 0 {
		return 0, a.fails
	}
	n = min(n, a.left)
	if a.atATime > 0 {
		n = min(n, a.atATime)
	}
	a.left -= n
	a.drawn += n
	return n, nil
}

func (a *account) Return(n int64) {
	if n < 0 || a.returned+n > a.drawn {
		panic(fmt.Sprintf("%d bytes are returned, of %d", n, a.drawn-a.returned))
	}
	a.left += n
	a.returned += n
}

var errStore = errors.New("the store failed")

// metered has next answer on a budget, of which the gate draws something ahead.
func metered(a *account, c *client, r *http.Request, prepay int64, next func(w http.ResponseWriter) error) (d *Delivery, panicked any, err error) {
	d = &Delivery{Gate: &fakeGate{client: c, meter: func() (*Meter, error) {
		m := NewMeter(r.Context(), a)
		if prepay > 0 {
			if err := m.Prepay(prepay); err != nil {
				return nil, err
			}
		}
		return m, nil
	}}}
	panicked, err = deliver(d, c, r, func(w http.ResponseWriter, _ *http.Request) error { return next(w) })
	return d, panicked, err
}

// TestMeter: what an answer of ten bytes draws, and what it gives back. A large file is
// copied by the server itself.
func TestMeter(t *testing.T) {
	const large = 100 << 10
	write := func(w http.ResponseWriter) error { _, err := io.WriteString(w, "0123456789"); return err }
	copied := func(w http.ResponseWriter) error {
		_, err := io.Copy(w, noWriterTo{strings.Repeat("x", large)}.reader())
		return err
	}
	sent := func(w http.ResponseWriter) error { // as file_server does it
		_, err := io.CopyN(w, noWriterTo{strings.Repeat("x", large)}.reader(), large)
		return err
	}
	short := func(w http.ResponseWriter) error { // a file that was cut short meanwhile
		_, err := io.CopyN(w, noWriterTo{strings.Repeat("x", large)}.reader(), 3*large)
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	for name, tt := range map[string]struct {
		account  account
		prepay   int64
		next     func(w http.ResponseWriter) error
		written  int
		returned int64
		broke    error
	}{
		"written":               {account{left: 100}, 0, write, 10, 0, nil},
		"in small draws":        {account{left: 100, atATime: 3}, 0, write, 10, 0, nil},
		"all that there is":     {account{left: 10}, 0, write, 10, 0, nil},
		"more than there is":    {account{left: 9}, 0, write, 9, 0, ErrBudget},
		"nothing is left":       {account{}, 0, write, 0, 0, ErrBudget},
		"the store fails":       {account{fails: errStore}, 0, write, 0, 0, errStore},
		"the store fails later": {account{left: 4, fails: errStore}, 0, write, 4, 0, errStore},
		"prepaid":               {account{left: 10}, 10, write, 10, 0, nil},
		"prepaid in part":       {account{left: 10, atATime: 4}, 10, write, 10, 0, nil},
		"prepaid too much":      {account{left: 100}, 50, write, 10, 40, nil},
		"prepaid, and an error": {account{left: 100}, 50, func(w http.ResponseWriter) error {
			w.WriteHeader(200)
			return errSite
		}, 0, 50, nil},
		"prepaid, and 404":            {account{left: 100}, 50, func(w http.ResponseWriter) error { w.WriteHeader(404); return write(w) }, 10, 50, nil},
		"404 costs nothing":           {account{}, 0, func(w http.ResponseWriter) error { w.WriteHeader(404); return write(w) }, 10, 0, nil},
		"404, copied":                 {account{}, 0, func(w http.ResponseWriter) error { w.WriteHeader(404); return copied(w) }, large, 0, nil},
		"copied":                      {account{left: large}, 0, copied, large, -1, nil},
		"copied in small draws":       {account{left: 2 * large, atATime: 1000}, 0, copied, large, -1, nil},
		"copied, more than there is":  {account{left: large - 1}, 0, copied, large - 1, 0, ErrBudget},
		"copied, and the store fails": {account{left: large / 2, fails: errStore}, 0, copied, large / 2, 0, errStore},
		"sent":                        {account{left: large}, 0, sent, large, 0, nil},
		"sent in small draws":         {account{left: 2 * large, atATime: 1000}, 0, sent, large, 0, nil},
		"sent, prepaid":               {account{left: large}, large / 2, sent, large, 0, nil},
		"sent, more than there is":    {account{left: large - 1}, 0, sent, large - 1, 0, ErrBudget},
		"sent, and the store fails":   {account{left: large / 2, fails: errStore}, 0, sent, large / 2, 0, errStore},
		"sent, less than was said":    {account{left: 10 * large}, 0, short, large, -1, nil},
	} {
		for protocol, major := range map[string]int{"HTTP/1.1": 1, "HTTP/2.0": 2} {
			c, a := new(client), tt.account
			r := asking(http.MethodGet, "/a")
			r.ProtoMajor = major
			began := a.left
			d, panicked, err := metered(&a, c, r, tt.prepay, tt.next)
			if panicked == nil != (tt.broke == nil) || panicked != nil && panicked != http.ErrAbortHandler {
				t.Errorf("%s, %s: panic %v, %v", name, protocol, panicked, err)
			}
			if got := d.Meter().Broke(); got != tt.broke {
				t.Errorf("%s, %s: broke off with %v", name, protocol, got)
			}
			counted := int64(tt.written)
			if c.status >= 300 {
				counted = 0
			}
			if c.body.Len() != tt.written || a.left != began-counted || tt.returned >= 0 && a.returned != tt.returned {
				t.Errorf("%s, %s: %d bytes, %d left of %d, %d returned", name, protocol, c.body.Len(), a.left, began, a.returned)
			}
		}
	}
}

// TestMeterPrepays: an answer of which not one byte can be sent is refused before its
// header.
func TestMeterPrepays(t *testing.T) {
	for name, tt := range map[string]struct {
		account account
		want    error
	}{
		"enough": {account{left: 10}, nil}, "a byte": {account{left: 1}, nil}, "nothing": {account{}, ErrBudget}, "a failure": {account{fails: errStore}, errStore},
	} {
		if err := NewMeter(t.Context(), &tt.account).Prepay(10); err != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (*Meter)(nil).Broke(); err != nil {
		t.Error(err)
	}
}

// TestMeterOfAPanic: what was drawn and never handed to the server is given back, and
// what was handed over is not, whatever became of it.
func TestMeterOfAPanic(t *testing.T) {
	for name, tt := range map[string]struct {
		fails func(int) (int, error)
		left  int64
	}{
		"everything went out":   {nil, 60},
		"the server says a few": {func(int) (int, error) { return 3, errSite }, 60},
		"it says nothing":       {func(int) (int, error) { return 0, errSite }, 60},
	} {
		c, a := &client{fails: tt.fails}, account{left: 100}
		_, panicked, _ := metered(&a, c, asking(http.MethodGet, "/a"), 70, func(w http.ResponseWriter) error {
			_, _ = w.Write(make([]byte, 40))
			panic(http.ErrAbortHandler)
		})
		if panicked != http.ErrAbortHandler || a.left != tt.left {
			t.Errorf("%s: %d left, panic %v", name, a.left, panicked)
		}
	}
}

// TestNoMoreIsWrittenThanDrawn has handlers write as they like, to servers that fail
// when they like. At each moment, what was handed to the server is covered by what was
// drawn; at the end of an answer nothing else stays drawn.
func TestNoMoreIsWrittenThanDrawn(t *testing.T) {
	for seed := range uint64(3_000) {
		random := rand.New(rand.NewPCG(seed, 1))
		size := []int64{0, 100, 5_000, 200_000}[random.IntN(4)]
		a := account{left: random.Int64N(size + 1), atATime: []int64{0, 1 + size/7, 1 + size/2}[random.IntN(3)]}
		began := a.left
		var handed int64 // to the server, by all answers
		var lost int64   // with answers that the server did not take
		for range 1 + random.IntN(4) {
			c := new(client)
			failing := random.IntN(4) == 0
			c.fails = func(n int) (int, error) {
				handed += int64(n)
				if handed > a.drawn-a.returned {
					t.Fatalf("seed %d: %d bytes are handed over, %d are drawn", seed, handed, a.drawn-a.returned)
				}
				if failing && random.IntN(5) == 0 {
					return random.IntN(n + 1), errSite
				}
				return n, nil
			}
			r := asking(http.MethodGet, "/a")
			r.ProtoMajor = 1 + random.IntN(2)
			_, panicked, err := metered(&a, c, r, size/2*random.Int64N(2), func(w http.ResponseWriter) error {
				for range 1 + random.IntN(6) {
					part := noWriterTo{strings.Repeat("x", random.IntN(int(size)+1))}
					var err error
					switch random.IntN(4) {
					case 0:
						_, err = w.Write([]byte(part.content))
					case 1:
						_, err = io.Copy(w, part.reader())
					case 2:
						_, err = io.CopyN(w, part.reader(), random.Int64N(2*size+1))
					case 3:
						err = http.NewResponseController(w).Flush()
					}
					if err != nil && !errors.Is(err, io.EOF) {
						if random.IntN(2) == 0 {
							panic(http.ErrAbortHandler) // as reverse_proxy does
						}
						return err
					}
				}
				return nil
			})
			if panicked != nil && panicked != http.ErrAbortHandler {
				t.Fatalf("seed %d: %v", seed, panicked)
			}
			if drawn := a.drawn - a.returned; drawn < handed+lost || a.left != began-drawn {
				t.Fatalf("seed %d: %d drawn, %d handed over, %d left of %d", seed, drawn, handed, a.left, began)
			} else if failing {
				lost = drawn - handed
			} else if drawn != handed+lost {
				t.Fatalf("seed %d: %d stay drawn, %d were handed over, %d were lost (%v)", seed, drawn, handed, lost, err)
			}
		}
	}
}
