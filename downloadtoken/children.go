package downloadtoken

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
	"github.com/caddy-download-token/caddy-download-token/internal/sign"
	"github.com/caddy-download-token/caddy-download-token/internal/trust"
)

// children are the short-lived tokens of `carry playlists`, and those that a profile
// renews: copies of a token that was accepted, its parent, for one folder or with another
// exp. They are judged as their parent is, as if its key had signed the other exp, so that
// no check has to know of them.
type children struct {
	typ      string // of the header
	signer   *sign.Signer
	verifier timed
	header   string // that all of them begin with
	tagKey   []byte // of the HMAC by which the parent's key is recognised
}

// Members of the header, and the claim that a copy has besides those of its parent.
const (
	childTyp   = "carried+jwt"
	childKid   = "carried"
	childClaim = "caddy_carried"
)

// parentage is the claim. A copy does not tell more of its parent than the parent does.
type parentage struct {
	Folder      string `json:"folder"` // a path as scopes are asked about it, with a slash at the end
	Alg         string `json:"alg"`
	KeyID       string `json:"kid,omitzero"`
	Typ         string `json:"typ,omitzero"`
	Signer      string `json:"signer"` // see children.tag
	Fingerprint string `json:"fingerprint"`
	Until       int64  `json:"until,omitzero"` // when a chain of renewals ends, in Unix seconds
}

// provisionChildren reads the key that signs those of `carry playlists`.
func (h *Handler) provisionChildren(trusted []*token.Key) (err error) {
	if h.carrier == nil || h.carrier.Playlists == nil || h.carrier.Playlists.TTL == 0 {
		return nil
	}
	h.carrier.children, err = h.newChildren("carry playlists: sign_key", h.carrier.Playlists.SignKey, childTyp, childKid, trusted)
	return err
}

// newChildren reads a key that signs copies, which must be none of those that are trusted
// to sign tokens.
func (h *Handler) newChildren(setting string, key *CarryKey, typ, kid string, trusted []*token.Key) (*children, error) {
	material, err := trust.Material(key.Key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	signer, warnings, err := sign.Parse(key.Alg, kid, material)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	for _, warning := range warnings {
		h.logger.Warn("weak key", zap.String("key", setting), zap.String("warning", warning))
	}
	own := signer.Key()
	for _, key := range trusted {
		if key.Fingerprint() == own.Fingerprint() {
			return nil, fmt.Errorf("%s is also a key of download_token; "+
				"give it one that signs nothing else, such as from: caddy download-token keygen HS256", setting)
		}
	}
	table, err := token.NewTable(own)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	empty, err := signer.Sign(typ, new(sign.Claims))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	header, _, _ := strings.Cut(empty, ".")
	return &children{
		typ:      typ,
		signer:   signer,
		verifier: timed{plain: &token.Verifier{Keys: table}},
		header:   header + ".",
		tagKey:   signer.Derive("carry parent"),
	}, nil
}

// children are those that the directive signs; nil: none.
func (h *Handler) children() *children {
	switch {
	case h.profile != nil:
		return h.profile.renewals
	case h.carrier != nil:
		return h.carrier.children
	}
	return nil
}

// verify finds out which token the text is: of a copy, its parent with another exp.
func (v *visit) verify() (err error) {
	h := v.h
	if c := h.children(); c != nil && strings.HasPrefix(v.text, c.header) {
		var from parentage
		if v.token, from, err = c.parent(v.r.Context(), v.text, h.verifier.plain); err != nil {
			return err
		}
		v.within = from.Folder
		if from.Until != 0 && v.uri != nil {
			v.uri.chain = time.Unix(from.Until, 0)
		}
		return nil
	}
	v.token, err = h.verifier.Verify(v.r.Context(), v.text)
	return err
}

// copyFor signs a copy of a token for a folder, a path that ends in a slash, that ends
// with the token at the latest.
func (c *children) copyFor(folder string, parent *token.Token, ends time.Time) (string, error) {
	exp, _ := parent.Claims.Raw("exp")
	if ends.Before(parent.Claims.ExpiresAt) {
		exp = jsontext.Value(fmt.Sprintf("%d.%03d", ends.Unix(), ends.Nanosecond()/int(time.Millisecond)))
	}
	return c.copy(parent, parentage{Folder: folder}, exp)
}

// copy signs a copy of a token with another exp.
func (c *children) copy(parent *token.Token, from parentage, exp jsontext.Value) (string, error) {
	from.Alg, from.KeyID, from.Typ = parent.Alg, parent.KeyID, parent.Typ
	from.Signer, from.Fingerprint = c.tag(parent.Key), parent.Fingerprint.String()
	origin, err := json.Marshal(from)
	if err != nil {
		return "", err
	}
	var claims sign.Claims
	for _, name := range parent.Claims.Names() {
		value, _ := parent.Claims.Raw(name)
		switch name {
		case childClaim: // of a copy that is copied
			continue
		case "exp":
			value = exp
		}
		claims.Set(name, value)
	}
	claims.Set(childClaim, origin)
	return c.signer.Sign(c.typ, &claims)
}

// parent verifies a copy, and returns the token that it stands for, and what the copy is
// of it. The key of the parent must be one that is still trusted.
func (c *children) parent(ctx context.Context, text string, trusted *token.Verifier) (_ *token.Token, from parentage, err error) {
	t, err := c.verifier.Verify(ctx, text)
	if err != nil {
		return nil, from, err
	}
	value, ok := t.Claims.Raw(childClaim)
	if !ok || json.Unmarshal(value, &from) != nil || !strings.HasPrefix(from.Folder, "/") || !strings.HasSuffix(from.Folder, "/") {
		return nil, from, token.ErrClaim
	}
	fingerprint, err := hex.DecodeString(from.Fingerprint)
	if err != nil || len(fingerprint) != len(t.Fingerprint) {
		return nil, from, token.ErrClaim
	}
	t.Fingerprint = token.Fingerprint(fingerprint)
	t.Alg, t.KeyID, t.Typ = from.Alg, from.KeyID, from.Typ
	parent, err := trusted.Adopt(ctx, *t, func(key *token.Key) bool {
		return hmac.Equal([]byte(c.tag(key)), []byte(from.Signer))
	})
	return parent, from, err
}

// tag names a key to those who have the key that signs the copies, and tells nothing
// about it to others.
func (c *children) tag(key *token.Key) string {
	fingerprint := key.Fingerprint()
	mac := hmac.New(sha256.New, c.tagKey)
	mac.Write(fingerprint[:])
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
