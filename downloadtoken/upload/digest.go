package upload

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
)

// digests are what the request says of its content, by sha-256 (RFC 9530): Content-Digest
// and Repr-Digest, which are the same here, because content codings are refused. Other
// algorithms are passed over.
func digests(header http.Header) (sums [][]byte, err error) {
	for _, field := range []string{"Content-Digest", "Repr-Digest"} {
		for member := range strings.SplitSeq(strings.Join(header.Values(field), ","), ",") {
			algorithm, value, _ := strings.Cut(strings.Trim(member, " \t"), "=")
			if algorithm != "sha-256" {
				continue
			}
			value, _, _ = strings.Cut(value, ";") // parameters, of which none are defined
			text, opens := strings.CutPrefix(value, ":")
			text, closes := strings.CutSuffix(text, ":")
			sum, err := base64.StdEncoding.DecodeString(text)
			if err != nil || !opens || !closes || len(sum) != sha256.Size {
				return nil, errors.New(field + " cannot be read")
			}
			sums = append(sums, sum)
		}
	}
	return sums, nil
}
