package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store"
	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

// use implements [store.Use].
type use struct {
	e      *engine
	id     string
	member string // what the entry counts as
	key    rules.Key
	grants []rules.GrantKey // that it may open
	epoch  string           // in which it was reserved; it ends with it
	state  useState
	grant  *grant // joined or opened, and not left
}

type useState uint8

const (
	over     useState = iota // released, or nothing is left to do
	reserved                 // neither committed nor released
	spent                    // committed, and may still open a grant
)

func (e *engine) newUse(q *store.Query) *use {
	s := q.Showing()
	return &use{
		e: e, id: e.process + ":" + strconv.FormatUint(e.serial.Add(1), 36), key: s.Key, grants: q.Grants,
		member: fmt.Sprintf("%s %d", short(s.Signer), (min(s.Expires, lastStamp)+999_999)/1_000_000),
	}
}

// Grant implements [store.Use].
func (u *use) Grant() store.Grant {
	if u.grant == nil {
		return nil
	}
	return u.grant
}

// keptTerms are terms as the server keeps them, by the clock of the process that opened
// the grant.
type keptTerms struct {
	ETag         string `json:"e"`
	Size         int64  `json:"s"`
	Copies       int    `json:"c"`
	Begins, Ends rules.Stamp
}

// join joins the grant of the reply.
func (u *use) join(r reply, now time.Time) error {
	var kept keptTerms
	i := int(r.number(1))
	if err := json.Unmarshal([]byte(r.word(3)), &kept); err != nil || i < 0 || i >= len(u.grants) {
		u.giveBack(0)
		return fmt.Errorf("%w: a grant on the server cannot be read", rules.ErrUnavailable)
	}
	ends := rules.StampOf(now) + rules.Stamp(r.number(5)) // by the clock here
	u.grant = u.e.budgets.join(u, r.word(2), r.number(4), rules.Terms{
		Key: u.grants[i], ETag: kept.ETag, Size: kept.Size, Copies: kept.Copies,
		Begins: (ends - (kept.Ends - kept.Begins)).Time(), Ends: ends.Time(),
	})
	return nil
}

// Commit implements [store.Use].
func (u *use) Commit(ctx context.Context, t *rules.Terms) (store.Grant, error) {
	if u.state != reserved && (u.state != spent || t == nil) {
		return nil, rules.ErrUnproven
	}
	opens, last := 0, t != nil || len(u.grants) == 0
	var terms rules.Terms
	var kept []byte
	now := u.e.clock()
	if t != nil && (t.Size == 0 || t.ETag != "") && t.Begins.Before(t.Ends) {
		opens, terms, now = slices.Index(u.grants, t.Key)+1, *t, t.Begins
		kept, _ = json.Marshal(keptTerms{t.ETag, t.Size, t.Copies, rules.StampOf(t.Begins), rules.StampOf(t.Ends)})
	}
	r, err := u.e.ask(ctx, scriptCommit, nil, now, u.e.keys.with(u.grants, u.e.keys.epoch, u.e.keys.entry(u.key)),
		u.id, strconv.Itoa(opens), micros(terms.Ends.Sub(terms.Begins)), strconv.FormatInt(terms.Size, 10),
		strconv.FormatInt(terms.Budget(), 10), string(kept), micros(u.e.spare), yesno(last), u.epoch)
	switch {
	case err != nil:
		return nil, err
	case r.word(0) != "ok":
		return nil, rules.ErrUnproven // the server has lost it
	}
	if u.state == reserved {
		u.e.reserved.Add(-1)
	}
	u.state = spent
	if last {
		u.state = over
	}
	if opens > 0 {
		u.grant = u.e.budgets.join(u, u.id, r.number(1), terms)
	}
	return u.Grant(), nil
}

// Release implements [store.Use]. What was not committed for sure is given back: no
// byte of it has been sent.
func (u *use) Release() {
	if u.state == over && u.grant == nil {
		return
	}
	var left int64
	if u.grant != nil {
		left = u.grant.leave()
	}
	if u.state == reserved {
		u.e.reserved.Add(-1)
	}
	u.giveBack(left)
}

// giveBack settles the use on the server, now or as soon as it answers.
func (u *use) giveBack(left int64) {
	e := u.e
	s := settlement{
		keys: e.keys.with(u.grants, e.keys.entry(u.key), e.keys.counts),
		args: []string{u.id, u.member, yesno(u.state == reserved), strconv.FormatInt(left, 10)},
		// by then, the server refuses what may still be on its way there
		until: time.Now().Add(2*e.skew + time.Second),
	}
	u.state, u.grant = over, nil
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	r, err := e.run(ctx, scriptRelease, s.keys, s.args)
	if err != nil || r.number(1) == 0 {
		e.late.add(s)
	}
}

// releaseTimeout bounds how long a request is held by its end.
const releaseTimeout = time.Second

var _ store.Use = (*use)(nil)
