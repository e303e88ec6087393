package confirm

import (
	"testing"
	"time"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/store/rules"
)

func TestPressIsForItsPage(t *testing.T) {
	page := rules.NewGrantKey(rules.Key{1}, "/a", "192.0.2.1", "")
	now := time.Unix(1_800_000_000, 0)
	value := NewPress(page, now)
	if NewPress(page, now) == value {
		t.Error("two pages have one value")
	}
	for name, tt := range map[string]struct {
		value string
		page  rules.GrantKey
		now   time.Time
		want  bool
	}{
		"now":                {value, page, now, true},
		"an hour later":      {value, page, now.Add(time.Hour), false},
		"just before that":   {value, page, now.Add(time.Hour - time.Second), true},
		"the clock went":     {value, page, now.Add(-2 * time.Hour), false},
		"another token":      {value, rules.NewGrantKey(rules.Key{2}, "/a", "192.0.2.1", ""), now, false},
		"another path":       {value, rules.NewGrantKey(rules.Key{1}, "/b", "192.0.2.1", ""), now, false},
		"another address":    {value, rules.NewGrantKey(rules.Key{1}, "/a", "192.0.2.2", ""), now, false},
		"nothing":            {"", page, now, false},
		"damaged":            {"A" + value[1:], page, now, value[0] == 'A'},
		"damaged at its end": {value[:len(value)-1] + "_", page, now, value[len(value)-1] == '_'},
		"cut":                {value[:len(value)-4], page, now, false},
		"longer":             {value + "AAAA", page, now, false},
		"another spelling":   {value + "=", page, now, false},
	} {
		if got := IsPress(tt.value, tt.page, tt.now); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
