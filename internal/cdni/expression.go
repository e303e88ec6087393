package cdni

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
)

// maxExpression bounds the steps of a compiled expression, and so what one byte of a URI
// can cost. Those that are meant for files take a hundred or two.
const maxExpression = 2000

// maxCompiled bounds how many expressions are remembered.
const maxCompiled = 256

// compiled remembers expressions, because compiling one takes longer than all else that
// is done for a request with a token that is signed by HMAC, and a token that was renewed
// has that of the one before. Only what genuine tokens hold gets here.
var compiled struct {
	sync.RWMutex
	containers map[string]*Container // by expression
}

// parseExpression is compile with a memory.
func parseExpression(expression string) (*Container, error) {
	compiled.RLock()
	c := compiled.containers[expression]
	compiled.RUnlock()
	if c != nil {
		return c, nil
	}
	c, err := compile(expression)
	if err != nil {
		return nil, err
	}
	compiled.Lock()
	defer compiled.Unlock()
	if compiled.containers == nil || len(compiled.containers) >= maxCompiled {
		compiled.containers = make(map[string]*Container) // begin again: it is cheap to learn
	}
	compiled.containers[strings.Clone(expression)] = c
	return c, nil
}

// compile compiles a POSIX extended regular expression (POSIX.1 section 9.4).
func compile(expression string) (*Container, error) {
	translated, ok := fromPOSIX(expression)
	if !ok {
		return nil, &refusal{ErrContainer, "a bracket of its expression has no end, or has collating elements"}
	}
	parsed, err := syntax.Parse(translated, syntax.POSIX)
	if err != nil {
		return nil, &refusal{ErrContainer, "its expression is no POSIX extended regular expression"}
	}
	if size(parsed) > maxExpression {
		return nil, &refusal{ErrContainer, "its expression is too large"}
	}
	compiled, err := regexp.CompilePOSIX(translated)
	if err != nil {
		return nil, &refusal{ErrContainer, "its expression is no POSIX extended regular expression"}
	}
	return &Container{expression: compiled}, nil
}

// fromPOSIX escapes the backslashes in brackets, where POSIX has them stand for
// themselves (section 9.3.5) and package regexp does not. [^\]]* would otherwise match
// more than its author has tried. It is not ok if there are collating symbols or
// equivalence classes, which package regexp would take for lists of characters.
func fromPOSIX(expression string) (translated string, ok bool) {
	var b strings.Builder
	for rest := expression; rest != ""; {
		switch {
		case rest[0] == '\\' && len(rest) > 1:
			b.WriteString(rest[:2])
			rest = rest[2:]
		case rest[0] == '[':
			end, ok := bracketEnd(rest)
			if !ok {
				return "", false
			}
			b.WriteString(strings.ReplaceAll(rest[:end], `\`, `\\`))
			rest = rest[end:]
		default:
			b.WriteByte(rest[0])
			rest = rest[1:]
		}
	}
	return b.String(), true
}

// bracketEnd returns where the bracket expression ends that the text begins with.
func bracketEnd(text string) (end int, ok bool) {
	i := 1
	if strings.HasPrefix(text[i:], "^") {
		i++
	}
	if strings.HasPrefix(text[i:], "]") { // the first stands for itself
		i++
	}
	for ; i < len(text); i++ {
		switch {
		case text[i] == ']':
			return i + 1, true
		case strings.HasPrefix(text[i:], "[:"):
			length := strings.Index(text[i:], ":]")
			if length < 0 {
				return 0, false
			}
			i += length + 1
		case strings.HasPrefix(text[i:], "[."), strings.HasPrefix(text[i:], "[="):
			return 0, false
		}
	}
	return 0, false
}

// size estimates how many steps an expression compiles to, at most a little more than
// maxExpression.
func size(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	if re.Op == syntax.OpCharClass {
		n = 1
	}
	for _, sub := range re.Sub {
		if n += size(sub); n > maxExpression {
			break
		}
	}
	if re.Op == syntax.OpRepeat {
		n *= max(1, re.Min, re.Max)
	}
	return min(n, maxExpression+1)
}
