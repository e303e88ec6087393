package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// used makes a file with one used token, and returns its path and content.
func used(t *testing.T) (path string, content []byte) {
	t.Helper()
	path = filepath.Join(scratch(t), "tokens.bolt")
	e := opened(t, path)
	for i := range 500 {
		if err := spendToken(e, numbered(i), start); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

// TestUnusableFiles: what is not a whole file of this store is an error that says so,
// and is not changed by a byte.
func TestUnusableFiles(t *testing.T) {
	path, whole := used(t)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others can read the file: %v, %v", info.Mode(), err)
	}
	changed := func(change func(tx *bbolt.Tx) error) []byte {
		other := filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(other, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bbolt.Open(other, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(change), db.Close()); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(other)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	in := func(key, value []byte) []byte {
		return changed(func(tx *bbolt.Tx) error { return tx.Bucket(bucketStore).Put(key, value) })
	}
	zeros := func(from, to int) []byte {
		content := bytes.Clone(whole)
		clear(content[from:to])
		return content
	}
	inUse := 0 // the bytes that a whole file has at least
	changed(func(tx *bbolt.Tx) error { inUse = int(tx.Size()); return nil })
	for name, file := range map[string]struct {
		content []byte
		says    string
	}{
		"empty":            {nil, "not one of a bolt store"},
		"text":             {[]byte("hello"), "not one of a bolt store"},
		"long text":        {bytes.Repeat([]byte("hello, world\n"), 10_000), "not one of a bolt store"},
		"zeros":            {make([]byte, len(whole)), "not one of a bolt store"},
		"another's":        {changed(func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketStore) }), "not one of a bolt store"},
		"newer":            {in(keyFormat, binary.BigEndian.AppendUint32(nil, format+1)), "one of a newer version of download_token (format 2; this one knows 1)"},
		"no format":        {in(keyFormat, nil), "not one of a bolt store"},
		"a bucket is gone": {changed(func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketTokens) }), "damaged"},
		"a wrong count":    {in(keyCount, binary.BigEndian.AppendUint64(nil, 499)), "damaged"},
		"a token is gone": {changed(func(tx *bbolt.Tx) error {
			k, _ := tx.Bucket(bucketTokens).Cursor().First()
			return tx.Bucket(bucketTokens).Delete(k)
		}), "damaged"},
		"no beginning":         {in(keyBegan, nil), "damaged"},
		"revocations":          {in(keyRevocations, []byte("x")), "damaged"},
		"grants":               {in(keyGrants, []byte("x")), "damaged"},
		"signers":              {changed(func(tx *bbolt.Tx) error { return tx.Bucket(bucketSigners).Put([]byte("x"), nil) }), "damaged"},
		"cut to one page":      {whole[:os.Getpagesize()], "damaged"},
		"cut in the middle":    {whole[:inUse/2], "damaged"},
		"cut by a page":        {whole[:inUse-os.Getpagesize()], "damaged"}, // also if that page was free
		"cut by a few bytes":   {whole[:inUse-5], "damaged"},
		"cut to what is used":  {whole[:inUse], ""}, // the system may give more
		"pages are zero":       {zeros(4*os.Getpagesize(), len(whole)), "damaged"},
		"both beginnings torn": {zeros(0, 2*os.Getpagesize()), "not one of a bolt store"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tokens.bolt")
			if err := os.WriteFile(path, file.content, 0o600); err != nil {
				t.Fatal(err)
			}
			e, err := openEngine(path, start, zap.NewNop())
			switch {
			case err == nil && file.says == "": // nothing was lost
				for i := range 500 {
					if err := spendToken(e, numbered(i), start); !errors.Is(err, rules.ErrReplayed) {
						t.Errorf("token %d: %v", i, err)
					}
				}
				e.Close()
				return
			case err == nil:
				e.Close()
				t.Fatal("it was opened")
			case !strings.Contains(err.Error(), file.says) || !strings.Contains(err.Error(), path):
				t.Errorf("the error is: %v", err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, file.content) {
				t.Errorf("it was changed (%v)", err)
			}
			if err := os.WriteFile(path, whole, 0o600); err != nil { // put back from a backup
				t.Fatal(err)
			}
			e, err = openEngine(path, start, zap.NewNop())
			if err != nil {
				t.Fatalf("it is still locked: %v", err)
			}
			e.Close()
		})
	}
}

// TestPaths: what stands in the way is named.
func TestPaths(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(folder, "folder"), filepath.Join(folder, "missing", "tokens.bolt")} {
		if e, err := openEngine(path, start, zap.NewNop()); err == nil {
			e.Close()
			t.Errorf("%s was opened", path)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name %s: %v", path, err)
		}
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// TestOpenTwice: the second one is told, and soon; when the first has let go, it can.
func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.bolt")
	first := opened(t, path)
	begun := time.Now()
	if second, err := openEngine(path, start, zap.NewNop()); err == nil {
		second.Close()
		t.Fatal("it was opened twice")
	} else if !strings.Contains(err.Error(), "has the file open") || !strings.Contains(err.Error(), path) {
		t.Errorf("the error is: %v", err)
	}
	if took := time.Since(begun); took > 10*lockTimeout {
		t.Errorf("after %v", took)
	}
	first.Close()
	opened(t, path)
}

// TestMadeAtOnce: files that several make at the same time become one, and nothing else
// is left in the folder.
func TestMadeAtOnce(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "tokens.bolt")
	errs := make(chan error)
	for i := range 8 {
		go func() { errs <- create(path, start.Add(time.Duration(i)*time.Second)) }()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	opened(t, path)
}

// TestForgottenWhileHeld: a token that is forgotten while a request holds it is not used
// more often than it may be, whatever the clock says then.
func TestForgottenWhileHeld(t *testing.T) {
	e := opened(t, filepath.Join(scratch(t), "tokens.bolt"))
	p := numbered(0)
	p.Uses = 2
	if err := spendToken(e, p, start); err != nil {
		t.Fatal(err)
	}
	u, err := e.Admit(t.Context(), store.Query{Presentation: p}, stopped(start))
	if err != nil {
		t.Fatal(err)
	}
	late := numbered(1)
	late.Expires = start.Add(time.Hour)
	if err := spendToken(e, late, start.Add(10*time.Minute)); err != nil { // the other has expired
		t.Fatal(err)
	}
	if stats, err := e.Stats(t.Context(), start); err != nil || stats.EvictedExpired != 1 {
		t.Fatalf("it was not forgotten: %+v, %v", stats, err)
	}
	if _, err := e.Look(t.Context(), store.Query{Presentation: p}, stopped(start)); err == nil { // the clock was set back
		t.Fatal("a third use is in view")
	}
	if _, err := u.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	u.Release()
	if err := spendToken(e, p, start); err == nil {
		t.Fatal("it was used three times")
	}
}

// TestSweep: expired tokens are forgotten without a request, a few at a time.
func TestSweep(t *testing.T) {
	path, _ := used(t)
	e := opened(t, path)
	e.sweeper.Stop()
	e.now = func() time.Time { return start.Add(time.Hour) }
	for steps := 0; ; steps++ {
		e.sweep()
		e.sweeper.Stop()
		e.mu.Lock()
		b := e.next
		e.mu.Unlock()
		if b != nil {
			<-b.done
		}
		stats, err := e.Stats(t.Context(), time.Time{}) // when nothing has expired
		if err != nil {
			t.Fatal(err)
		}
		if stats.Entries == 0 {
			if steps < 500/forgetSome {
				t.Errorf("in %d steps", steps)
			}
			break
		}
		if steps > 100_000 {
			t.Fatalf("still there: %+v", stats)
		}
	}
	for i := range 500 {
		if err := spendToken(e, numbered(i), start); !errors.Is(err, rules.ErrUnproven) {
			t.Fatalf("token %d: %v", i, err)
		}
	}
}

// TestStopOnAFullDisk: what could not be written when the store was stopped is not
// honoured after all.
func TestStopOnAFullDisk(t *testing.T) {
	d := newDisk(t)
	e := d.Open(life).(*engine)
	p := numbered(0)
	u, err := e.Admit(t.Context(), store.Query{Presentation: p}, stopped(start))
	if err != nil {
		t.Fatal(err)
	}
	d.Break(true)
	if err := e.Stop(); !errors.Is(err, rules.ErrUnavailable) {
		t.Fatalf("stop: %v", err)
	}
	if _, err := u.Commit(t.Context(), nil); !errors.Is(err, rules.ErrUnavailable) {
		t.Fatalf("commit: %v", err)
	}
	d.Break(false)
	if _, err := u.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := spendToken(d.Open(life).(*engine), p, start); !errors.Is(err, rules.ErrReplayed) {
		t.Fatal(err)
	}
}
