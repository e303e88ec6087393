package response

import (
	"net/http"
	"testing"
)

func TestBodyOf(t *testing.T) {
	const strong, weak = `"e"`, `W/"e"`
	for name, tt := range map[string]struct {
		status              int
		etag, length, parts string
		want                Body
		ok                  bool
	}{
		"a file":                          {200, strong, "10", "", Body{strong, 10, 10}, true},
		"a part":                          {206, strong, "3", "bytes 2-4/10", Body{strong, 10, 3}, true},
		"one byte":                        {206, strong, "1", "bytes 9-9/10", Body{strong, 10, 1}, true},
		"all of it, as a part":            {206, strong, "10", "bytes 0-9/10", Body{strong, 10, 10}, true},
		"the largest there is":            {206, strong, "1", "bytes 0-0/9223372036854775807", Body{strong, 1<<63 - 1, 1}, true},
		"a weak entity tag":               {200, weak, "10", "", Body{}, false},
		"no entity tag":                   {200, "", "10", "", Body{}, false},
		"an entity tag without quotes":    {200, "e", "10", "", Body{}, false},
		"no size":                         {200, strong, "", "", Body{}, false},
		"an empty file":                   {200, strong, "0", "", Body{}, false},
		"a size below zero":               {200, strong, "-1", "", Body{}, false},
		"a size in words":                 {200, strong, "ten", "", Body{}, false},
		"a size that is too large":        {200, strong, "9223372036854775808", "", Body{}, false},
		"a part without Content-Range":    {206, strong, "3", "", Body{}, false},
		"a whole with Content-Range":      {200, strong, "10", "bytes 2-4/10", Body{strong, 10, 10}, true},
		"another status":                  {203, strong, "10", "", Body{}, false},
		"a status of no file":             {304, strong, "10", "", Body{}, false},
		"a part that is not satisfiable":  {416, strong, "", "bytes */10", Body{}, false},
		"a part of a file without a size": {206, strong, "3", "bytes 2-4/*", Body{}, false},
	} {
		header := make(http.Header)
		for field, value := range map[string]string{"Etag": tt.etag, "Content-Length": tt.length, "Content-Range": tt.parts} {
			if value != "" {
				header.Set(field, value)
			}
		}
		got, ok := BodyOf(tt.status, header)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: %+v %v, want %+v %v", name, got, ok, tt.want, tt.ok)
		}
	}
}

// TestContentRange: what cannot be a part of a file is none.
func TestContentRange(t *testing.T) {
	for text, want := range map[string][2]int64{
		"bytes 0-0/1": {1, 1}, "bytes 2-4/10": {3, 10}, "bytes 0-9/10": {10, 10},
		"": {}, "bytes": {}, "bytes ": {}, "2-4/10": {}, "items 2-4/10": {}, "bytes=2-4/10": {}, "bytes 2-4": {}, "bytes 2/10": {}, "bytes */10": {}, "bytes 2-4/*": {},
		"bytes -1-4/10": {}, "bytes 4-2/10": {}, "bytes 2-10/10": {}, "bytes 2-11/10": {}, "bytes 0-0/0": {}, "bytes 2-4/-10": {},
		"bytes 2-4/10, 6-7/10": {}, "bytes 2-99999999999999999999/10": {}, "bytes x-4/10": {}, "bytes 2-x/10": {}, "bytes 2-4/x": {}, "bytes  2-4/10": {},
	} {
		_, part, size, err := parseContentRange(text)
		if err != nil {
			part, size = 0, 0
		}
		if got := [2]int64{part, size}; got != want {
			t.Errorf("%q: %v, want %v (%v)", text, got, want, err)
		}
	}
}

func TestIsOpenEnded(t *testing.T) {
	for field, want := range map[string]bool{
		"bytes=0-": true, "bytes=100-": true, "bytes=0- ": true,
		"": false, "bytes=0-9": false, "bytes=-9": false, "bytes=0-1,5-": true,
	} {
		if got := IsOpenEnded(http.Header{"Range": {field}}); got != want {
			t.Errorf("%q: %v", field, got)
		}
	}
	if IsOpenEnded(http.Header{}) {
		t.Error("without Range")
	}
}

// TestIsListing: a token that opens listings only must not open an index file.
func TestIsListing(t *testing.T) {
	const listing = "Accept, Accept-Encoding"
	for name, tt := range map[string]struct {
		status int
		header http.Header
		want   bool
	}{
		"a listing":                    {200, http.Header{"Vary": {listing}}, true},
		"behind another Vary":          {200, http.Header{"Vary": {"Cookie", listing}}, true},
		"the same, not modified":       {304, http.Header{"Vary": {listing}}, true},
		"a file":                       {200, http.Header{"Vary": {"Accept-Encoding"}, "Etag": {`"e"`}}, false},
		"a file, not modified":         {304, http.Header{"Etag": {`"e"`}}, false},
		"not modified, of what?":       {304, http.Header{}, false},
		"a file without entity tag":    {200, http.Header{"Vary": {"Accept-Encoding"}}, false},
		"a file with the Vary of both": {200, http.Header{"Vary": {listing}, "Etag": {`"e"`}}, false},
		"another spelling":             {200, http.Header{"Vary": {"accept, accept-encoding"}}, false},
		"two lines":                    {200, http.Header{"Vary": {"Accept", "Accept-Encoding"}}, false},
		"a part":                       {206, http.Header{"Etag": {`"e"`}}, false},
		"nothing":                      {204, http.Header{}, false},
		"a redirect":                   {308, http.Header{"Location": {"/d/"}}, true},
		"an error":                     {404, http.Header{}, true},
	} {
		if got := IsListing(tt.status, tt.header); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestExtent(t *testing.T) {
	for name, tt := range map[string]struct {
		status      int
		field, text string
		first, size int64
	}{
		"whole":           {200, "Content-Length", "10", 0, 10},
		"empty":           {200, "Content-Length", "0", 0, 0},
		"a part":          {206, "Content-Range", "bytes 2-4/10", 2, 10},
		"without a size":  {200, "X", "", 0, -1},
		"damaged":         {206, "Content-Range", "bytes 4-2/10", 0, -1},
		"another status":  {404, "Content-Length", "10", 0, -1},
		"of unknown size": {206, "Content-Range", "bytes 2-4/*", 0, -1},
	} {
		if first, size := Extent(tt.status, http.Header{tt.field: {tt.text}}); first != tt.first || size != tt.size {
			t.Errorf("%s: %d of %d", name, first, size)
		}
	}
}
