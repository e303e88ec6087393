package cdni

// Container is a URI container, the value of cdniuc (RFC 9246 section 2.1.15). It may be
// used from many goroutines.
type Container struct{}

// ParseContainer reads the value of cdniuc: `hash:` and a URI segment of RFC 6920
// section 5, or `regex:` and a POSIX extended regular expression. The error is
// [ErrContainer], with detail.
func ParseContainer(cdniuc string) (*Container, error) { return nil, ErrContainer }

// Matches reports whether the container is for a URI that [Target.URI] has made. An
// expression has to match the whole of it.
func (c *Container) Matches(uri string) bool { return false }
