package token

import (
	"net/http"
	"slices"
	"strings"
)

// Strip takes the token out of a request, so that whatever comes next can neither
// use nor leak it: every configured name, not only the one that was found, out of
// the URL's query and path, the RequestURI, the header and the cookies. An Authorization
// that no source looks for, because of its scheme or its user name, stays.
//
// Other parameters and cookies keep their bytes and their order. When nothing is
// left of a query, its question mark goes too; when nothing was there to strip,
// nothing is changed and nothing allocated. After Strip, [Find] with the same
// sources answers [ErrMissing].
//
// It changes r.URL and r.Header in place, so a copy of the request that has its own URL
// is to be stripped, too.
//
// What a path is without its parameter may be another path, such as /../a of /..;t=x/a: it
// must be judged as it is then.
func Strip(r *http.Request, sources []Source) {
	for _, source := range sources {
		switch source.Kind {
		case Query:
			stripURL(r, source.Name)
		case Path:
			stripPath(r, source.Name)
		case Header:
			stripField(r.Header, source.Name)
		case Cookie, Carried:
			stripCookie(r.Header, source.Name)
		case Basic:
			stripLines(r.Header, authorizationField, func(line string) bool { return isBasic(line, source.Name) })
		}
	}
}

// StripQuery returns a raw query (without question mark) without the parameters of
// these names, however they are percent-encoded. The other bytes stay as they are.
func StripQuery(rawQuery string, names []string) string {
	for _, name := range names {
		rawQuery = stripParameter(rawQuery, name)
	}
	return rawQuery
}

// StripURI is [StripQuery] for a request target in origin or absolute form (RFC
// 9112 3.2). The question mark goes if nothing is left of the query; a bare one,
// with nothing to strip, stays.
func StripURI(requestURI string, names []string) string {
	path, _, found := strings.Cut(requestURI, "?")
	if !found {
		return requestURI
	}
	stripped, query := requestURI, len(path)+len("?")
	for _, name := range names {
		stripped = strip(stripped, query, "&", name, isParameter)
	}
	if len(stripped) == query && len(stripped) != len(requestURI) {
		return path
	}
	return stripped
}

func stripURL(r *http.Request, name string) {
	_, query, _ := strings.Cut(r.RequestURI, "?")
	names := [1]string{name}
	r.RequestURI = StripURI(r.RequestURI, names[:])
	_, stripped, _ := strings.Cut(r.RequestURI, "?")
	if query != r.URL.RawQuery { // a rewrite has changed one of them
		stripped = stripParameter(r.URL.RawQuery, name)
	}
	if len(stripped) != len(r.URL.RawQuery) {
		r.URL.RawQuery = stripped
		if stripped == "" {
			r.URL.ForceQuery = false
		}
	}
}

func stripParameter(rawQuery, name string) string {
	return strip(rawQuery, 0, "&", name, isParameter)
}

func stripField(header http.Header, name string) {
	if isAuthorization(name) {
		stripLines(header, name, isBearer)
	} else {
		header.Del(name)
	}
}

func stripLines(header http.Header, name string, isOurs func(line string) bool) {
	if lines := header.Values(name); slices.ContainsFunc(lines, isOurs) {
		setLines(header, name, slices.DeleteFunc(slices.Clone(lines), isOurs))
	}
}

func stripCookie(header http.Header, name string) {
	lines := header["Cookie"]
	isOurs := func(line string) bool { return hasPiece(line, ";", name, isCookie) }
	if !slices.ContainsFunc(lines, isOurs) {
		return
	}
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if isOurs(line) {
			// The space after a semicolon leads the next cookie, which is perhaps the first now.
			line = strings.TrimLeft(strip(line, 0, ";", name, isCookie), " \t")
			if strings.Trim(line, "; \t") == "" {
				continue
			}
		}
		kept = append(kept, line)
	}
	setLines(header, "Cookie", kept)
}

func setLines(header http.Header, name string, lines []string) {
	if len(lines) == 0 {
		header.Del(name)
		return
	}
	header[http.CanonicalHeaderKey(name)] = lines
}

// strip cuts text at each separator behind an offset and leaves out the pieces that
// match name. It allocates only if a piece before them and one behind them stay.
func strip(text string, from int, separator, name string, match func(piece, name string) bool) string {
	pieceEnd := func(start int) int {
		if i := strings.Index(text[start:], separator); i >= 0 {
			return start + i
		}
		return len(text)
	}
	start, end := from, pieceEnd(from) // of the first that goes
	for !match(text[start:end], name) {
		if end == len(text) {
			return text
		}
		start, end = end+1, pieceEnd(end+1)
	}
	for end < len(text) { // and those next to it
		next := pieceEnd(end + 1)
		if !match(text[end+1:next], name) {
			break
		}
		end = next
	}
	if end == len(text) {
		return text[:max(from, start-1)]
	}
	if start == 0 {
		return strip(text[end+1:], 0, separator, name, match)
	}
	rest := text[end+1:]
	if !hasPiece(rest, separator, name, match) {
		return text[:start] + rest
	}
	var kept strings.Builder // of many, copying what stays each time would take quadratic time
	kept.Grow(len(text))
	kept.WriteString(text[:start])
	between := ""
	for piece := range strings.SplitSeq(rest, separator) {
		if !match(piece, name) {
			kept.WriteString(between)
			kept.WriteString(piece)
			between = separator
		}
	}
	return kept.String()
}

func hasPiece(text, separator, name string, match func(piece, name string) bool) bool {
	for piece := range strings.SplitSeq(text, separator) {
		if match(piece, name) {
			return true
		}
	}
	return false
}
