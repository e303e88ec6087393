package downloadtoken

import (
	"net/http"
	"regexp"
	"testing"
)

// TestPeopleAreToldWhatToDo: a person who is refused, or gets an error of the site, is
// told what happened and what to do.
func TestPeopleAreToldWhatToDo(t *testing.T) {
	twoSentences := regexp.MustCompile(`^[A-Z][^.]+\. (Ask|Copy|Open|Try|If that goes on, tell) [^.]+\.$`)
	all := []told{toldNoFile, toldSiteError}
	for _, d := range denials {
		all = append(all, d.told)
	}
	for _, told := range all {
		if !twoSentences.MatchString(told.sentence) {
			t.Errorf("%s: %s", told.word, told.sentence)
		}
		if told.page(http.StatusUnauthorized).Title == toldInvalid.page(http.StatusUnauthorized).Title && told != toldInvalid {
			t.Errorf("%s has no title", told.word)
		}
	}
}
