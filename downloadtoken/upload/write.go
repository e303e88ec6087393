package upload

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

// write stores content at the path. finish reads what follows it in the body.
func (x *exchange) write(b *body, content io.Reader, declared string, finish func() error) (created bool, err error) {
	exists, err := x.permit()
	if err != nil {
		return false, err
	}
	missing, err := x.missingFolders()
	if err != nil {
		return false, err
	}
	if !x.limits.admitsName(x.path, declared) {
		return false, refusedType
	}
	folder := path.Dir(x.path)
	if len(missing) > 0 {
		folder = path.Dir(missing[0])
	}
	x.u.sweep(x.root.Name())
	d, err := newDraft(x.root, local(folder))
	if err != nil {
		return false, x.disk(err)
	}
	defer d.discard()
	if err := x.fill(d, content); err != nil {
		return false, err
	}
	if err := finish(); err != nil {
		return false, err
	}
	if !b.matches() {
		return false, refusedDigest
	}
	if err := d.Sync(); err != nil {
		return false, x.disk(err)
	}
	if err := context.Cause(x.r.Context()); err != nil {
		return false, x.because(refusedBroken, err) // the client is gone, and would not know
	}
	return !exists, x.publish(d, missing, exists)
}

// permit asks whether the file may be written, which is there already or is not.
func (x *exchange) permit() (exists bool, err error) {
	info, err := x.root.Lstat(local(x.path))
	switch {
	case err == nil && !info.Mode().IsRegular():
		return true, refusedMethod
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !isNotFolder(err):
		return false, x.because(refusedForbidden, err) // such as a symbolic link that leads out
	}
	exists = err == nil
	creates, overwrites := x.ticket.Permits(scope.CreateFile, x.path), x.ticket.Permits(scope.OverwriteFile, x.path)
	header := x.r.Header
	switch {
	case !creates && !overwrites, !creates && !exists:
		return exists, refusedForbidden
	case exists && (!overwrites || header.Get("If-None-Match") != ""):
		return true, refusedExists
	case header.Get("If-Match") != "" && (!exists || strings.TrimSpace(header.Get("If-Match")) != "*"):
		return exists, refusedCondition // no entity tag of this handler matches
	}
	if since, err := http.ParseTime(header.Get("If-Unmodified-Since")); err == nil && header.Get("If-Match") == "" &&
		(!exists || info.ModTime().Truncate(time.Second).After(since)) {
		return exists, refusedCondition
	}
	return exists, nil
}

// missingFolders are those of the path that are to be made, the first one first.
func (x *exchange) missingFolders() (missing []string, err error) {
	for i := 1; i < len(x.path); i++ {
		if x.path[i] != '/' {
			continue
		}
		folder := x.path[:i]
		info, err := x.root.Stat(local(folder))
		switch {
		case err == nil && !info.IsDir(), err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, x.because(refusedNoFolder, err)
		case err == nil:
			continue
		case !x.u.Mkdir || !x.ticket.Permits(scope.CreateFolder, folder):
			return nil, refusedNoFolder
		}
		if _, ok := ownName(folder); !ok { // no .git, and no .well-known, which speaks for the site
			return nil, refusedName
		}
		missing = append(missing, folder)
	}
	return missing, nil
}

// fill writes the content, and checks all that is known of it alone.
func (x *exchange) fill(d *draft, content io.Reader) error {
	src := &source{Reader: content}
	reader := bufio.NewReaderSize(src, 64<<10)
	if len(x.limits.types) > 0 {
		head, err := reader.Peek(sniffed)
		if err != nil && err != io.EOF {
			return x.broken(err)
		}
		if !x.limits.admitsContent(x.path, head) {
			return refusedType
		}
	}
	sum, limit := sha256.New(), x.limits.maxSize
	var to io.Writer = d
	if x.limits.sha256 != nil {
		to = io.MultiWriter(d, sum)
	}
	n, err := io.Copy(struct{ io.Writer }{to}, atMost(reader, limit))
	switch {
	case limit > 0 && n > limit:
		return refusedSize
	case src.err != nil:
		return x.broken(src.err)
	case err != nil:
		return x.disk(err)
	case x.limits.sha256 != nil && !bytes.Equal(sum.Sum(nil), x.limits.sha256):
		return refusedDigest
	}
	x.bytes = n
	return nil
}

// atMost reads one byte more than the limit, so that it shows.
func atMost(r io.Reader, limit int64) io.Reader {
	if limit <= 0 || limit+1 <= 0 {
		return r
	}
	return io.LimitReader(r, limit+1)
}

// source notes what goes wrong with the client, to be told from what does with the disk.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// publish gives the draft its name, in folders that are made now, and sees to it that
// the name is on the disk.
func (x *exchange) publish(d *draft, missing []string, replace bool) (err error) {
	for _, folder := range missing {
		if err = x.root.Mkdir(local(folder), 0o777); err == nil {
			defer func() {
				if err != nil {
					_ = x.root.Remove(local(folder)) // unless another file is in it by now
				}
			}()
		} else if !errors.Is(err, fs.ErrExist) {
			return x.disk(err)
		}
	}
	if err = d.publish(local(x.path), replace); errors.Is(err, fs.ErrExist) {
		return refusedExists
	} else if err != nil {
		return x.disk(err)
	}
	for _, folder := range append(missing, x.path) {
		if err = syncFolder(x.root, local(path.Dir(folder))); err != nil {
			if !replace {
				_ = x.root.Remove(local(x.path)) // it may not last, and the client will send it again
			}
			return x.disk(err)
		}
	}
	return nil
}

// disk is the refusal for what goes wrong on the disk.
func (x *exchange) disk(err error) error {
	if isFull(err) {
		return x.because(refusedFull, err)
	}
	return x.because(refusedInternal, err)
}
