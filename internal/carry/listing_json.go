package carry

import (
	"bytes"
	"encoding/json"
	"strings"
)

// ListingJSON puts the token into the `url` of each item of a folder, as the browse
// option of file_server lists it in JSON: an array of objects. With only, items that the
// token does not open are left out. All other bytes stay as they are, and so does what is
// no such array.
func ListingJSON(body []byte, l *Links, only bool) []byte {
	array := json.NewDecoder(bytes.NewReader(body))
	if token, err := array.Token(); err != nil || token != json.Delim('[') {
		return body
	}
	lister := newLister(l)
	var edits []edit
	end := int(array.InputOffset())
	left := -1 // where the items begin that are left out before one that is not
	for kept := false; array.More() && !lister.tooMuch(); {
		var item json.RawMessage
		if array.Decode(&item) != nil {
			return body
		}
		before := end
		end = int(array.InputOffset())
		from := end - len(item)
		ref, at, ok := urlOf(item)
		text := ""
		if ok {
			text = lister.added(l.Page, ref)
		}
		if ok && only && lister.isEntry() && !lister.opens {
			if kept {
				edits = append(edits, edit{from: before, to: end})
			} else if left < 0 {
				left = from
			}
			continue
		}
		if left >= 0 && !kept {
			edits = append(edits, edit{from: left, to: from})
			left = -1
		}
		kept = true
		if text != "" && !strings.Contains(ref, "#") {
			quoted, _ := json.Marshal(text)
			edits = append(edits, edit{from + at, from + at, string(quoted[1 : len(quoted)-1])})
		}
	}
	if left >= 0 {
		edits = append(edits, edit{from: left, to: end})
	}
	if _, err := array.Token(); err != nil || lister.tooMuch() {
		return body
	}
	return apply(body, edits)
}

// urlOf is the member `url` of an object, if there is just one, and where it ends.
func urlOf(item []byte) (ref string, end int, ok bool) {
	object := json.NewDecoder(bytes.NewReader(item))
	if token, err := object.Token(); err != nil || token != json.Delim('{') {
		return "", 0, false
	}
	for object.More() {
		name, err := object.Token()
		var value json.RawMessage
		if err != nil || object.Decode(&value) != nil {
			return "", 0, false
		}
		if name != "url" {
			continue
		}
		if ok || json.Unmarshal(value, &ref) != nil || value[0] != '"' {
			return "", 0, false
		}
		end, ok = int(object.InputOffset())-1, true
	}
	return ref, end, ok
}
