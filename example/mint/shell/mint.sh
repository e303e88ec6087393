#!/bin/sh
# Prints a one-time download link: sh mint.sh https://example.com/report.pdf
#
# DOWNLOAD_SECRET is the secret, as text or as base64:... and the encoded bytes.
#
# openssl can make an HMAC by itself, but takes the key as an argument only, and
# everybody on the machine can see arguments. So the HMAC is made of two hashes
# here (RFC 2104), and the key goes through pipes and builtins.
set -eu
address=${1:?write the address of the file}
: "${DOWNLOAD_SECRET:?is not set}"
ttl=600

secret() {
	case $DOWNLOAD_SECRET in
	base64:*) printf '%s\n' "${DOWNLOAD_SECRET#base64:}" | openssl base64 -d -A ;;
	*) printf '%s' "$DOWNLOAD_SECRET" ;;
	esac
}

sha256() { openssl dgst -sha256 -binary; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# padded prints the key, filled up with zeros to 64 bytes, each byte XOR $1.
padded() {
	rest=$key
	while [ "$rest" ]; do
		tail=${rest#??}
		printf "\\$(printf %03o $((0x${rest%"$tail"} ^ $1)))"
		rest=$tail
	done
}

hmac() { # of standard input
	inner=$({ padded 0x36; cat; } | sha256 | hex)
	{
		padded 0x5c
		printf %s "$inner" | unhex
	} | sha256
}

unhex() {
	read -r rest || :
	while [ "$rest" ]; do
		tail=${rest#??}
		printf "\\$(printf %03o 0x"${rest%"$tail"}")"
		rest=$tail
	done
}

key=$(secret | hex)
[ ${#key} -le 128 ] || key=$(secret | sha256 | hex)
while [ ${#key} -lt 128 ]; do key=${key}00; done

path=/${address#*://*/} # percent-encoded, as in the address
now=$(date +%s.%3N)
case $now in *N) now=${now%.*} ;; esac # a date without %N
exp=$((${now%.*} + ttl))
jti=$(openssl rand -hex 16)

header=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url)
claims=$(printf '{"scope":"download:%s","jti":"%s","iat":%s,"exp":%s}' "$path" "$jti" "$now" "$exp" | base64url)
signature=$(printf '%s.%s' "$header" "$claims" | hmac | base64url)
printf '%s?download_token=%s.%s.%s\n' "$address" "$header" "$claims" "$signature"
