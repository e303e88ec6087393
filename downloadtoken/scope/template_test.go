package scope

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	upperUUID = "2489E9AD-2EE2-8E00-8EC9-32D5F69181C0"
	lowerUUID = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0"
	otherUUID = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c1"
)

func TestTemplateAdmits(t *testing.T) {
	tests := []struct {
		name          string
		scope, path   string // patterns
		claim, target string
		want          bool
	}{
		{"below", "dataset:{id}", "/datasets/{id}/*", "dataset:5", "/datasets/5/a.tif", true},
		{"far below", "dataset:{id}", "/datasets/{id}/*", "dataset:5", "/datasets/5/a/b/c/", true},
		{"the directory", "dataset:{id}", "/datasets/{id}/*", "dataset:5", "/datasets/5/", true},
		{"the directory without its slash", "dataset:{id}", "/datasets/{id}/*", "dataset:5", "/datasets/5", false},
		{"above the directory", "dataset:{id}", "/datasets/{id}/*", "dataset:5", "/datasets/", false},
		{"other id", "dataset:{id}", "/datasets/{id}/*", "dataset:5", "/datasets/6/a", false},
		{"longer id in the path", "dataset:{id}", "/datasets/{id}/*", "dataset:5", "/datasets/55/a", false},
		{"longer id in the claim", "dataset:{id}", "/datasets/{id}/*", "dataset:55", "/datasets/5/a", false},
		{"other directory", "dataset:{id}", "/datasets/{id}/*", "dataset:5", "/images/5/a", false},
		{"directory name is longer", "dataset:{id}", "/datasets/{id}/*", "dataset:5", "/datasetsx/5/a", false},
		{"deeper", "dataset:{id}", "/datasets/{id}/*", "dataset:5", "/x/datasets/5/a", false},
		{"other kind of thing", "dataset:{id}", "/datasets/{id}/*", "image:5", "/datasets/5/a", false},
		{"empty claim", "dataset:{id}", "/datasets/{id}/*", "", "/datasets/5/a", false},
		{"claim without value", "dataset:{id}", "/datasets/{id}/*", "dataset:", "/datasets/5/a", false},
		{"more in front of the claim", "dataset:{id}", "/datasets/{id}/*", "xdataset:5", "/datasets/5/a", false},
		{"more behind the claim", "dataset:{id}", "/datasets/{id}/*", "dataset:5 ", "/datasets/5/a", false},
		{"claim is not a list", "dataset:{id}", "/datasets/{id}/*", "dataset:5 dataset:6", "/datasets/6/a", false},
		{"an id with spaces", "dataset:{id}", "/datasets/{id}/*", "dataset:5 dataset:6", "/datasets/5 dataset:6/a", true},
		{"case of the claim", "dataset:{id}", "/datasets/{id}/*", "Dataset:5", "/datasets/5/a", false},
		{"case of the id", "dataset:{id}", "/datasets/{id}/*", "dataset:a", "/datasets/A/a", false},
		{"case of the path", "dataset:{id}", "/datasets/{id}/*", "dataset:5", "/Datasets/5/a", false},
		{"claim holds a pattern", "dataset:{id}", "/datasets/{id}/*", "dataset:{id}", "/datasets/5/a", false},
		{"claim holds a star", "dataset:{id}", "/datasets/{id}/*", "dataset:*", "/datasets/5/a", false},
		{"claim holds a dot", "dataset:{id}", "/datasets/{id}/*", "dataset:.", "/datasets/5/a", false},
		{"value with a slash", "dataset:{id}", "/datasets/{id}/*", "dataset:5/a", "/datasets/5/a", false},
		{"uncanonical path", "dataset:{id}", "/datasets/{id}/*", "dataset:5", "/datasets/5/../6/a", false},
		{"uncanonical value", "dataset:{id}", "/datasets/{id}/*", "dataset:..", "/datasets/../a", false},
		{"empty value", "dataset:{id}", "/datasets/{id}/*", "dataset:", "/datasets//a", false},
		{"relative path", "d:{id}", "/{id}", "d:5", "5", false},
		{"empty path", "d:{id}", "/{id}", "d:5", "", false},

		{"file", "image:{id}", "/images/{id}.tif", "image:5", "/images/5.tif", true},
		{"file with other extension", "image:{id}", "/images/{id}.tif", "image:5", "/images/5.png", false},
		{"dot is text", "image:{id}", "/images/{id}.tif", "image:5", "/images/5xtif", false},
		{"no tree without a star", "image:{id}", "/images/{id}.tif", "image:5", "/images/5.tif/x", false},
		{"no directory without a slash", "image:{id}", "/images/{id}.tif", "image:5", "/images/5.tif/", false},
		{"value with the suffix in it", "image:{id}", "/images/{id}.tif", "image:5.tif", "/images/5.tif.tif", true},
		{"nothing but the suffix", "image:{id}", "/images/{id}.tif", "image:", "/images/.tif", false},
		{"prefix and suffix", "i:{id}", "/img-{id}-x", "i:5", "/img-5-x", true},
		{"prefix and suffix overlap", "i:{id}", "/ab{id}ba", "i:", "/aba", false},
		{"prefix missing", "i:{id}", "/img-{id}", "i:5", "/img5", false},
		{"value instead of the prefix", "i:{id}", "/img-{id}", "i:5", "/5", false},
		{"value instead of the suffix", "image:{id}", "/images/{id}.tif", "image:5.png", "/images/5.png", false},
		{"directory", "d:{id}", "/d/{id}/", "d:5", "/d/5/", true},
		{"directory: not the file", "d:{id}", "/d/{id}/", "d:5", "/d/5", false},
		{"directory: nothing below", "d:{id}", "/d/{id}/", "d:5", "/d/5/x", false},
		{"no value at the end", "d:{id}", "/d/{id}", "d:", "/d/", false},
		{"invalid utf-8 is a value", "d:{id}", "/d/{id}", "d:\xff", "/d/\xff", true},
		{"unicode is not normalised", "d:{id}", "/d/{id}", "d:\u00e9", "/d/e\u0301", false},
		{"percent sign is a value", "d:{id}", "/d/{id}", "d:%41", "/d/%41", true},
		{"never decoded", "d:{id}", "/d/{id}", "d:%41", "/d/A", false},

		{"no variables: file", "dump", "/dump.sql", "dump", "/dump.sql", true},
		{"no variables: other file", "dump", "/dump.sql", "dump", "/dump.sqlx", false},
		{"no variables: other claim", "dump", "/dump.sql", "dumps", "/dump.sql", false},
		{"no variables: tree", "all", "/pub/*", "all", "/pub/a/b", true},
		{"no variables: directory", "all", "/pub/*", "all", "/pub/", true},
		{"no variables: directory without slash", "all", "/pub/*", "all", "/pub", false},
		{"no variables: boundary", "all", "/pub/*", "all", "/public/x", false},
		{"everything", "all", "/*", "all", "/a/b", true},
		{"everything: root", "all", "/*", "all", "/", true},
		{"root only", "root", "/", "root", "/", true},
		{"root only: not below", "root", "/", "root", "/a", false},
		{"star in the scope is a star", "files:*", "/files/*", "files:*", "/files/a", true},
		{"star in the scope is no wildcard", "files:*", "/files/*", "files:a", "/files/a", false},
		{"percent sign in a pattern", "x", "/100%", "x", "/100%", true},

		{"repeated in the scope", "{a}:{a}", "/{a}", "x:x", "/x", true},
		{"repeated in the scope, differs", "{a}:{a}", "/{a}", "x:y", "/x", false},
		{"repeated in the scope, holds the separator", "{a}:{a}", "/{a}", "x:y:x:y", "/x:y", true},
		{"repeated in the path", "d:{id}", "/{id}/{id}.tif", "d:5", "/5/5.tif", true},
		{"repeated in the path, differs", "d:{id}", "/{id}/{id}.tif", "d:5", "/5/6.tif", false},
		{"repeated in the path, differs the other way", "d:{id}", "/{id}/{id}.tif", "d:6", "/5/6.tif", false},

		{"two variables", "ds:{a}:{b}", "/{a}/{b}", "ds:1:2", "/1/2", true},
		{"two variables, exchanged", "ds:{a}:{b}", "/{b}/{a}", "ds:1:2", "/2/1", true},
		{"two variables, exchanged values", "ds:{a}:{b}", "/{a}/{b}", "ds:1:2", "/2/1", false},
		{"two readings, the first", "ds:{a}:{b}", "/{a}/{b}", "ds:1:2:3", "/1/2:3", false},
		{"two readings, the second", "ds:{a}:{b}", "/{a}/{b}", "ds:1:2:3", "/1:2/3", false},
		{"long separator, begins in the value after", "{a}ab{b}", "/{a}/{b}", "1ab2ab3", "/1/2ab3", false},
		{"long separator, begins in the value before", "{a}ab{b}", "/{a}/{b}", "1ab2ab3", "/1ab2/3", false},
		{"second byte of a separator is free", "{a}ab{b}", "/{a}/{b}", "b1ab2b", "/b1/2b", true},
		{"text after the last value", "{a}:{b}.x", "/{a}/{b}", "1:2.3.x", "/1/2.3", false},
		{"text before the first value is free", ":{a}-{b}", "/{a}/{b}", "::-:", "/:/:", true},
		{"three variables", "{a}:{b}-{c}", "/{a}/{b}/{c}", "1:2-3", "/1/2/3", true},
		{"three variables, far separators are free", "{a}:{b}-{c}", "/{a}/{b}/{c}", "1-:2-3:", "/1-/2/3:", true},
		{"non-ASCII separator", "{a}é{b}", "/{a}/{b}", "1é2é3", "/1/2é3", false},
		{"five variables", "{a}:{b}:{c}:{d}:{e}", "/{a}/{b}/{c}/{d}/{e}", "1:2:3:4:5", "/1/2/3/4/5", true},

		{"UUID", "dataset:{id:uuid}", "/datasets/{id}/*", "dataset:" + lowerUUID, "/datasets/" + lowerUUID + "/a", true},
		{"UUID, upper case in the path", "dataset:{id:uuid}", "/datasets/{id}/*", "dataset:" + lowerUUID, "/datasets/" + upperUUID + "/a", true},
		{"UUID, upper case in the claim", "dataset:{id:uuid}", "/datasets/{id}/*", "dataset:" + upperUUID, "/datasets/" + lowerUUID + "/a", true},
		{"UUID said in the path", "dataset:{id}", "/datasets/{id:uuid}/*", "dataset:" + lowerUUID, "/datasets/" + upperUUID + "/a", true},
		{"UUID not said", "dataset:{id}", "/datasets/{id}/*", "dataset:" + lowerUUID, "/datasets/" + upperUUID + "/a", false},
		{"other UUID", "dataset:{id:uuid}", "/datasets/{id}/*", "dataset:" + lowerUUID, "/datasets/" + otherUUID + "/a", false},
		{"no UUID", "dataset:{id:uuid}", "/datasets/{id}/*", "dataset:5", "/datasets/5/a", false},
		{"UUID, too long", "d:{id:uuid}", "/{id}", "d:" + lowerUUID + "0", "/" + lowerUUID + "0", false},
		{"UUID, too short", "d:{id:uuid}", "/{id}", "d:" + lowerUUID[1:], "/" + lowerUUID[1:], false},
		{"UUID in braces", "d:{id:uuid}", "/{id}", "d:(" + lowerUUID + ")", "/(" + lowerUUID + ")", false},
		{"UUID without dashes", "d:{id:uuid}", "/{id}", "d:" + strings.ReplaceAll(lowerUUID, "-", "0"), "/" + strings.ReplaceAll(lowerUUID, "-", "0"), false},
		{"UUID, a dash misplaced", "d:{id:uuid}", "/{id}", "d:" + "-" + lowerUUID[1:], "/-" + lowerUUID[1:], false},
		{"UUID, no hex", "d:{id:uuid}", "/{id}", "d:g" + lowerUUID[1:], "/g" + lowerUUID[1:], false},
		{"UUID, repeated in both cases", "d:{id:uuid}", "/{id}/{id}.tif", "d:" + lowerUUID, "/" + upperUUID + "/" + lowerUUID + ".tif", true},
		{"UUID, repeated and differs", "d:{id:uuid}", "/{id}/{id}.tif", "d:" + lowerUUID, "/" + lowerUUID + "/" + otherUUID + ".tif", false},
		{"only the UUID folds", "D:{id:uuid}", "/{id}", "d:" + lowerUUID, "/" + lowerUUID, false},
		{"other variables do not fold", "{id:uuid}:{x}", "/{id}/{x}", lowerUUID + ":a", "/" + lowerUUID + "/A", false},
		{"UUID before its own separator", "{id:uuid}-{x}", "/{id}/{x}", lowerUUID + "-a", "/" + lowerUUID + "/a", true},
		{"UUID after its own separator", "{x}-{id:uuid}", "/{x}/{id}", "a-" + lowerUUID, "/a/" + lowerUUID, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			template, err := ParseTemplate(tt.scope, tt.path)
			if err != nil {
				t.Fatal(err)
			}
			if got := template.Admits(tt.claim, tt.target); got != tt.want {
				t.Errorf("%s %s: Admits(%q, %q) = %t", tt.scope, tt.path, tt.claim, tt.target, got)
			}
			checkTemplate(t, template, modelTemplate{tt.scope, tt.path}, tt.claim, tt.target)
		})
	}
}

func TestZeroTemplateAdmitsNothing(t *testing.T) {
	for _, path := range []string{"/", "/a"} {
		if (&Template{}).Admits("", path) || (&Template{}).Admits("a", path) {
			t.Errorf("opens %q", path)
		}
	}
}

func TestParseTemplateErrors(t *testing.T) {
	tests := []struct {
		name        string
		scope, path string
		says        string
	}{
		{"empty scope", "", "/a", "the scope pattern is empty: write"},
		{"empty path", "a", "", "the path pattern is empty: write"},
		{"relative path", "a", "a", "slash in front"},
		{"relative tree", "a", "*", "slash in front"},
		{"only in the path", "a", "/{id}", "lacks {id}, which the path pattern has"},
		{"second only in the path", "{id}", "/{id}/{name}", "lacks {name}, which the path pattern has"},
		{"only in the scope", "d:{id}", "/d/*", "lacks {id}, which the scope pattern has"},
		{"adjacent", "{a}{b}", "/{a}/{b}", "two variables touch"},
		{"adjacent to itself", "{a}{a}", "/{a}", "two variables touch"},
		{"two in a segment", "{a}:{b}", "/{a}-{b}", "only one variable"},
		{"three in a segment", "{a}:{b}:{c}", "/{a}-{b}-{c}", "only one variable"},
		{"shorthand file", "d:{http.request.uri.path.file}", "/{id}", "Caddy's own placeholders"},
		{"shorthand in the path", "d:{id}", "/{http.request.uuid}", "Caddy's own placeholders"},
		{"second shorthand in a segment", "d:{id}", "/{id}{http.request.host}", "Caddy's own placeholders"},
		{"environment", "d:{env.HOME}", "/x", "Caddy's own placeholders"},
		{"file placeholder with slashes", "d", "/{file./run/x}", "Caddy's own placeholders"},
		{"unclosed", "d:{id", "/{id}", "opening brace without a closing one"},
		{"unclosed in the path", "d:{id}", "/{id", "opening brace without a closing one"},
		{"closed in another segment", "d:{id}", "/{i/d}", "opening brace without a closing one"},
		{"opened twice", "d:{{id}", "/{id}", "opening brace without a closing one"},
		{"not opened", "d:id}", "/x", "closing brace without an opening one"},
		{"not opened, before a variable", "}{id}", "/{id}", "closing brace without an opening one"},
		{"closed twice", "d:{id}}", "/{id}", "closing brace without an opening one"},
		{"closed twice in the path", "d:{id}", "/{id}}", "closing brace without an opening one"},
		{"no name", "d:{}", "/x", "without a name"},
		{"upper case", "d:{ID}", "/{ID}", "write lower-case letters"},
		{"upper case in the path", "d:{id}", "/{Id}", "write lower-case letters"},
		{"digit", "d:{id1}", "/{id1}", "write lower-case letters"},
		{"hyphen", "d:{my-id}", "/{my-id}", "write lower-case letters"},
		{"space", "d:{ id }", "/{id}", "write lower-case letters"},
		{"dollar", "d:{$ID}", "/x", "write lower-case letters"},
		{"kind only", "d:{:uuid}", "/x", "write lower-case letters"},
		{"unknown kind", "d:{id:int}", "/{id}", "write {id} or {id:uuid}"},
		{"empty kind", "d:{id:}", "/{id}", "write {id} or {id:uuid}"},
		{"star inside", "d:{id}", "/*/{id}", "a star can only be"},
		{"star in a segment", "d:{id}", "/{id}*", "a star can only be"},
		{"two stars", "d:{id}", "/{id}/**", "a star can only be"},
		{"star twice", "d:{id}", "/{id}/*/*", "a star can only be"},
		{"escape", "d:{id}", "/a%20b/{id}", "not its %-escape"},
		{"escaped slash", "d:{id}", "/a%2F{id}", "not its %-escape"},
		{"escape at the end", "d", "/a%20", "not its %-escape"},
		{"escape in a tree", "d", "/a%20/*", "not its %-escape"},
		{"dots", "d:{id}", "/a/../{id}", "dot segment"},
		{"dot", "d:{id}", "/./{id}", "dot segment"},
		{"dots before the star", "d:{id}", "/{id}/../*", "dot segment"},
		{"doubled slash", "d:{id}", "//{id}", "doubled slash"},
		{"doubled slash before the star", "d:{id}", "/{id}//*", "doubled slash"},
		{"doubled slash before the star of everything", "d", "//*", "doubled slash"},
		{"backslash", "d:{id}", `/a\{id}`, "backslash"},
		{"control byte", "d:{id}", "/a\t/{id}", "control byte"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			template, err := ParseTemplate(tt.scope, tt.path)
			if template != nil || err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("ParseTemplate(%q, %q): %v; should say %q", tt.scope, tt.path, err, tt.says)
			}
		})
	}
}

// checkTemplate holds Admits between two bounds: what it admits is spelt by
// the pattern and has one reading; what is spelt by values that keep clear of
// all separators, it admits.
func checkTemplate(t failer, template *Template, m modelTemplate, claim, target string) {
	got := template.Admits(claim, target)
	spelt, clear := m.spells(claim, target)
	if got && !spelt {
		t.Fatalf("%q %q: admitted %q for %q", m.scope, m.path, claim, target)
	}
	if spelt && clear && !got {
		t.Fatalf("%q %q: refused %q for %q", m.scope, m.path, claim, target)
	}
	if got && len(claim) <= 150 && m.readings(claim) != 1 {
		t.Fatalf("%q %q: admitted %q for %q, which has %d readings", m.scope, m.path, claim, target, m.readings(claim))
	}
}

func TestTemplateAgreesWithModel(t *testing.T) {
	variable := rapid.SampledFrom([]string{"{a}", "{b}", "{c}", "{a:uuid}", "{a}", "{b}"})
	rapid.Check(t, func(t *rapid.T) {
		separator := rapid.StringMatching(`[:.ab-]{1,3}`)
		var scope, path strings.Builder
		scope.WriteString(rapid.SampledFrom([]string{"", "ds:", "a"}).Draw(t, "before"))
		for i := range rapid.IntRange(0, 4).Draw(t, "variables") {
			if i > 0 {
				scope.WriteString(separator.Draw(t, "separator"))
			}
			v := variable.Draw(t, "variable")
			scope.WriteString(v)
			path.WriteString("/" + rapid.SampledFrom([]string{"", "", "a", "d/"}).Draw(t, "prefix") + v +
				rapid.SampledFrom([]string{"", "", "a", ".tif"}).Draw(t, "suffix"))
		}
		scope.WriteString(rapid.SampledFrom([]string{"", ":", "b"}).Draw(t, "after"))
		path.WriteString(rapid.SampledFrom([]string{"", "/", "/*"}).Draw(t, "end"))
		m := modelTemplate{scope.String(), path.String()}
		template, err := ParseTemplate(m.scope, m.path)
		if (err != nil) != (m.scope == "" || m.path == "") {
			t.Fatalf("%q %q: %v", m.scope, m.path, err)
		}
		if err != nil {
			return
		}
		// Mostly, put the same values in both patterns.
		value := rapid.OneOf(rapid.StringMatching(`[:.ab-]{1,4}`), rapid.Custom(drawName), rapid.SampledFrom([]string{lowerUUID, upperUUID}))
		values := map[string]string{}
		for _, name := range []string{"a", "b", "c"} {
			values[name] = value.Draw(t, name)
		}
		if m.uuids()["a"] && rapid.IntRange(0, 4).Draw(t, "uuid") > 0 {
			values["a"] = upperUUID
		}
		fill := func(pattern string) string {
			return variableText.ReplaceAllStringFunc(pattern, func(v string) string {
				if rapid.IntRange(0, 15).Draw(t, "stray") == 0 {
					return value.Draw(t, "other")
				}
				if s := values[v[1:2]]; s == upperUUID && rapid.Bool().Draw(t, "lower") {
					return lowerUUID
				} else {
					return s
				}
			})
		}
		target := strings.ReplaceAll(fill(m.path), "*", rapid.SampledFrom([]string{"", "x", "x/", "x/y"}).Draw(t, "below"))
		checkTemplate(t, template, m, fill(m.scope), target)
	})
}

func FuzzTemplate(f *testing.F) {
	f.Add("dataset:{id}", "/datasets/{id}/*", "dataset:5", "/datasets/5/a")
	f.Add("ds:{a}:{b}", "/{a}/{b}", "ds:1:2:3", "/1/2:3")
	f.Add("{a}ab{b}b", "/{b}/x{a}y", "1ab2b", "/2/x1y")
	f.Add("{id:uuid}-{x}", "/{x}/{id}.tif", lowerUUID+"-a", "/a/"+upperUUID+".tif")
	f.Add("{a}:{a}", "/{a}/{a}/", "x:x", "/x/x/")
	f.Add("all", "/*", "all", "/")
	f.Add("{http.request.uuid}", "/{", "}", "//")
	f.Fuzz(func(t *testing.T, scope, path, claim, target string) {
		template, err := ParseTemplate(scope, path)
		if err != nil {
			if template != nil {
				t.Fatal("both a template and an error")
			}
			return
		}
		if tree, _ := strings.CutSuffix(path, "*"); !modelCanonical(tree) {
			t.Fatalf("accepted the path pattern %q", path)
		}
		m := modelTemplate{scope, path}
		if len(m.uuids()) <= 3 { // more would take the model too long
			checkTemplate(t, template, m, claim, target)
		}
	})
}

func TestIsUUID(t *testing.T) {
	for text, want := range map[string]bool{
		lowerUUID: true, upperUUID: true,
		"": false, "2489e9ad2ee28e008ec932d5f69181c0": false, "{" + lowerUUID + "}": false, lowerUUID + "\n": false,
		"2489e9ad-2ee2-8e00-8ec9-32d5f69181cg": false, "2489e9ad-2ee2-8e00-8ec9+32d5f69181c0": false,
	} {
		if got := IsUUID(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
