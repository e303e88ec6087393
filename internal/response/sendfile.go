package response

import (
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// sendable gives the server src in a form that keeps sendfile.
//
// The server of Go uses sendfile for a file, or for a limited reader around one. Caddy's
// writer of idle timeouts hands it pieces, each in a limited reader of its own, so that
// no more than a piece has to arrive within the timeout; around the limited reader that
// files come in, that is one too many. So the file itself is handed to that writer, by a
// reader that counts.
func sendable(idle *caddyhttp.IdleTimeoutWriter, src *io.LimitedReader) io.Reader {
	file, ok := src.R.(*os.File)
	if idle == nil || !ok || runtime.GOOS == "windows" { // where the position after sending is not told
		return src
	}
	p := &pieces{file: file, src: src, size: int64(idle.MaxChunk)}
	if p.size <= 0 {
		p.size = caddyhttp.DefaultMaxWriteChunk
	}
	position, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return src
	}
	p.position = position
	return p
}

// pieces shows the descriptor of a file as long as there is a whole piece left, which is
// the most that is sent at a time; the rest is read. It counts what was sent by the
// file's position, so it is right if the file is cut short meanwhile.
type pieces struct {
	file     *os.File
	src      *io.LimitedReader // around file
	size     int64             // of a piece, in bytes
	position int64
	conn     syscall.RawConn
}

// errLastPiece makes the server read what is less than a piece.
var errLastPiece = errors.New("download_token: less than a piece is left")

// errOverrun: more was sent than there was to be.
var errOverrun = errors.New("download_token: the server has sent more of a file than it was given")

// Read reads no more than is left.
func (p *pieces) Read(b []byte) (int, error) {
	n, err := p.src.Read(b)
	p.position += int64(n)
	return n, err
}

// SyscallConn is how the server asks for the descriptor.
func (p *pieces) SyscallConn() (conn syscall.RawConn, err error) {
	if p.src.N < p.size {
		return nil, errLastPiece
	}
	if p.conn == nil {
		if p.conn, err = p.file.SyscallConn(); err != nil {
			return nil, err
		}
	}
	return (*pieceConn)(p), nil
}

// pieceConn is the descriptor of pieces.
type pieceConn pieces

// Read lets send have the descriptor, and counts what it has sent.
func (p *pieceConn) Read(send func(fd uintptr) (done bool)) error {
	err := p.conn.Read(send)
	position, seekErr := p.file.Seek(0, io.SeekCurrent)
	if seekErr != nil {
		return errors.Join(err, seekErr)
	}
	p.src.N -= position - p.position
	p.position = position
	if p.src.N < 0 {
		err = errors.Join(err, errOverrun)
	}
	return err
}

// Control is not needed to send.
func (p *pieceConn) Control(func(fd uintptr)) error { return errors.ErrUnsupported }

// Write is not needed to send.
func (p *pieceConn) Write(func(fd uintptr) (done bool)) error { return errors.ErrUnsupported }
