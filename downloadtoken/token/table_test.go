package token

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
)

func TestNewTable(t *testing.T) {
	key := makeSecret(t, "HS256", secret)
	other := makeSecret(t, "HS256", otherSecret)
	longer := makeSecret(t, "HS512", secret)
	hashed := sha256.Sum256([]byte(repeat("long", 20)))
	long, respelled := makeSecret(t, "HS256", repeat("long", 20)), makeSecret(t, "HS256", string(hashed[:]))
	changed := makeKey(t, "RS256")
	changed.Alg = "HS256"
	tests := []struct {
		name string
		keys []Key
		err  string
	}{
		{"none", nil, ""},
		{"same kid, two algorithms", []Key{named(key, "a", ""), named(longer, "a", "")}, ""},
		{"same kid, same algorithm", []Key{named(key, "a", ""), named(other, "a", "")}, `two keys have the kid "a"`},
		{"as many kid-less as may be", []Key{key, other, key, other}, ""},
		{"one kid-less too many", []Key{key, other, key, other, key}, "more than 4 HS256 keys have no kid"},
		{"kid-less of another algorithm are counted apart", []Key{key, other, key, other, longer}, ""},
		{"same kid-less key, two issuers", []Key{named(key, "", "a"), named(key, "", "b")}, "two issuers"},
		{"same kid-less key, bound and not", []Key{named(key, "", "a"), key}, "two issuers"},
		{"same kid-less key, one issuer", []Key{named(key, "", "a"), named(key, "", "a")}, ""},
		{"same kid-less key, spelled otherwise, two issuers", []Key{named(long, "", "a"), named(respelled, "", "b")}, "two issuers"},
		{"same key, spelled otherwise, same kid", []Key{named(long, "a", ""), named(respelled, "a", "")}, `two keys have the kid "a"`},
		{"zero key", []Key{{}}, "not made for its algorithm"},
		{"key put together by hand", []Key{{ID: "a", Alg: "HS256"}}, "not made for its algorithm"},
		{"key whose algorithm was changed", []Key{changed}, "not made for its algorithm"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			table, err := NewTable(test.keys...)
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Fatalf("error is %v, want %q", err, test.err)
			}
			if err == nil && len(table.Keys()) != len(test.keys) {
				t.Errorf("has %d keys", len(table.Keys()))
			}
		})
	}
}

func TestLookup(t *testing.T) {
	table := makeTable(t,
		named(makeSecret(t, "HS256", secret), "a", ""),
		named(makeSecret(t, "HS512", otherSecret), "b", ""),
		makeSecret(t, "HS256", otherSecret),
		makeSecret(t, "HS256", secret),
	)
	tests := []struct {
		name, kid, alg string
		want           []*Key
		err            error
	}{
		{"by kid", "a", "HS256", table.keys[:1], nil},
		{"kid-less, in order", "", "HS256", table.keys[2:], nil},
		{"kid of another algorithm", "b", "HS256", nil, ErrAlgorithm},
		{"kid-less of other algorithms only", "", "HS512", nil, ErrAlgorithm},
		{"unknown kid", "c", "HS256", nil, ErrUnknownKey},
		{"kid in other case", "A", "HS256", nil, ErrUnknownKey},
		{"none", "a", "none", nil, ErrAlgorithm},
		{"none, other case", "", "nOnE", nil, ErrAlgorithm},
		{"none, unknown kid", "c", "none", nil, ErrAlgorithm},
		{"algorithm in other case", "a", "hs256", nil, ErrAlgorithm},
		{"algorithm that nobody has", "a", "A128KW", nil, ErrAlgorithm},
		{"empty algorithm", "a", "", nil, ErrAlgorithm},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := table.Lookup(test.kid, test.alg)
			wantErr(t, err, test.err)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	_, err := makeTable(t, named(makeSecret(t, "HS256", secret), "a", "")).Lookup("", "HS256")
	wantErr(t, err, ErrUnknownKey) // a token without kid never tries keys that have one
	_, err = new(Table).Lookup("", "HS256")
	wantErr(t, err, ErrUnknownKey)
}

func TestTableIsNotChangedThroughWhatItHandsOut(t *testing.T) {
	key := makeSecret(t, "HS256", secret)
	table := makeTable(t, key, makeSecret(t, "HS256", otherSecret))
	key.ID, key.Alg = "x", "none"
	found, _ := table.Lookup("", "HS256")
	_ = append(found, nil)
	table.Keys()[0] = nil
	if found, _ = table.Lookup("", "HS256"); len(found) != 2 || table.Keys()[0] != found[0] || found[0].Alg != "HS256" {
		t.Errorf("became %v", found)
	}
}

func TestIssuerBound(t *testing.T) {
	table := makeTable(t, named(makeSecret(t, "HS256", secret), "a", "https://a.example"), makeSecret(t, "HS256", otherSecret))
	for iss, want := range map[string]bool{"https://a.example": true, "https://b.example": false, "": false} {
		if table.IssuerBound(iss) != want {
			t.Errorf("%q: %v", iss, !want)
		}
	}
}
