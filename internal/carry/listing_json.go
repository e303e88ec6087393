package carry

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// ListingJSON puts the token into the `url` of each item of a folder, as the browse
// option of file_server lists it in JSON: an array of objects. With only, items that the
// token does not open are left out. All other bytes stay as they are, and so does what is
// no such array; with only, that is nil.
func ListingJSON(body []byte, l *Links, only bool) []byte {
	array := jsontext.NewDecoder(bytes.NewBuffer(body))
	if token, err := array.ReadToken(); err != nil || token.Kind() != jsontext.KindBeginArray {
		return unread(body, only && token.Kind() != jsontext.KindNull) // null is an empty folder
	}
	lister := newLister(l)
	var edits []edit
	end := int(array.InputOffset())
	left := -1 // where the items begin that are left out before one that is not
	for kept := false; array.PeekKind() != jsontext.KindEndArray; {
		before := end
		item, err := readItem(array)
		if err != nil || lister.tooMuch() {
			return unread(body, only)
		}
		end = int(array.InputOffset())
		text := lister.added(l.Page, item.url)
		if only && lister.isEntry() && !lister.opens {
			if kept {
				edits = append(edits, edit{from: before, to: end})
			} else if left < 0 {
				left = item.from
			}
			continue
		}
		if left >= 0 && !kept {
			edits = append(edits, edit{from: left, to: item.from})
			left = -1
		}
		kept = true
		if text != "" && !strings.Contains(item.url, "#") {
			quoted, _ := json.Marshal(text)
			edits = append(edits, edit{item.urlEnd, item.urlEnd, string(quoted[1 : len(quoted)-1])})
		}
	}
	if left >= 0 {
		edits = append(edits, edit{from: left, to: end})
	}
	if _, err := array.ReadToken(); err != nil {
		return unread(body, only)
	}
	return apply(body, edits)
}

// item is one of a listing in JSON: where it begins, its URL and where that ends. The URL
// of what is no item is empty.
type item struct {
	from   int
	url    string
	urlEnd int
}

// readItem reads the next one.
func readItem(d *jsontext.Decoder) (it item, err error) {
	if d.PeekKind() != jsontext.KindBeginObject {
		value, err := d.ReadValue()
		return item{from: int(d.InputOffset()) - len(value)}, err
	}
	if _, err := d.ReadToken(); err != nil {
		return it, err
	}
	it.from = int(d.InputOffset()) - len("{")
	for d.PeekKind() != jsontext.KindEndObject {
		name, err := d.ReadToken()
		if err != nil {
			return it, err
		}
		if name.String() != "url" || d.PeekKind() != jsontext.KindString {
			if err := d.SkipValue(); err != nil {
				return it, err
			}
			continue
		}
		value, err := d.ReadToken()
		if err != nil {
			return it, err
		}
		it.url, it.urlEnd = value.String(), int(d.InputOffset())-len(`"`)
	}
	_, err = d.ReadToken()
	return it, err
}
