// Command go prints a one-time download link:
//
//	go run ./example/mint/go https://example.com/report.pdf
//
// DOWNLOAD_SECRET is the secret, as text or as base64:... and the encoded bytes.
package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const ttl = 10 * time.Minute

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./example/mint/go <address>")
		os.Exit(2)
	}
	link, err := link(os.Args[1], time.Now())
	if err != nil {
		fmt.Fprintln(os.Stderr, "mint:", err)
		os.Exit(1)
	}
	fmt.Println(link)
}

func link(address string, now time.Time) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	key, err := secret()
	if err != nil {
		return "", err
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"scope": "download:" + u.EscapedPath(),
		"jti":   rand.Text(),
		"iat":   float64(now.UnixMilli()) / 1000,
		"exp":   now.Add(ttl).Unix(),
	}).SignedString(key)
	return address + "?download_token=" + token, err
}

func secret() ([]byte, error) {
	text := os.Getenv("DOWNLOAD_SECRET")
	if text == "" {
		return nil, errors.New("DOWNLOAD_SECRET is not set")
	}
	if encoded, ok := strings.CutPrefix(text, "base64:"); ok {
		return base64.StdEncoding.DecodeString(encoded)
	}
	return []byte(text), nil
}
