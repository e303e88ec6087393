package downloadtoken

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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

// children are the short-lived tokens of `carry playlists`: copies of a token that was
// accepted, its parent, for one folder. They are judged as their parent is, as if its
// key had signed the earlier exp, so that no check has to know of them.
type children struct {
	ttl      time.Duration
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
}

// provisionChildren reads the key that signs them, which must be none of those that are
// trusted to sign tokens.
func (h *Handler) provisionChildren(trusted []*token.Key) error {
	if h.carrier == nil || h.carrier.Playlists == nil || h.carrier.Playlists.TTL == 0 {
		return nil
	}
	p := h.carrier.Playlists
	material, err := trust.Material(p.SignKey.Key)
	if err != nil {
		return fmt.Errorf("carry playlists: sign_key: %w", err)
	}
	signer, warnings, err := sign.Parse(p.SignKey.Alg, childKid, material)
	if err != nil {
		return fmt.Errorf("carry playlists: sign_key: %w", err)
	}
	for _, warning := range warnings {
		h.logger.Warn("weak key", zap.String("key", "sign_key"), zap.String("warning", warning))
	}
	own := signer.Key()
	for _, key := range trusted {
		if key.Fingerprint() == own.Fingerprint() {
			return errors.New("carry playlists: sign_key is also a key of download_token; " +
				"give it one that signs nothing else, such as from: caddy download-token keygen HS256")
		}
	}
	table, err := token.NewTable(own)
	if err != nil {
		return fmt.Errorf("carry playlists: sign_key: %w", err)
	}
	empty, err := signer.Sign(childTyp, new(sign.Claims))
	if err != nil {
		return fmt.Errorf("carry playlists: sign_key: %w", err)
	}
	header, _, _ := strings.Cut(empty, ".")
	h.carrier.children = &children{
		ttl:      time.Duration(p.TTL),
		signer:   signer,
		verifier: timed{plain: &token.Verifier{Keys: table}},
		header:   header + ".",
		tagKey:   signer.Derive("carry parent"),
	}
	return nil
}

// verify finds out which token the text is: of a copy, its parent with an earlier exp.
func (v *visit) verify() (err error) {
	h := v.h
	if h.carrier != nil && h.carrier.children != nil && strings.HasPrefix(v.text, h.carrier.children.header) {
		v.token, v.within, err = h.carrier.children.parent(v.r.Context(), v.text, h.verifier.plain)
		return err
	}
	v.token, err = h.verifier.Verify(v.r.Context(), v.text)
	return err
}

// copyFor signs a copy of a token for a folder, a path that ends in a slash.
func (c *children) copyFor(folder string, parent *token.Token, now time.Time) (string, error) {
	from, err := json.Marshal(parentage{
		Folder: folder, Alg: parent.Alg, KeyID: parent.KeyID, Typ: parent.Typ,
		Signer: c.tag(parent.Key), Fingerprint: parent.Fingerprint.String(),
	})
	if err != nil {
		return "", err
	}
	var claims sign.Claims
	for _, name := range parent.Claims.Names() {
		value, _ := parent.Claims.Raw(name)
		switch ends := now.Add(c.ttl); {
		case name == childClaim: // of a copy that is copied
			continue
		case name == "exp" && ends.Before(parent.Claims.ExpiresAt):
			value = jsontext.Value(fmt.Sprintf("%d.%03d", ends.Unix(), ends.Nanosecond()/int(time.Millisecond)))
		}
		claims.Set(name, value)
	}
	claims.Set(childClaim, from)
	return c.signer.Sign(childTyp, &claims)
}

// parent verifies a copy, and returns the token that it stands for and the folder that
// it is for. The key of the parent must be one that is still trusted.
func (c *children) parent(ctx context.Context, text string, trusted *token.Verifier) (*token.Token, string, error) {
	t, err := c.verifier.Verify(ctx, text)
	if err != nil {
		return nil, "", err
	}
	var from parentage
	value, ok := t.Claims.Raw(childClaim)
	if !ok || json.Unmarshal(value, &from) != nil || !strings.HasPrefix(from.Folder, "/") || !strings.HasSuffix(from.Folder, "/") {
		return nil, "", token.ErrClaim
	}
	fingerprint, err := hex.DecodeString(from.Fingerprint)
	if err != nil || len(fingerprint) != len(t.Fingerprint) {
		return nil, "", token.ErrClaim
	}
	t.Fingerprint = token.Fingerprint(fingerprint)
	t.Alg, t.KeyID, t.Typ = from.Alg, from.KeyID, from.Typ
	parent, err := trusted.Adopt(ctx, *t, func(key *token.Key) bool {
		return hmac.Equal([]byte(c.tag(key)), []byte(from.Signer))
	})
	return parent, from.Folder, err
}

// tag names a key to those who have the key that signs the copies, and tells nothing
// about it to others.
func (c *children) tag(key *token.Key) string {
	fingerprint := key.Fingerprint()
	mac := hmac.New(sha256.New, c.tagKey)
	mac.Write(fingerprint[:])
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
