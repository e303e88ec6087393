// Package tokencache remembers which texts were genuine tokens, so that the signature
// of a token that comes again, with each range of a file or each picture of a page, is
// verified once.
//
// It remembers the result of [token.Verifier.Verify] and nothing else: what depends on
// the time, on the request or on a store is judged each time. A remembered token counts
// only while its key is one that the verifier would use for it.
package tokencache

import (
	"context"
	"crypto/sha256"

	"github.com/maypok86/otter/v2"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// DefaultEntries is how many tokens are remembered unless configured.
const DefaultEntries = 10_000

// entryBytes is the memory that one of the entries may take, on average. A small token
// takes less, and counts as much; one of 8 KiB counts as several.
const entryBytes = 2 << 10

// Cache is a verifier with a memory. It may be used from many goroutines at once.
type Cache struct {
	verifier *token.Verifier
	tokens   *otter.Cache[sum, entry]
}

// New makes a cache of at most so many entries, and of 2 KiB of memory for each. The
// error is one of the library's, of which there is none for a positive number.
func New(verifier *token.Verifier, entries int) (*Cache, error) {
	tokens, err := otter.New(&otter.Options[sum, entry]{
		MaximumWeight: uint64(entries) * entryBytes,
		Weigher:       func(_ sum, e entry) uint32 { return e.weight() },
	})
	return &Cache{verifier, tokens}, err
}

// sum is SHA-256 over the whole text of a token: another spelling is another token.
type sum = [sha256.Size]byte

// entry is a token, and how long its text was.
type entry struct {
	token  *token.Token
	length int
}

// weight is an upper bound of the bytes that an entry takes: a token keeps its payload
// and what was read from it.
func (e entry) weight() uint32 { return uint32(max(entryBytes, 1<<10+6*e.length)) }

// Verify is [token.Verifier.Verify]; hit: the token was remembered. Tokens are shared:
// what it returns must not be changed.
func (c *Cache) Verify(ctx context.Context, text string) (t *token.Token, hit bool, err error) {
	if len(text) > token.MaxLength {
		return nil, false, token.ErrTooLarge
	}
	var room [1 << 10]byte // for most tokens: without an allocation
	key := sha256.Sum256(append(room[:0], text...))
	if e, ok := c.tokens.GetIfPresent(key); ok {
		if t, err = c.verifier.Still(ctx, e.token); t != nil {
			return t, true, nil
		}
		c.tokens.Invalidate(key)
		if err != nil { // asking once more would wait once more
			return nil, false, err
		}
	}
	if t, err = c.verifier.Verify(ctx, text); err == nil {
		c.tokens.Set(key, entry{t, len(text)})
	}
	return t, false, err
}

// Len is about how many tokens are remembered.
func (c *Cache) Len() int { return c.tokens.EstimatedSize() }

// Close ends what the library does in the background.
func (c *Cache) Close() { c.tokens.StopAllGoroutines() }
