package scope_test

import (
	"fmt"
	"net/url"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/scope"
)

func ExamplePath() {
	for _, target := range []string{"/datasets/42/a%20b.tif", "/datasets/42/..%2f43/a.tif"} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(scope.Path(u))
	}
	// Output:
	// /datasets/42/a b.tif <nil>
	//  request path is not canonical: it holds an encoded slash or backslash
}

func ExampleTemplate() {
	t, err := scope.ParseTemplate("dataset:{id}", "/datasets/{id}/*")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.Admits("dataset:42", "/datasets/42/a.tif"))
	fmt.Println(t.Admits("dataset:42", "/datasets/421/a.tif"))
	// Output:
	// true
	// false
}

func ExampleParseTemplate_placeholder() {
	// What the Caddyfile makes of: scope template dataset:{file} /datasets/{file}/*
	_, err := scope.ParseTemplate("dataset:{http.request.uri.path.file}", "/datasets/{http.request.uri.path.file}/*")
	fmt.Println(err)
	// Output:
	// scope pattern "dataset:{http.request.uri.path.file}": {http.request.uri.path.file} is one of Caddy's own placeholders, of which {file}, {path}, {host} and {uuid} are short forms: choose another name, such as {id} or {name}
}

func ExamplePathScope() {
	s := scope.PathScope{Prefix: "download:", Escaped: true}
	claim := []string{"openid download:/foo/bar"}
	fmt.Println(s.Admits(claim, "/foo/bar/qux"))
	fmt.Println(s.Admits(claim, "/foo/bargain"))
	// Output:
	// true
	// false
}

func ExamplePermissions() {
	p, _, err := scope.ParsePermissions([]byte(`{"pathPermissions": [{
		"match": {"path": "/users/x", "scope": "Children"},
		"permissions": {"read": {"file": {"downloadFile": ["raw"]}}}
	}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Admits("/users/x/a.jpg", "raw", scope.Download))
	fmt.Println(p.Admits("/users/x/a.jpg", "thumbnail", scope.Download))
	fmt.Println(p.Admits("/users/x/d/a.jpg", "raw", scope.Download))
	// Output:
	// true
	// false
	// false
}
