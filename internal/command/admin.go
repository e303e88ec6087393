package command

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/go-json-experiment/json"
	"github.com/spf13/pflag"

	"github.com/caddy-download-token/caddy-download-token/downloadtoken/token"
)

// server is the running Caddy that a command asks, by its admin API.
type server struct {
	address, config, adapter string
}

func (s *server) flags(flags *pflag.FlagSet) {
	flags.StringVar(&s.address, "address", "", "Address of the admin API of the running Caddy (default: localhost:2019)")
	flags.StringVarP(&s.config, "config", "c", "", "Configuration in which the address of the admin API stands")
	flags.StringVarP(&s.adapter, "adapter", "a", "", "Name of the config adapter, if it does not follow from the file's name")
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// ask sends a request and decodes the answer. What is wrong is said by the server.
func (s *server) ask(method, path string, body, answer any) error {
	address, err := caddycmd.DetermineAdminAPIAddress(s.address, nil, s.config, s.adapter)
	if err != nil {
		return err
	}
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(encoded)
	}
	resp, err := caddycmd.AdminAPIRequest(address, method, "/download_token/"+path, http.Header{}, sent)
	if resp != nil {
		defer resp.Body.Close()
	}
	switch {
	case err != nil && strings.HasPrefix(err.Error(), "performing request"):
		return fmt.Errorf("%w; write the address of the admin API with --address, or with --config the configuration that has it", err)
	case err != nil:
		return err
	}
	if err := json.UnmarshalRead(io.LimitReader(resp.Body, maxAnswer), answer); err != nil {
		return errors.New("the answer is not what this version of the command expects; use the command of the Caddy that runs")
	}
	return nil
}

// fingerprintOf is what the log calls a token, which is given as itself, as a link, or by
// its fingerprint.
func fingerprintOf(given string, stdin io.Reader) (string, error) {
	text, _, err := readToken(given, stdin)
	if err != nil {
		return "", err
	}
	if decoded, err := hex.DecodeString(text); err == nil && len(decoded) == len(token.Fingerprint{}) {
		return strings.ToLower(text), nil
	}
	if !token.IsCompact(text) {
		return "", errors.New("this is neither a token or a link, nor a fingerprint of 16 hex digits as the log has it")
	}
	return token.FingerprintOf(text).String(), nil
}
