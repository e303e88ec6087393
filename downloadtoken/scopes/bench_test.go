package scopes_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scopes"
)

func BenchmarkOpens(b *testing.B) {
	for _, tt := range []struct {
		name, config string
		claims       claims
	}{
		{"any", `{}`, claims{}},
		{"template", `{"scope": "dataset:{id}", "path": "/datasets/{id}/*"}`, claims{"scope": "dataset:5"}},
		{"claims", `{"path": "/datasets/{sub}/*"}`, claims{"sub": "5"}},
		{"path", `{}`, claims{"scope": "openid download:/datasets/5/"}},
		{"path_permissions", `{}`, claims{"access": may("/datasets/5", "Children", []string{"raw"}, true, true)}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			s, err := load(b, tt.name, tt.config)
			if err != nil {
				b.Fatal(err)
			}
			q := scopes.Query{Token: verified(b, tt.claims), Path: "/datasets/5/a.tif", Request: httptest.NewRequest(http.MethodGet, "/", nil)}
			b.ReportAllocs()
			for b.Loop() {
				if s.Opens(q) != scopes.Open {
					b.Fatal("closed")
				}
			}
		})
	}
}
