package scope

import (
	"fmt"
	"testing"
)

const benchPath = "/datasets/2489e9ad-2ee2-8e00-8ec9-32d5f69181c0/2026/imagery/scene-0042.tif"

func BenchmarkPath(b *testing.B) {
	for name, target := range map[string]string{"plain": benchPath, "escaped": "/caf%C3%A9%20%26%20co/a%21b.txt", "refused": benchPath + "/.."} {
		b.Run(name, func(b *testing.B) {
			u := received(target)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Path(u); (err != nil) != (name == "refused") {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTemplate(b *testing.B) {
	for _, tt := range []struct{ name, scope, path, claim, target string }{
		{"id", "dataset:{id}", "/datasets/{id}/*", "dataset:2489e9ad-2ee2-8e00-8ec9-32d5f69181c0", benchPath},
		{"uuid", "dataset:{id:uuid}", "/datasets/{id}/*", "dataset:2489E9AD-2EE2-8E00-8EC9-32D5F69181C0", benchPath},
		{"three", "{a}:{b}:{c}", "/{a}/{b}/{c}.tif", "x:y:z", "/x/y/z.tif"},
	} {
		b.Run(tt.name, func(b *testing.B) {
			template, err := ParseTemplate(tt.scope, tt.path)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if !template.Admits(tt.claim, tt.target) {
					b.Fatal("refused")
				}
			}
		})
	}
}

// The entry that admits is the last.
func BenchmarkPathScope(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		var plain, list = []string{}, "openid"
		for i := range n - 1 {
			plain = append(plain, fmt.Sprintf("/datasets/other-%04d/", i))
			list += " download:" + plain[i]
		}
		plain = append(plain, "/datasets/")
		for name, bench := range map[string]struct {
			scope  PathScope
			values []string
		}{
			"plain":    {PathScope{}, plain},
			"prefixed": {PathScope{Prefix: "download:", Escaped: true}, []string{list + " download:/datasets/"}},
			"escaped":  {PathScope{Prefix: "download:", Escaped: true}, []string{list + " download:/%64atasets/"}},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if !bench.scope.Admits(bench.values, benchPath) {
						b.Fatal("refused")
					}
				}
			})
		}
	}
}

func benchClaim(n int) string {
	var entries []string
	for i := range n - 1 {
		entries = append(entries, at(fmt.Sprintf("/datasets/other-%04d", i), "Grandchildren+", everything))
	}
	return access(append(entries, at("/datasets", "Grandchildren+", slugs("image", "thumbnail-*", "raw")))...)
}

func BenchmarkPermissions(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := parse(b, benchClaim(n))
			b.ReportAllocs()
			for b.Loop() {
				if !p.Admits(benchPath, "raw", Download) {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkParsePermissions(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			claim := []byte(benchClaim(n))
			b.SetBytes(int64(len(claim)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := ParsePermissions(claim); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
