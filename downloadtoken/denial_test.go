package downloadtoken

import (
	"regexp"
	"testing"
)

// TestPeopleAreToldWhatToDo: whoever is refused, or gets an error of the site, is
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
		if titles[told.word] == "" && told != toldInvalid {
			t.Errorf("%s has no title", told.word)
		}
	}
}
