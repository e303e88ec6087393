package upload

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
)

// Around the file of a form there may be this many bytes and parts.
const (
	formBytes  = 64 << 10
	formParts  = 16
	fieldBytes = 1 << 10
)

// receiveBody stores the body of a PUT.
func (x *exchange) receiveBody() (created bool, err error) {
	if x.page.Folder {
		return false, refusedMethod
	}
	if _, ok := ownName(x.path); !ok {
		return false, refusedName
	}
	body, err := x.open(0)
	if err != nil {
		return false, err
	}
	return x.write(body, body, x.r.Header.Get("Content-Type"), func() error { return nil })
}

// receiveForm stores the file of a form. A field `name` stands in front of the file.
func (x *exchange) receiveForm() (created bool, err error) {
	body, err := x.open(formBytes)
	if err != nil {
		return false, err
	}
	around := &around{Reader: body, left: formBytes}
	x.r.Body = io.NopCloser(around)
	form, err := x.r.MultipartReader()
	if err != nil {
		return false, x.because(refusedForm, err)
	}
	chosen := ""
	for range formParts {
		part, err := form.NextPart()
		switch {
		case err == io.EOF:
			return false, refusedForm
		case err != nil:
			return false, x.broken(err)
		case part.FileName() != "":
			if err := x.nameIt(chosen, part.FileName()); err != nil {
				return false, err
			}
			around.left = math.MaxInt64 // limits.maxSize is for the file
			return x.write(body, part, part.Header.Get("Content-Type"), func() error {
				around.left = formBytes
				return x.finish(form, around)
			})
		}
		value, err := io.ReadAll(io.LimitReader(part, fieldBytes+1))
		if err != nil {
			return false, x.broken(err)
		}
		if len(value) > fieldBytes {
			return false, refusedForm
		}
		if part.FormName() == "name" {
			chosen = string(value)
		}
	}
	return false, refusedForm
}

// nameIt adds the name to the path of a folder. Another path has one.
func (x *exchange) nameIt(chosen, given string) error {
	if chosen == "" {
		chosen = given
	}
	if !x.page.Folder {
		if _, ok := ownName(x.path); !ok {
			return refusedName
		}
		return nil
	}
	name, ok := cleanName(chosen)
	if x.page.Name = name; !ok {
		return refusedName
	}
	x.path += name
	return nil
}

// finish reads what follows the file: no second one, and to the end of the body, so that
// its digest is known.
func (x *exchange) finish(form *multipart.Reader, body io.Reader) error {
	for range formParts {
		part, err := form.NextPart()
		switch {
		case err == io.EOF:
			_, err = io.Copy(io.Discard, body)
			if err != nil {
				return x.broken(err)
			}
			return nil
		case err != nil:
			return x.broken(err)
		case part.FileName() != "":
			return refusedForm
		}
	}
	return refusedForm
}

// around bounds what is read of a form besides its file: the multipart reader would keep
// 10 MiB of the header of each part.
type around struct {
	io.Reader
	left int64
}

var errAround = errors.New("too much around the file of a form")

func (a *around) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, errAround
	}
	n, err := a.Reader.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	return n, err
}

// body is that of the request.
type body struct {
	io.Reader
	sum  hash.Hash // of what was read; nil: the request has no digest
	sums [][]byte  // what the request says that it is
}

// matches tells whether the body is what the request says.
func (b *body) matches() bool {
	for _, sum := range b.sums {
		if !bytes.Equal(sum, b.sum.Sum(nil)) {
			return false
		}
	}
	return true
}

// open makes the checks that the header of the request allows, before a byte of the body
// is asked for; so a client that waits for 100 Continue sends none in vain. Around the
// file there may be some bytes.
func (x *exchange) open(around int64) (*body, error) {
	r := x.r
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, refusedCoding
	}
	if r.Header.Get("Content-Range") != "" {
		return nil, refusedRequest // RFC 9110 section 14.5
	}
	b := &body{Reader: r.Body}
	if limit := x.limits.maxSize; limit > 0 && limit <= math.MaxInt64-around {
		if limit += around; r.ContentLength > limit {
			return nil, refusedSize
		}
		b.Reader = http.MaxBytesReader(x.w, r.Body, limit)
	}
	var err error
	if b.sums, err = digests(r.Header); err != nil {
		return nil, x.because(refusedRequest, err)
	}
	if b.sums != nil {
		b.sum = sha256.New()
		b.Reader = io.TeeReader(b.Reader, b.sum)
	}
	return b, nil
}

// broken is the refusal for a body that cannot be read to its end.
func (x *exchange) broken(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok { // ours, or that of request_body in front
		return refusedSize
	}
	if errors.Is(err, errAround) {
		return x.because(refusedForm, err)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return x.because(refusedSlow, err)
	}
	return x.because(refusedBroken, err)
}
