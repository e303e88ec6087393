package redis

import (
	"crypto/sha1"
	"embed"
	"encoding/hex"

	"github.com/redis/rueidis"
)

// script is a Lua script, which Redis runs as one step.
type script struct {
	text, sha string
	judges    bool // its server must be known to have the epoch before it is loaded
	waits     bool // for replicas
	once      bool // it does not know what it has done, and may not be repeated
}

//go:embed lua/*.lua
var sources embed.FS

// Scripts use nothing that Redis 6.2 does not have.
var (
	scriptEpoch       = load("clock", "server", "epoch")
	scriptRevocations = load("revocations")
	scriptRelease     = load("release")
	scriptStop        = load("stop")
	scriptReturn      = load("return")
	scriptCheck       = judging("check")
	scriptAdmit       = judging("admit")
	scriptLease       = judging("lease")
	scriptStats       = judging("stats")
	scriptCommit      = waiting(known("commit"))
	scriptRevoke      = waiting(judging("revoke"))
)

func init() { scriptReturn.once = true }

func load(names ...string) *script {
	text := ""
	for _, name := range names {
		source, err := sources.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(err) // not embedded
		}
		text += string(source)
	}
	sum := sha1.Sum([]byte(text)) // which is how Redis names scripts
	return &script{text: text, sha: hex.EncodeToString(sum[:])}
}

func judging(name string) *script { return heading(load("clock", "server", "head", "same", name)) }

// known is for what only goes on with a reservation. Only one process has it, and it ends
// with its epoch, so whichever copy of the server it is committed on, nothing else of that
// epoch can use the token. The grant that is opened there is drawn on only after the server
// has been compared. That saves a third of the work.
func known(name string) *script { return heading(load("clock", "head", name)) }

func heading(s *script) *script {
	s.judges = true
	return s
}

func waiting(s *script) *script {
	s.waits = true
	return s
}

// reply is what a script returns: a word, and more.
type reply []rueidis.RedisMessage

// word is the text at i, "" if there is none.
func (r reply) word(i int) string {
	if i >= len(r) {
		return ""
	}
	s, _ := r[i].ToString()
	return s
}

// number is the whole number at i, 0 if there is none.
func (r reply) number(i int) int64 {
	if i >= len(r) {
		return 0
	}
	n, _ := r[i].AsInt64() // of a text, too
	return n
}
