package cdni

import "errors"

// Target is what a client asked for, before any rewrite.
type Target struct {
	Scheme     string // http or https, in any case
	Host       string // with the port, if the client named one
	RequestURI string // in origin form, escaped as it came (RFC 9112 section 3.2.1)
}

// URI returns what a container is compared with: the absolute URI without the package,
// normalised (RFC 9246 section 2.1.15, steps 1 and 2). The attribute is the name that
// the package is carried under. The error says what is wrong with a target that is no
// URI, and has nothing of it.
func (t Target) URI(attribute string) (string, error) { return "", errors.New("not implemented") }
